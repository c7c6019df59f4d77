"""``iommutui models``: the models, their kernels, their rules, and the role of every known driver."""

from iommutui.cli.output import write_json, write_lines
from iommutui.cli.parser import Options
from iommutui.core.address import Address
from iommutui.core.drivers import DriverTable, Role
from iommutui.core.errors import Exit
from iommutui.core.host import Device, Host
from iommutui.core.labels import role_words
from iommutui.core.models import MODELS
from iommutui.core.models.base import Model
from iommutui.settings import driver_table, read_settings


def run(options: Options) -> int:
    """Prints every model, with the drivers of the user's settings."""
    host = _example(driver_table(read_settings()))
    if options.json:
        document = {"models": [_document(model, host) for model in MODELS.values()]}
        write_json(document)
    else:
        lines: list[str] = []
        for model in MODELS.values():
            lines += _lines(model, host)
        write_lines(lines)
    return Exit.DONE


_ADDRESS = Address("0000:00:00.0")


def _example(table: DriverTable) -> Host:
    """A Host with one device, of which roles can be asked."""
    return Host({_ADDRESS: Device(_ADDRESS, header_type=0)}, {}, driver_table=table)


def _roles(model: Model, host: Host) -> list[tuple[str, str]]:
    device = host.devices[_ADDRESS]
    return [(name, model.role(host, device, name).role) for name in host.driver_table]


def _document(model: Model, host: Host) -> dict[str, object]:
    return {
        "name": model.name,
        "title": model.title,
        "kernels": model.kernels,
        "change": model.change,
        "source": model.source,
        "rules": [{"from": where, "text": text} for where, text in model.rules],
        "drivers": [
            {"name": row.name, "role": role, "since": str(row.managed) if row.managed else None, "vfio": row.vfio}
            for row, (_, role) in zip(host.driver_table.values(), _roles(model, host), strict=True)
        ],
        "other_drivers": "kernel",
    }


def _lines(model: Model, host: Host) -> list[str]:
    lines = [
        f"{model.name}: {model.title}",
        f"  kernels: {model.kernels}",
        f"  {model.change}",
        f"  from: {model.source}",
    ]
    lines += [f"  - {text} ({where})" for where, text in model.rules]
    roles: dict[str, list[str]] = {}
    for name, role in _roles(model, host):
        roles.setdefault(role, []).append(name)
    for role in (Role.USER, Role.NONE):
        if role in roles:
            lines.append(f"  {role_words(role)}: {', '.join(roles[role])}")
    lines += [f"  {role_words(Role.KERNEL)}: every other driver", ""]
    return lines
