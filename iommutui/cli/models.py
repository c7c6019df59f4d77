"""``iommutui models``: the models, their kernels, their rules, and the role of every known driver."""

from typing import Any

from iommutui.cli.output import write_json, write_lines
from iommutui.cli.parser import Options
from iommutui.core.address import Address
from iommutui.core.drivers import DriverTable, Role
from iommutui.core.errors import Exit
from iommutui.core.host import Device, Host
from iommutui.core.labels import role_words
from iommutui.core.models import MODELS, Model
from iommutui.settings import driver_table, read_settings


def run(options: Options) -> int:
    """Prints every model, with the drivers of the user's settings."""
    table = driver_table(read_settings())
    documents = [_document(model, table) for model in MODELS.values()]
    if options.json:
        write_json({"models": documents})
    else:
        write_lines([line for document in documents for line in _lines(document)])
    return Exit.DONE


def _document(model: Model, table: DriverTable) -> dict[str, Any]:
    device = Device(Address("0000:00:00.0"), header_type=0)
    host = Host({device.address: device}, {}, driver_table=table)
    return {
        **{name: getattr(model, name) for name in ("name", "title", "kernels", "change", "source")},
        "rules": [{"from": where, "text": text} for where, text in model.rules],
        "drivers": [
            {
                "name": row.name,
                "role": model.role(host, device, row.name).role,
                "since": str(row.managed) if row.managed else None,
                "vfio": row.vfio,
            }
            for row in table.values()
        ],
        "other_drivers": Role.KERNEL,
    }


def _lines(model: dict[str, Any]) -> list[str]:
    lines = ["{name}: {title}", "  kernels: {kernels}", "  {change}", "  from: {source}"]
    lines = [line.format_map(model) for line in lines]
    lines += [f"  - {rule['text']} ({rule['from']})" for rule in model["rules"]]
    for role in (Role.USER, Role.NONE):
        names = [driver["name"] for driver in model["drivers"] if driver["role"] is role]
        lines += [f"  {role_words(role)}: {', '.join(names)}"] if names else []
    return [*lines, f"  {role_words(Role.KERNEL)}: every other driver", ""]
