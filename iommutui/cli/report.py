"""``iommutui report`` and ``iommutui snapshot``: the machine as text for people who help, and as a file to open."""

import argparse
import sys

from iommutui.cli.documents import report_document
from iommutui.cli.options import read_host, read_machine
from iommutui.cli.output import complain, json_text, text_of, write_lines
from iommutui.cli.parser import Options
from iommutui.core.errors import Exit, UsageError
from iommutui.core.query import find_device
from iommutui.core.redact import redact
from iommutui.core.report import report
from iommutui.sources import open_source


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("device", nargs="?", metavar="DEVICE", help="the device that you ask about; it comes first")
    parser.add_argument("-o", "--output", metavar="FILE", help="write to this file instead of standard output")
    parser.add_argument("--plain", action="store_true", help="print plain text instead of Markdown")


def run(options: Options) -> int:
    """Writes the report, which is always redacted."""
    host, model = read_machine(options)
    device = find_device(host, options.device).address if options.device else None
    if options.json:
        text = json_text(report_document(redact(host), model, device))
    else:
        text = report(host, model, device, markdown=not options.plain)
    if options.output is None:
        sys.stdout.write(text_of(text.splitlines()))
        return Exit.DONE
    from iommutui.sources.snapshot import save

    save(text, options.output)
    opens = "" if options.json else f"; 'iommutui --from {options.output}' opens it"
    complain(f"Wrote {options.output} (redacted). Read it before you share it{opens}.")
    return Exit.DONE


def add_arguments_snapshot(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-o", "--output", metavar="FILE", default="-", help="write to this file instead of standard output"
    )
    parser.add_argument(
        "--unredacted",
        action="store_true",
        help="keep the whole kernel command line, mount points, names of volumes and processes, and MAC addresses",
    )
    parser.add_argument(
        "--explain", action="store_true", help="show how each line of a listing was read; write nothing"
    )
    parser.add_argument(
        "--script", action="store_true", help="print a shell script that records a machine without iommutui"
    )


def run_snapshot(options: Options) -> int:
    """Writes the snapshot, redacted unless asked otherwise."""
    from iommutui.sources.snapshot import dump, write

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
    host = host if options.unredacted else redact(host)
    if options.output == "-":
        sys.stdout.write(dump(host))
        return Exit.DONE
    write(host, options.output)
    kind = "unredacted; read it before you share it" if options.unredacted else "redacted"
    complain(f"Wrote {options.output}: {len(host.devices)} devices, {len(host.groups)} groups ({kind}).")
    complain(f"Open it with 'iommutui --from {options.output}'.")
    return Exit.DONE
