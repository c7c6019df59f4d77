"""The same commands without a screen: data on standard output, talk on standard error."""

import os
import sys

from iommutui.core.errors import Exit, IommutuiError


def main(argv: list[str] | None = None) -> int:
    """Runs one command; returns its exit code (``core.errors.Exit``)."""
    from iommutui.cli.parser import parse

    try:
        run, options = parse(sys.argv[1:] if argv is None else argv)
        return run(options)
    except IommutuiError as error:
        sys.stdout.flush()
        print(f"iommutui: {error.what}", file=sys.stderr)
        if error.remedy:
            print(error.remedy, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("iommutui: interrupted.", file=sys.stderr)
        return Exit.ERROR
    except BrokenPipeError:
        # The reader (head, less) has gone; nothing is wrong, and the interpreter must not complain while it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.DONE
