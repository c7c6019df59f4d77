"""What shows a picture: monitors, framebuffers, the text console, and the firmware's framebuffer."""

import re

from iommutui.core.address import Address, is_pci
from iommutui.core.device import Gap
from iommutui.core.uses import Screen
from iommutui.sources.tree import Tree
from iommutui.sources.uses.sysfs_links import (
    SHORT,
    ClassDevice,
    entries,
    functions_above,
    gap_reason,
    read_attr,
    resolve,
)

_CONNECTOR = re.compile(r"card\d+-(.+)")
_FIRMWARE = frozenset(
    {
        *("BOOTFB", "efifb", "vesafb", "simplefb", "simpledrm", "efidrm", "vesadrm", "ofdrm", "offb"),
        *("simple-framebuffer", "efi-framebuffer", "vesa-framebuffer"),
    }
)
"""Who owns the firmware's framebuffer in ``/proc/iomem``, and its platform devices."""
_RANGE = re.compile(r"( *)[0-9a-f]+-[0-9a-f]+ : (.*)")


def read_display(tree: Tree, console: bool) -> tuple[tuple[Screen, ...], list[Gap]]:
    """Every display. ``console``: whether the text console is drawn on framebuffers."""
    cards, buffers = entries(tree, "class/drm"), entries(tree, "class/graphics")
    gaps = [Gap("screens", why)] if (why := gap_reason(tree, cards)) else []
    found: dict[Address, Screen] = {}
    for entry in cards if isinstance(cards, list) else ():
        for owner in functions_above(entry.path):
            screen = found.setdefault(owner, Screen(owner))
            connector = _CONNECTOR.fullmatch(entry.name)
            if connector is not None and read_attr(tree, f"{entry.path}/status") == "connected":
                found[owner] = screen._replace(monitors=(*screen.monitors, connector[1]))
    for entry in buffers if isinstance(buffers, list) else ():
        if entry.name.startswith("fb") and entry.name[2:].isdecimal():
            for owner in functions_above(entry.path):
                screen = found.get(owner, Screen(owner))
                found[owner] = screen._replace(framebuffers=(*screen.framebuffers, entry.name), console=console)
    firmware, why = _firmware(tree)
    for owner, name in firmware.items():
        found[owner] = found.get(owner, Screen(owner))._replace(firmware=name)
    for owner, screen in found.items():
        if resolve(tree, f"bus/pci/devices/{owner}/driver").rpartition("/")[2] == "nvidia":
            found[owner] = screen._replace(held_by=_held_by_nvidia(tree, screen))
    gaps += [Gap("firmware", why)] if why else []
    return tuple(found[owner] for owner in sorted(found)), gaps


def _held_by_nvidia(tree: Tree, screen: Screen) -> tuple[str, ...]:
    """``nvidia_drm`` holds every card that it shows (``modeset=Y``), and its console one more (``fbdev=Y``)."""
    modeset = read_attr(tree, "module/nvidia_drm/parameters/modeset") == "Y"
    console = screen.console or read_attr(tree, "module/nvidia_drm/parameters/fbdev") == "Y"
    return ("nvidia_drm with modeset=Y", *(("its text console",) if console else ())) if modeset else ()


def _firmware(tree: Tree) -> tuple[dict[Address, str], str]:
    """The firmware's framebuffer, by function: as a device below the function (from 6.9), or as memory in its BAR."""
    found: dict[Address, str] = {}
    platform = entries(tree, "bus/platform/devices")
    for entry in platform if isinstance(platform, list) else ():
        if _is_firmware(entry):
            found.update((owner, entry.name.partition(".")[0]) for owner in functions_above(entry.path))
    data = tree.bytes("proc/iomem", SHORT)
    if not isinstance(data, bytes):
        return found, "" if found else gap_reason(tree, data)
    return {**found, **firmware_in(data.decode("utf-8", "backslashreplace"))}, ""


def _is_firmware(entry: ClassDevice) -> bool:
    return entry.name.partition(".")[0] in _FIRMWARE


def firmware_in(iomem: str) -> dict[Address, str]:
    """The firmware's framebuffer in ``/proc/iomem``, by the function in whose BAR it lies.

    Resources are indented below the one that they lie in. Users without privileges see every range as zero, and the
    same names at the same places.
    """
    found: dict[Address, str] = {}
    above: list[tuple[int, str]] = []
    for line in iomem.splitlines():
        match = _RANGE.fullmatch(line)
        if match is None:
            continue
        depth, name = len(match[1]), match[2]
        above = [each for each in above if each[0] < depth]
        if name in _FIRMWARE:
            owner = next((each for _, each in reversed(above) if is_pci(each)), None)
            if owner is not None:
                found[Address(owner)] = name
        above.append((depth, name))
    return found
