"""The importer and its result: records of functions with their facts."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypedDict, cast

from iommutui.core.address import Address
from iommutui.core.pci_classes import class_code
from iommutui.sources import pci
from iommutui.sources.listings.text import Text

FULL = r"(?<![0-9a-fA-F:])[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[01][0-9a-fA-F]\.[0-7](?![0-9a-fA-F.])"
"""An address with its domain, anywhere in a line."""

_ID = re.compile(r"([0-9a-fA-F]{4}|[0-9a-fA-F]{6})|0x([0-9a-fA-F]{1,4}|[0-9a-fA-F]{6})")
_BYTE = re.compile(r"(?:0x)?([0-9a-fA-F]{2})")
_NAME_AND_ID = re.compile(r"(.*?)[ \t]*\[([0-9a-fA-F]{4})\]")
_DRIVER_NAME = re.compile(r"[\w.+-]*\w", re.ASCII)
_NO_DRIVERS = ("unknown", "not", "no")
_PAIR = re.compile(r"(?:^|\[)([0-9a-f]{4}):([0-9a-f]{4})(?:\]|$)")
_NO_MARKS = dict.fromkeys(map(ord, " _-"))
_NAMES = {
    **dict.fromkeys(("sysfsiommugroupid", "group", "groupid"), "iommugroup"),
    **dict.fromkeys(("devclass", "classcode"), "class"),
    **dict.fromkeys(("svendor", "subvendor"), "subsystemvendor"),
    **dict.fromkeys(("sdevice", "subdevice"), "subsystemdevice"),
    **dict.fromkeys(("name", "product", "model"), "devicename"),
    **dict.fromkeys(("deviceid", "productid"), "device"),
    **dict.fromkeys(("driverinuse", "kerneldriver", "currentdriver", "kerneldriverinuse"), "driver"),
    **dict.fromkeys(("vendor:device", "pciid", "pciids"), "ids"),
    "vendorid": "vendor",
    "rev": "revision",
    "progif": "interface",
}
"""Other names of fields."""
_ID_FIELDS = ("vendorid", "hex", "value", "id")
"""Fields of an object that stands for a vendor or device."""


class Facts(TypedDict, total=False):
    """The stated fields of a `Device`: a driver or group of None means that it has none."""

    vendor_id: str
    device_id: str
    subsystem_vendor_id: str
    subsystem_device_id: str
    class_code: str
    revision: str
    header_type: int
    multifunction: bool
    pcie_type: int
    modalias: str
    driver: str | None
    driver_override: str
    group: int | None
    parent: Address | None
    physfn: Address
    vendor_name: str | None
    device_name: str | None
    class_name: str | None


STDERR = ("pcilib:", "lspci:")
"""How lines begin in which ``lspci`` complains, wherever they come between its lines."""

UNTOLD = "?"
"""The driver of a function, where the listing tells drivers and of this one that it does not know."""


class Record(NamedTuple):
    """The reading of the lines from ``line`` up to ``end``: a function with its facts, or something else."""

    line: int
    end: int
    address: Address | None = None
    facts: Facts = {}  # noqa: RUF012 - only that of a function is filled, and those have one of their own
    below: str | None = None
    """The bus behind a bridge: ``01``."""
    what: str = ""
    """What lines that name no function are."""
    cut: bool = False
    """Lines of it are missing: nothing follows from what it does not tell."""
    machine: tuple[str, str] | None = None
    """A field of the `Host` that they tell (``kernel``, ``cmdline``, ``cpu_vendor``), and its value; or the members of
    a group, where it is told whole."""


Read = tuple[list[Record], int]
"""What was read from a line on, and the line to go on at."""


class Importer(NamedTuple):
    """One entry of the registry."""

    name: str
    example: str
    """An example of such a listing, for the message that nothing was found."""
    opens: str
    """A regular expression that matches at the start of the first line of it."""
    read: Callable[[Text, int], Read]
    """Reads one function, line or block, from such a line on. Never raises, whatever follows."""
    needs: tuple[str, ...] = ()
    """Every text with such a listing holds one of these: worth it where ``opens`` takes long to say no."""
    once: bool = False
    """A listing names a function once: where one comes again, another listing has begun; and what it tells of some
    functions (drivers, groups) it would tell of all."""
    ascends: bool = False
    """A listing goes through the machine in the order of addresses: where one is lower, another has begun."""
    hides: bool = False
    """Such a listing may leave out bridges, and does where it names none (Proxmox)."""


BOUNDARY = "boundary"
"""The kind of a line that ends what is above it: a shell's prompt, a code fence, a heading."""


