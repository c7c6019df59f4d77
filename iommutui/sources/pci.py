"""One PCI function: its directory in sysfs -> `Device`."""

import os
import re
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from iommutui.core.address import Address
from iommutui.core.device import UNBINDING
from iommutui.core.drivers import Version
from iommutui.core.host import Bar, Details, Device, Gap
from iommutui.sources import pci_config
from iommutui.sources.names import Names
from iommutui.sources.tree import MALFORMED, Node, Tree, Unreadable, failure, functions_in, known, read_link

ASLEEP = "asleep"
"""The gap of a device in D3cold, which reading would wake."""

_WAKING = ("config", "current_link_speed", "current_link_width")
"""Attributes that are read from the device itself."""

_UEVENT = re.compile(
    r"PCI_CLASS=([0-9A-F]{1,6})\nPCI_ID=([0-9A-F]{4}):([0-9A-F]{4})\n"
    r"PCI_SUBSYS_ID=([0-9A-F]{4}):([0-9A-F]{4})\n(?:.*\n)*?MODALIAS=(.*)"
)


class ReadContext(NamedTuple):
    """The shared context for reading functions."""

    tree: Tree
    names: Names
    read: Callable[[str], str | Unreadable | None]
    """Reads an attribute that may block, by its path."""
    details: bool


class Ids(NamedTuple):
    """The identity of a function."""

    vendor: str | None
    device: str | None
    subsystem_vendor: str | None
    subsystem_device: str | None
    class_code: str | None
    modalias: str | None


def read_function(reading: ReadContext, name: str) -> Device | None:
    """The function of this address; None if it is gone, or goes while it is read."""
    path = f"{reading.tree.sys}/bus/pci/devices/{name}"
    try:
        with Node(path) as node:
            device = _read(reading, Address(name), path, node)
    except OSError as error:
        value = failure(error)
        if value is None:
            return None
        gaps = tuple(Gap(attribute, value.why) for attribute in ("uevent", "driver", "iommu_group"))
        return Device(Address(name), gaps=gaps)
    half_read = device.vendor_id is None or any(gap.why == "ENODEV" for gap in device.gaps)
    return None if half_read and not os.path.exists(path) else device


def _read(reading: ReadContext, address: Address, path: str, node: Node) -> Device:
    ids = _ids(node, reading.tree.live)
    is_vf = "physfn" in node.present
    header = _header(node, reading.tree.live)
    answers = pci_config.answers(header, is_vf) if len(header) >= 16 else None
    driver = node.link("driver")
    if driver is None and _is_leaving(reading, path):
        node.miss("driver", UNBINDING)
    virtfns = _virtfns(node) if "virtfn0" in node.present else ()
    vendor_name, device_name, class_name = reading.names.of(ids.modalias, ids.vendor, ids.device, ids.class_code)
    return Device(
        address=address,
        vendor_id=ids.vendor,
        device_id=ids.device,
        subsystem_vendor_id=ids.subsystem_vendor,
        subsystem_device_id=ids.subsystem_device,
        class_code=ids.class_code,
        revision=pci_config.revision(header) if answers else node.hex("revision", 2),
        header_type=pci_config.header_type(header) if answers else None,
        multifunction=pci_config.multifunction(header) if answers else None,
        pcie_type=pci_config.pcie_type(header, partial(_capability, node)) if answers else None,
        modalias=ids.modalias,
        driver=driver,
        driver_override=read_override(reading, path, node),
        group=node.group(),
        parent=_parent(path),
        boot_vga=node.flag("boot_vga"),
        boot_display=node.flag("boot_display"),
        physfn=node.function("physfn") if is_vf else None,
        virtfns=virtfns,
        vfio_dev=node.names("vfio-dev"),
        iommu=node.link("iommu", or_directory=True),  # a directory, if the function is an IOMMU itself
        interfaces=_interfaces(node, driver),
        vendor_name=vendor_name,
        device_name=device_name,
        class_name=class_name,
        details=_details(node, answers, virtfns) if reading.details else None,
        gaps=tuple(node.gaps),
    )


def _is_leaving(reading: ReadContext, path: str) -> bool:
    """Whether a function without a ``driver`` link still has a driver, because its unbind waits.

    ``uevent`` still names it, or a read of it waits too (up to 6.11, ``uevent_show`` takes the device's lock).
    """
    answer = reading.read(f"{path}/uevent") if reading.tree.live else None
    if isinstance(answer, Unreadable):
        return answer.why == "timeout"
    return answer is not None and re.search("^DRIVER=", answer, re.MULTILINE) is not None


