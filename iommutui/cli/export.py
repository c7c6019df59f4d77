"""``iommutui export``: a plan as text for another program."""

import argparse

from iommutui.apply.request import read_plan
from iommutui.cli.options import add_output, read_machine
from iommutui.cli.output import complain, deliver, write_json, write_lines
from iommutui.cli.parser import Options
from iommutui.cli.plan import add_presets, wanted_intents
from iommutui.core.errors import Exit, UsageError
from iommutui.core.models import MODELS
from iommutui.export import FORMATS, Subject, render, subject_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    names = f"one of {', '.join(FORMATS)} (default: list them)"
    parser.add_argument("format", nargs="?", metavar="FORMAT", choices=FORMATS, help=names)
    words = "a device for the virtual machine, or DEVICE=TARGET as for preview"
    parser.add_argument("devices", nargs="*", metavar="DEVICE", help=words)
    add_presets(parser)
    parser.add_argument("--plan", metavar="FILE", help="use the rebinds of a plan written by 'iommutui plan -o FILE'")
    add_output(parser)


def run(options: Options) -> int:
    """Prints the export, or writes it; warnings go to standard error as well."""
    if options.format is None:
        return _list(options.json)
    export = render(FORMATS[options.format], _subject(options))
    for warning in export.warnings:
        complain(warning)
    if options.json:
        write_json({"format": options.format, "text": export.text, "warnings": list(export.warnings)})
    else:
        deliver(export.text, options.output, "; its first lines say where it goes.")
    return Exit.DONE


def _subject(options: Options) -> Subject:
    asked = bool(options.devices or options.card or options.group)
    if asked == bool(options.plan):
        raise UsageError(
            "Say what to export: devices, --card, --group, or --plan.",
            "For example: iommutui export libvirt --card 01:00.0",
        )
    host, model = read_machine(options)
    if options.plan:
        request = read_plan(options.plan)
        return subject_of(host, request.intents, model if options.model else MODELS[request.model or model.name])
    return subject_of(host, wanted_intents(host, model, options.devices, options.card, options.group), model)


def _list(as_json: bool) -> int:
    forms = FORMATS.values()
    if as_json:
        write_json({"formats": [{"name": form.name, "title": form.title} for form in forms]})
    else:
        width = max(len(form.name) for form in forms)
        write_lines([f"{form.name:{width}}  {form.title}" for form in forms])
    return Exit.DONE
