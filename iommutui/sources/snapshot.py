"""Snapshots: a `Host` as JSON that people can read and compare, and back.

``{"schema": 1, "tool": "iommutui 0.1.0", "host": {...}}``; the fields are those of `iommutui.core.host`, devices and
groups are sorted lists, and absent values are left out. Nothing read is trusted: pydantic checks the types, and this
module the rest.
"""

import json
import os
import sys
import tempfile
from codecs import BOM_UTF8
from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import from_json

from iommutui import __version__
from iommutui.core.address import is_pci
from iommutui.core.errors import NotPermittedError, SourceError
from iommutui.core.host import Device, Driver, Gap, Group, Host, Iommu, VfioParameters, by_address, by_number
from iommutui.core.uses import Uses

SCHEMA = 1
LIMIT = 1 << 26
"""Bytes of the largest snapshot that is read; ten thousand devices need a seventh of it."""

_WIDTH = 110
_MAKE = "Make one with: iommutui snapshot -o FILE"


class Machine(NamedTuple):
    """A `Host` as it is in the file: with lists where the Host has dicts."""

    devices: tuple[Device, ...]
    groups: tuple[Group, ...] = ()
    kernel: str | None = None
    cmdline: str | None = None
    cpu_vendor: str | None = None
    iommus: tuple[Iommu, ...] | None = None
    drivers: tuple[Driver, ...] | None = None
    removed: tuple[Device, ...] = ()
    interrupt_remapping: bool | None = None
    vfio: VfioParameters = VfioParameters()
    uses: Uses | None = None
    gaps: tuple[Gap, ...] = ()
    hypervisor: str | None = None
    lacks: tuple[str, ...] = ()


class Snapshot(NamedTuple):
    """The whole file."""

    schema: int
    tool: str
    host: Machine


# -- writing


def dump(host: Host) -> str:
    """The snapshot of a host."""
    fields = host._asdict()
    fields.update({name: tuple(fields[name].values()) for name in ("devices", "groups", "removed")})
    del fields["driver_table"], fields["waiting"]
    return _render(_plain(Snapshot(SCHEMA, f"iommutui {__version__}", Machine(**fields))), "") + "\n"


def write(host: Host, path: str) -> None:
    """Writes a snapshot; the errors are those of `save`."""
    save(dump(host), path)


def save(text: str, path: str) -> None:
    """Writes a file, whole or not at all; if that fails, the file is unchanged.

    NotPermittedError without the right to write there, SourceError for any other reason.
    """
    remedy = "Give a name in a directory that you may write to."
    try:
        _replace(path, text)
    except PermissionError as error:
        raise NotPermittedError(f"{path} cannot be written: {error.strerror}.", remedy) from None
    except OSError as error:
        raise SourceError(f"{path} cannot be written: {error.strerror}.", remedy) from None


def _replace(path: str, text: str) -> None:
    where = os.path.dirname(os.path.abspath(path))
    handle, temporary = tempfile.mkstemp(prefix=".iommutui-", dir=where)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


Plain = dict[str, "Plain"] | list["Plain"] | str | int | bool | None


def _plain(value: Any) -> Plain:
    """Named tuples as dicts without the fields that have their default, other tuples as lists."""
    if isinstance(value, tuple):
        fields = getattr(value, "_fields", None)
        if fields is None:
            return [_plain(item) for item in value]
        defaults = getattr(value, "_field_defaults", {})
        return {
            name: _plain(item)
            for name, item in zip(fields, value, strict=True)
            if name not in defaults or item != defaults[name]
        }
    assert value is None or isinstance(value, str | int)
    return value


def _render(value: Plain, indent: str) -> str:
    """JSON with a line for everything that fits on one."""
    line = _line(value)
    inner = indent + "  "
    if not isinstance(value, dict | list) or not value or len(indent + line) <= _WIDTH:
        return line
    if isinstance(value, list):
        return "[\n" + ",\n".join(inner + _render(item, inner) for item in value) + f"\n{indent}]"
    parts = (f"{inner}{_line(name)}: {_render(item, inner)}" for name, item in value.items())
    return "{\n" + ",\n".join(parts) + f"\n{indent}}}"


def _line(value: Plain) -> str:
    """JSON on one line; in ASCII if a terminal or a reader would see something other than the text."""
    line = json.dumps(value, ensure_ascii=False)
    return line if line.isprintable() else json.dumps(value).replace("\x7f", "\\u007f")


# -- reading


