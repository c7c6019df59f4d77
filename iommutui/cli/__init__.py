"""The same commands without a screen: data on standard output, messages on standard error."""

import gc
import os
import sys
from contextlib import suppress
from typing import NoReturn

from iommutui.core.errors import Exit, IommutuiError


def run() -> NoReturn:
    """Runs ``main``, and exits as quickly as possible.

    Tearing the interpreter down takes as long as reading 64 devices, and a thread stuck in the kernel, as in a read of
    sysfs, would keep the process from ending at all.
    """
    gc.set_threshold(50_000)  # imports and a scan make hardly any garbage; collecting takes a twentieth of their time
    try:
        code = main()
    except SystemExit as end:  # argparse, after help or a usage error
        code = int(end.code or Exit.DONE)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(code)


def main(argv: list[str] | None = None) -> int:
    """Runs one command; returns its exit code (``core.errors.Exit``)."""
    from iommutui.cli.parser import parse

    options = None
    try:
        run, options = parse(sys.argv[1:] if argv is None else argv)
        code = run(options)
        sys.stdout.flush()
        return code
    except IommutuiError as error:
        from iommutui.cli.options import with_source
        from iommutui.cli.output import complain

        sys.stdout.flush()
        complain(f"iommutui: {error.what}")
        if error.remedy:
            complain(error.remedy if options is None else with_source(options, error.remedy))
        return error.exit_code
    except BrokenPipeError:
        return Exit.DONE  # the reader (head, less) has exited, which is no error
    except OSError as error:
        if error.filename is not None:
            raise
        print(f"iommutui: the output cannot be written: {error.strerror}.", file=sys.stderr)
        return Exit.ERROR
    except KeyboardInterrupt:
        print("iommutui: interrupted.", file=sys.stderr)
        return Exit.ERROR
