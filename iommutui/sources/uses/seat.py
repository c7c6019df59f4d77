"""What a person has at the machine, and who has it open: screens, keyboards, pointers, sound, Thunderbolt."""

import re

from iommutui.core.address import Address, is_pci
from iommutui.core.device import Gap
from iommutui.core.host import Device
from iommutui.core.uses import Input, Opener, Plugged, Screen, Sound
from iommutui.sources.processes import program, read_open_files
from iommutui.sources.tree import Tree, Unreadable, names_in
from iommutui.sources.uses.sysfs_links import (
    SHORT,
    entries,
    functions_above,
    gap_reason,
    gaps_of,
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
    gaps = gaps_of(tree, "screens", cards)
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
        if entry.name.partition(".")[0] in _FIRMWARE:
            found.update((owner, entry.name.partition(".")[0]) for owner in functions_above(entry.path))
    data = tree.bytes("proc/iomem", SHORT)
    if not isinstance(data, bytes):
        return found, "" if found else gap_reason(tree, data)
    return {**found, **firmware_in(data.decode("utf-8", "backslashreplace"))}, ""


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


_BLUETOOTH = "0005"
_LETTERS = 0xFFFF_FFFE
"""KEY_ESC to KEY_S: what has every one of them is a keyboard, to udev as well."""

_X_AND_Y = 0x3
_BTN_LEFT, _BTN_TOUCH = 1 << 0x110, 1 << 0x14A


def read_inputs(tree: Tree) -> tuple[tuple[Input, ...], list[Gap]]:
    """Every keyboard and pointer, those included that no PCI function has."""
    found = entries(tree, "class/input")
    if not isinstance(found, list):
        return (), gaps_of(tree, "inputs", found)
    inputs: list[Input] = []
    for entry in found:
        wireless = read_attr(tree, f"{entry.path}/id/bustype") == _BLUETOOTH
        if not entry.name.startswith("input") or ("devices/virtual/" in entry.path and not wireless):
            continue
        keyboard, pointer = _kinds(tree, entry.path)
        if keyboard or pointer:
            name = read_attr(tree, f"{entry.path}/name") or entry.name
            owners = functions_above(entry.path)
            inputs += [Input(owner, name, keyboard, pointer, wireless) for owner in owners or (None,)]
    return tuple(inputs), []


def _kinds(tree: Tree, path: str) -> tuple[bool, bool]:
    """Whether it is a keyboard, and whether it is a pointer: a mouse, a touchpad, a tablet."""
    keys, relative, absolute = (bits(read_attr(tree, f"{path}/capabilities/{name}")) for name in ("key", "rel", "abs"))
    moves = relative & _X_AND_Y == _X_AND_Y and bool(keys & _BTN_LEFT)
    touched = absolute & _X_AND_Y == _X_AND_Y and bool(keys & (_BTN_LEFT | _BTN_TOUCH))
    return keys & _LETTERS == _LETTERS, moves or touched


def bits(text: str) -> int:
    """``70000 0 0 0 0`` -> a number: words of 64 bits in hex, the highest first."""
    value = 0
    for part in text.split():
        try:
            value = value << 64 | int(part, 16)
        except ValueError:
            return 0
    return value


def read_sounds(tree: Tree) -> tuple[tuple[Sound, ...], list[Gap]]:
    """Every sound card that a PCI function has."""
    found = entries(tree, "class/sound")
    if not isinstance(found, list):
        return (), gaps_of(tree, "sounds", found)
    cards = [entry for entry in found if entry.name.startswith("card") and entry.name[4:].isdecimal()]
    sounds = tuple(
        Sound(owner, card.name, _playing(tree, card.name)) for card in cards for owner in functions_above(card.path)
    )
    return sounds, gaps_of(tree, "sounds", names_in(f"{tree.root}/proc/asound")) if sounds else []


def _playing(tree: Tree, card: str) -> tuple[str, ...]:
    """The streams of a card that somebody has open: their ``status`` reads ``closed`` otherwise."""
    found = []
    for stream in _names(tree, f"proc/asound/{card}", "pcm"):
        for part in _names(tree, f"proc/asound/{card}/{stream}", "sub"):
            status = tree.text(f"proc/asound/{card}/{stream}/{part}/status")
            if isinstance(status, str) and status.startswith("state"):
                found.append(stream)
                break
    return tuple(found)


def _names(tree: Tree, place: str, prefix: str) -> list[str]:
    names = names_in(f"{tree.root}/{place}")
    return sorted(name for name in names if name.startswith(prefix)) if isinstance(names, list) else []


_DEVICE = re.compile(r"\d+-[1-9a-f][0-9a-f]*")
"""``0-1``, ``0-301``: a domain and a route; ``0-0`` is the controller's own router."""


def read_plugged(tree: Tree) -> tuple[tuple[Plugged, ...], list[Gap]]:
    """What is plugged in. A kernel without Thunderbolt has no such bus, and then there is nothing to lose."""
    found = entries(tree, "bus/thunderbolt/devices")
    if not isinstance(found, list):
        return (), [Gap("plugged", found.why)] if isinstance(found, Unreadable) else []
    names: dict[Address, list[str]] = {}
    for entry in found:
        if _DEVICE.fullmatch(entry.name):
            for owner in functions_above(entry.path):
                names.setdefault(owner, []).append(read_attr(tree, f"{entry.path}/device_name") or entry.name)
    return tuple(Plugged(owner, tuple(names[owner])) for owner in sorted(names)), []


_SOUND = re.compile(r"(?:controlC|pcmC|hwC|midiC)(\d{1,6}).*")
_MINOR = re.compile(r"^Device Minor:\s*(\d{1,6})\s*$", re.MULTILINE)

Nodes = dict[str, tuple[Address, ...]]
"""The functions behind each node, by its path."""


def read_openers(tree: Tree, devices: dict[Address, Device]) -> tuple[tuple[Opener, ...], list[Gap]]:
    """Who has what open. Other users' processes are visible to root only, and recordings rarely have any."""
    nodes = _nodes(tree, devices)
    if not nodes:
        return (), gaps_of(tree, "openers", entries(tree, "class/drm"))
    seen = read_open_files(tree)
    found: dict[Opener, None] = {}
    for process in seen.processes:
        held = [node for node in process.files if node in nodes]
        if held:
            name = program(tree, process.pid) or ""
            found.update((Opener(owner, name, process.pid, node), None) for node in held for owner in nodes[node])
    return tuple(found), [Gap("openers", seen.hidden)] if seen.hidden is not None else []


def _nodes(tree: Tree, devices: dict[Address, Device]) -> Nodes:
    nodes: Nodes = {}
    for place, folder in (("class/drm", "/dev/dri/"), ("class/graphics", "/dev/"), ("class/video4linux", "/dev/")):
        found = entries(tree, place)
        for entry in found if isinstance(found, list) else ():
            owners = functions_above(entry.path)
            if owners and "-" not in entry.name:
                nodes[folder + entry.name] = owners
    nodes.update(_sound(tree))
    nodes.update(_nvidia(tree, devices))
    compute = _on(devices, "amdgpu")
    if compute:
        nodes["/dev/kfd"] = compute
    return nodes


def _on(devices: dict[Address, Device], driver: str) -> tuple[Address, ...]:
    return tuple(address for address, device in devices.items() if device.driver == driver)


def _sound(tree: Tree) -> Nodes:
    found = entries(tree, "class/sound")
    every = found if isinstance(found, list) else []
    pairs = ((f"/dev/snd/{entry.name}", functions_above(entry.path)) for entry in every if _SOUND.fullmatch(entry.name))
    return {node: owners for node, owners in pairs if owners}


def _nvidia(tree: Tree, devices: dict[Address, Device]) -> Nodes:
    """``/dev/nvidia0`` by the driver's own list; without it, any of its nodes may be any of its devices."""
    bound = _on(devices, "nvidia")
    found: Nodes = {}
    for address in bound:
        text = tree.text(f"proc/driver/nvidia/gpus/{address}/information")
        minor = _MINOR.search(text) if isinstance(text, str) else None
        if minor is None:
            return {f"/dev/nvidia{number}": bound for number in range(len(bound))}
        found[f"/dev/nvidia{minor[1]}"] = (address,)
    return found