def named(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Fields by the names that `facts_of` knows: programs write ``iommuGroup``, ``iommu_group``, ``IOMMU group``."""
    plain = ((str(name).lower().translate(_NO_MARKS), value) for name, value in entry.items())
    # An id takes precedence over the name of the same thing.
    return {_NAMES.get(name, name): value for name, value in sorted(plain, key=lambda each: each[0].endswith("id"))}


def facts_of(fields: Mapping[str, Any]) -> Facts:
    """The facts of ``class``, ``vendor``, ``device``, ``subsystem_...``, ``revision``, ``driver`` and ``iommugroup``.

    A driver or group whose value says that there is none becomes None.
    """
    entry = named(fields)
    class_name, code = _named(entry.get("class"))
    code = code or class_code(class_name or "")
    interface = entry.get("interface")
    vendor_name, vendor = _named(entry.get("vendor"))
    device_name, device = _named(entry.get("device"))
    name = entry.get("devicename") or device_name
    pairs = (_PAIR.search(str(entry.get(field))) for field in ("ids", "id", "device", "devicename"))
    if (pair := next(filter(None, pairs), None)) is not None:
        vendor, device = pair.groups()
        name = _PAIR.sub("", name).strip() or None if isinstance(name, str) else None
    revision = _BYTE.fullmatch(str(entry.get("revision")))
    ids = {
        "vendor_id": vendor,
        "device_id": device,
        "subsystem_vendor_id": _named(entry.get("subsystemvendor"))[1],
        "subsystem_device_id": _named(entry.get("subsystemdevice"))[1],
    }
    found = {
        **{name: id_ for name, id_ in ids.items() if id_ is not None and len(id_) == 4},
        "class_code": f"{code}{interface if _BYTE.fullmatch(str(interface)) else ''}"[:6].lower() if code else None,
        "revision": revision[1].lower() if revision is not None else None,
        "vendor_name": entry.get("vendorname") or vendor_name,
        "device_name": name,
        "class_name": class_name,
    }
    facts = cast(Facts, {name: value for name, value in found.items() if isinstance(value, str)})
    driver = entry.get("driver", " ") or ""
    if isinstance(driver, str) and not re.search(r"\s", driver):
        facts["driver"] = driver_of(driver)
    if re.fullmatch(r"\d{1,9}|-1|None|", group := str(entry.get("iommugroup", "?"))):
        facts["group"] = int(group) if group.isdecimal() else None
    return facts


def driver_of(value: str) -> str | None:
    """The driver that a word names, without marks around it; None for none, and UNTOLD for what is not a name."""
    name = value.strip("`*_\"'()<>[]{}.;:|\\")
    if not value or name.lower() in ("-", "none", "n/a"):
        return None
    return name if _DRIVER_NAME.fullmatch(name) is not None and name.lower() not in _NO_DRIVERS else UNTOLD


def _named(value: Any) -> tuple[str | None, str | None]:
    """The name and the id (four or six hex digits) in ``0x10de``, ``10de``, ``GP106 [1c02]``, or an object of both."""
    if isinstance(value, dict):
        ids = (_named(value.get(field))[1] for field in _ID_FIELDS)
        return _named(value.get("name"))[0], next((found for found in ids if found), None)
    # A terminal breaks a line within a word, and Python prints a long text in several parts.
    text = " ".join(value.replace("\n", "").split()) if isinstance(value, str) else ""
    if (id_ := _ID.fullmatch(text)) is not None:
        return None, (id_[1] or id_[2].zfill(4)).lower()
    if (both := _NAME_AND_ID.fullmatch(text)) is not None:
        return both[1] or None, both[2].lower()
    return text or None, None


def of_config(config: bytes) -> tuple[Facts, str | None]:
    """The facts in configuration space, and the bus behind a bridge; nothing if it is truncated or reads as ones."""
    if len(config) < pci.HEADER or not pci.responds(config):
        return {}, None
    kind, multifunction = pci.header_type(config)
    facts: Facts = {
        "vendor_id": config[1::-1].hex(),
        "device_id": config[3:1:-1].hex(),
        "revision": f"{config[pci.REVISION]:02x}",
        "class_code": config[11:8:-1].hex(),
        "header_type": kind,
        "multifunction": multifunction,
    }
    if kind == 0 and any(config[0x2C:0x30]):
        facts |= {"subsystem_vendor_id": config[0x2D:0x2B:-1].hex(), "subsystem_device_id": config[0x2F:0x2D:-1].hex()}
    if len(config) >= 256:
        port = pci.pcie_type(config, lambda offset: config[offset : offset + 4])
        facts.update({} if port is None else {"pcie_type": port})
    bus = config[0x19] if kind in (1, 2) else 0
    return facts, f"{bus:02x}" if bus else None