def _ids(node: Node, live: bool) -> Ids:
    """The ids from ``uevent``, which has them all in one read, or from their own files.

    On a running kernel ``uevent`` is left alone: reading it blocks while an unbind of the device waits, and reading the
    files never does.
    """
    uevent = None if live else node.text("uevent")
    match = None if uevent is None else _UEVENT.search(uevent)
    if match is not None:
        code, vendor, device, subsystem_vendor, subsystem_device = (part.lower() for part in match.groups()[:5])
        return Ids(vendor, device, subsystem_vendor, subsystem_device, code.zfill(6), match[6])
    return Ids(
        node.hex("vendor", 4),
        node.hex("device", 4),
        node.hex("subsystem_vendor", 4),
        node.hex("subsystem_device", 4),
        node.hex("class", 6),
        node.text("modalias"),
    )


def _header(node: Node, live: bool) -> bytes:
    """The header of configuration space, or nothing.

    Reading it would wake a running machine's device from D3cold, which takes a laptop's second GPU a second or two,
    and a program that refreshes would keep it awake; such a device is left asleep.
    """
    if live and node.text("power_state") == "D3cold":
        for name in _WAKING:
            node.leave(name, ASLEEP)
    return node.bytes("config", pci_config.HEADER) or b""


def _capability(node: Node, offset: int) -> bytes:
    """The first four bytes of a capability; empty if they cannot be read."""
    return node.bytes("config", 4, offset) or b""


def read_override(reading: ReadContext, path: str, node: Node) -> str | None:
    """The override of the device at ``path``: an unset one reads ``(null)``, and an empty line names no driver."""
    if "driver_override" not in node.present:
        return None
    if reading.tree.live:
        text = known(reading.read(f"{path}/driver_override"), "driver_override", node.gaps)
    else:
        text = node.text("driver_override")
    return text if text not in ("", "(null)") else None


def _parent(path: str) -> Address | None:
    """The nearest PCI function above, from the link in ``bus/pci/devices``."""
    return next(reversed(functions_in(read_link(path).rpartition("/")[0])), None)


def _virtfns(node: Node) -> tuple[Address, ...]:
    """The virtual functions in the order of their numbers."""
    names = (name for name in node.present if name.startswith("virtfn") and name[6:].isdecimal())
    found = (node.function(name) for name in sorted(names, key=lambda name: int(name[6:])))
    return tuple(address for address in found if address is not None)


def _interfaces(node: Node, driver: str | None) -> tuple[str, ...]:
    """Network interfaces below the function, and below its child on the virtio bus."""
    found = node.names("net") or ()
    if driver is not None and driver.startswith("virtio"):
        for child in sorted(name for name in node.present if name.startswith("virtio")):
            found += node.names(f"{child}/net") or ()
    return found


def _details(node: Node, answers: bool | None, virtfns: tuple[Address, ...]) -> Details:
    """The details of a function, read only on request.

    ``sriov_numvfs`` is counted by its links: reading it takes the device's lock, and so may wait for an unbind.
    """
    resets = node.text("reset_method")
    return Details(
        numa_node=node.number("numa_node"),
        reset_methods=None if resets is None else tuple(resets.split()),
        power_state=node.text("power_state"),
        d3cold_allowed=node.flag("d3cold_allowed"),
        bars=_bars(node),
        sriov_totalvfs=node.number("sriov_totalvfs"),
        sriov_numvfs=len(virtfns) if "sriov_numvfs" in node.present else None,
        link_speed=node.text("current_link_speed"),
        link_width=node.text("current_link_width"),
        max_link_speed=node.text("max_link_speed"),
        max_link_width=node.text("max_link_width"),
        config_answers=answers,
        irq=node.number("irq"),
    )


def _bars(node: Node) -> tuple[Bar, ...] | None:
    """The lines of ``resource`` that are in use: start, inclusive end and flags, all in hex."""
    text = node.text("resource")
    if text is None:
        return None
    found = []
    for number, line in enumerate(text.splitlines()):
        try:
            start, end, flags = (int(part, 16) for part in line.split())
        except ValueError:
            node.miss("resource", MALFORMED)
            return None
        if flags:
            found.append(Bar(number, start, max(end - start + 1, 0), flags))
    return tuple(found)


def with_resets(devices: dict[Address, Device], kernel: Version | None) -> dict[Address, Device]:
    """The devices; from 5.15, one without a file of reset methods has none; before, nothing shows it.

    If no device at all has one, the files were not recorded.
    """
    recorded = any(device.details is not None and device.details.reset_methods for device in devices.values())
    if not recorded or kernel is None or kernel < Version(5, 15):
        return devices
    found = dict(devices)
    for address, device in devices.items():
        if device.details is not None and device.details.reset_methods is None and not device.gap("reset_method"):
            found[address] = device._replace(details=device.details._replace(reset_methods=()))
    return found
