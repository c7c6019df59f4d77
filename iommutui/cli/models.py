"""``iommutui models``: the models, their kernels, their rules, and the role of every known driver."""

import argparse

from iommutui.cli.documents import SCHEMA
from iommutui.cli.output import clean, write_json, write_lines
from iommutui.cli.parser import Options, add_json, add_source
from iommutui.core.address import Address
from iommutui.core.drivers import table
from iommutui.core.errors import Exit
from iommutui.core.host import Device
from iommutui.core.models import MODELS
from iommutui.core.models.base import Model
from iommutui.settings import read_config, take_effect


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``models [--json]``."""
    add_json(parser)
    add_source(parser)


def run(options: Options) -> int:
    """Prints every model, with the drivers of the user's settings."""
    take_effect(read_config())
    if options.json:
        document = {"schema": SCHEMA, "models": [_document(model) for model in MODELS.values()]}
        write_json(document)
    else:
        lines: list[str] = []
        for model in MODELS.values():
            lines += _lines(model)
        write_lines([clean(line) for line in lines])
    return Exit.DONE


def _roles(model: Model) -> list[tuple[str, str]]:
    device = Address("0000:00:00.0")
    return [(row.name, model.role(Device(device, header_type=0), row.name).role) for row in table()]


def _document(model: Model) -> dict[str, object]:
    return {
        "name": model.name,
        "title": model.title,
        "kernels": model.kernels,
        "change": model.change,
        "source": model.source,
        "rules": [{"from": where, "text": text} for where, text in model.rules],
        "drivers": [
            {"name": row.name, "role": role, "since": str(row.managed) if row.managed else None, "vfio": row.vfio}
            for row, (_, role) in zip(table(), _roles(model), strict=True)
        ],
        "other_drivers": "kernel",
    }


def _lines(model: Model) -> list[str]:
    lines = [
        f"{model.name}: {model.title}",
        f"  kernels: {model.kernels}",
        f"  {model.change}",
        f"  from: {model.source}",
    ]
    lines += [f"  - {text} ({where})" for where, text in model.rules]
    roles: dict[str, list[str]] = {}
    for name, role in _roles(model):
        roles.setdefault(role, []).append(name)
    for role in ("user", "none"):
        if role in roles:
            lines.append(f"  {role}: {', '.join(roles[role])}")
    lines += ["  kernel: every other driver", ""]
    return lines
