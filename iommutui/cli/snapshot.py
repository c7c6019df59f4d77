"""``iommutui snapshot``: the machine as a file that can be opened anywhere."""

import argparse
import sys

from iommutui.cli.options import add_output, read_host
from iommutui.cli.output import deliver, write_lines
from iommutui.cli.parser import Options
from iommutui.core.errors import Exit, UsageError
from iommutui.core.redact import redact
from iommutui.sources import open_source


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_output(parser)
    words = "keep the whole kernel command line, mount points, names of volumes and processes, and MAC addresses"
    parser.add_argument("--unredacted", action="store_true", help=words)
    parser.add_argument("--explain", action="store_true", help="show how each line of a listing was read instead")
    parser.add_argument("--script", action="store_true", help="print a script that records a machine without iommutui")


def run(options: Options) -> int:
    """Writes the snapshot, redacted unless asked otherwise."""
    from iommutui.sources.snapshot import dump

    if options.script:
        from importlib.resources import files

        sys.stdout.write(files("iommutui.sources").joinpath("capture.sh").read_text("utf-8"))
        return Exit.DONE
    if options.explain:
        if options.source is None:
            raise UsageError("--explain needs a listing.", "Name one with --from.")
        write_lines(open_source(options.source).explain())
        return Exit.DONE
    host = read_host(options)
    kind = "unredacted; read it before you share it" if options.unredacted else "redacted"
    note = f" ({kind}); 'iommutui --from {options.output}' opens it."
    deliver(dump(host if options.unredacted else redact(host)), options.output, note)
    return Exit.DONE