def read_bytes(path: str) -> bytes:
    """The content of a file, or of standard input for ``-``. Raises SourceError."""
    name = "Standard input" if path == "-" else path
    try:
        if path == "-":
            data = sys.stdin.buffer.read(LIMIT + 1)
        else:
            with open(path, "rb") as file:
                data = file.read(LIMIT + 1)
    except FileNotFoundError:
        raise SourceError(
            f"{name} does not exist.", "Give a snapshot, a listing, or the directory of a recorded tree."
        ) from None
    except OSError as error:
        raise SourceError(f"{name} cannot be read: {error.strerror}.", "Give a readable file.") from None
    if len(data) > LIMIT:
        raise SourceError(
            f"{name} is larger than {LIMIT >> 20} MiB, which is too large for a snapshot or listing.", _MAKE
        )
    return data


def is_snapshot(data: bytes) -> bool:
    """Whether it seems to be a snapshot, however damaged."""
    text = data.removeprefix(BOM_UTF8).lstrip()
    return text.startswith(b"{") and b'"schema"' in text[:4096] and b'"host"' in text[:4096]


def parse(content: str | bytes, name: str) -> Host:
    """The host of a snapshot; ``name`` is its name in errors. Raises SourceError."""
    data = (content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content).removeprefix(BOM_UTF8)
    _check_kind(data, name)
    try:
        snapshot = _ADAPTER.validate_json(data, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise _wrong(name, _location(first["loc"]), first["msg"]) from None
    machine = snapshot.host
    for where, what in _inconsistencies(machine):
        raise _wrong(name, where, what)
    fields = machine._asdict()
    fields.update(
        devices=by_address(machine.devices), groups=by_number(machine.groups), removed=by_address(machine.removed)
    )
    return Host(**fields)


_ADAPTER: TypeAdapter[Snapshot] = TypeAdapter(Snapshot, config=ConfigDict(extra="forbid"))


def _check_kind(data: bytes, name: str) -> None:
    """Checks that it is a snapshot, and of a known schema."""
    if not data.strip():
        raise SourceError(f"{name} is empty.", _MAKE)
    try:
        value = from_json(data)
    except ValueError as error:
        remedy = "It is truncated: copy it again." if str(error).startswith("EOF") else _MAKE
        raise SourceError(f"{name} is not JSON: {error}.", remedy) from None
    if not isinstance(value, dict) or "schema" not in value or "host" not in value:
        raise SourceError(f"{name} is JSON, but not a snapshot of iommutui.", _MAKE)
    schema, tool = value["schema"], value.get("tool")
    if isinstance(schema, int) and schema > SCHEMA:
        writer = f" ({tool[:40]!r})" if isinstance(tool, str) else ""
        raise SourceError(
            f"{name} was written by a newer iommutui{writer}: it has schema {schema}, and this one knows {SCHEMA}.",
            "Update iommutui, or make the snapshot with this version.",
        )


def _wrong(name: str, where: str, what: str) -> SourceError:
    return SourceError(f"{name}: {where}: {what}.", "Correct that line, or make the snapshot again.")


def _location(parts: tuple[int | str, ...]) -> str:
    """``("host", "devices", 3, "driver")`` -> ``host.devices[3].driver``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return text.removeprefix(".") or "the file"


def _inconsistencies(machine: Machine) -> Iterator[tuple[str, str]]:
    """Faults that types do not catch, and where they are."""
    seen: set[str] = set()
    for field, devices in (("devices", machine.devices), ("removed", machine.removed)):
        for number, device in enumerate(devices):
            where = f"host.{field}[{number}].address"
            if device.bus == "pci" and not is_pci(device.address):
                yield where, f"{device.address!r} is not the address of a PCI device"
            if device.address in seen:
                yield where, f"{device.address} appears twice"
            seen.add(device.address)
    groups_of: dict[str, int | None] = {device.address: device.group for device in machine.devices}
    members: dict[int, set[str]] = {}
    for number, group in enumerate(machine.groups):
        where = f"host.groups[{number}]"
        if group.id in members:
            yield f"{where}.id", f"group {group.id} appears twice"
        members[group.id] = set(group.members)
        if len(members[group.id]) < len(group.members):
            yield f"{where}.members", "a member appears twice"
        for member in group.members:
            if groups_of.get(member, group.id) != group.id:
                yield f"{where}.members", f"{member} claims to be in group {groups_of[member]}"
    for number, device in enumerate(machine.devices):
        if device.group is not None and device.address not in members.get(device.group, ()):
            what = f"has no member {device.address}" if device.group in members else "does not exist"
            yield f"host.devices[{number}].group", f"group {device.group} {what}"
