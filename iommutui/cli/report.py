"""``iommutui report``: the machine as text to share when you ask for help."""

import argparse

from iommutui.cli.documents import report_document
from iommutui.cli.options import add_output, read_machine
from iommutui.cli.output import deliver, json_text
from iommutui.cli.parser import Options
from iommutui.core.errors import Exit
from iommutui.core.query import find_device
from iommutui.core.redact import redact
from iommutui.core.report import report


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("device", nargs="?", metavar="DEVICE", help="the device that you ask about; it comes first")
    add_output(parser)
    parser.add_argument("--plain", action="store_true", help="print plain text instead of Markdown")


def run(options: Options) -> int:
    """Writes the report, which is always redacted."""
    host, model = read_machine(options)
    device = find_device(host, options.device).address if options.device else None
    if options.json:
        text = json_text(report_document(redact(host), model, device))
    else:
        text = report(host, model, device, markdown=not options.plain)
    opens = "" if options.json else f"; 'iommutui --from {options.output}' opens it"
    deliver(text, options.output, f" (redacted). Read it before you share it{opens}.")
    return Exit.DONE
