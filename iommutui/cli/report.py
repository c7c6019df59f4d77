"""``iommutui report``: the machine as text to share when you ask for help."""

import argparse
import sys

from iommutui.cli.documents import report_document
from iommutui.cli.options import read_machine
from iommutui.cli.output import complain, json_text, text_of
from iommutui.cli.parser import Options
from iommutui.core.errors import Exit
from iommutui.core.query import find_device
from iommutui.core.redact import redact
from iommutui.core.report import report


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
