"""The seat: screens, keyboards, pointers, sound and Thunderbolt, and the processes that have them open."""

import re
from glob import glob

from iommutui.core.address import Address, is_pci
from iommutui.core.host import Device
from iommutui.core.uses import Input, Opener, Plugged, Screen, Sound
from iommutui.sources.processes import program, read_open_files
from iommutui.sources.tree import names_in
from iommutui.sources.uses.survey import SHORT, Survey, functions_above

_CONNECTOR = re.compile(r"card\d+-(.+)")
_FIRMWARE = frozenset(
    {
        *("BOOTFB", "efifb", "vesafb", "simplefb", "simpledrm", "efidrm", "vesadrm", "ofdrm", "offb"),
        *("simple-framebuffer", "efi-framebuffer", "vesa-framebuffer"),
    }
)
"""Owners of the firmware's framebuffer in ``/proc/iomem``, and its platform devices."""
_RANGE = re.compile(r"( *)[0-9a-f]+-[0-9a-f]+ : (.*)")


def read_display(survey: Survey, console: bool) -> tuple[Screen, ...]:
    """Every display. ``console``: whether the text console is drawn on framebuffers."""
    found: dict[Address, Screen] = {}
    for entry in survey.devices("class/drm", "screens"):
        for owner in functions_above(entry.path):
            screen = found.setdefault(owner, Screen(owner))
            connector = _CONNECTOR.fullmatch(entry.name)
            if connector is not None and survey.attribute(f"{entry.path}/status") == "connected":
                found[owner] = screen._replace(monitors=(*screen.monitors, connector[1]))
    for entry in survey.devices("class/graphics", "screens", optional=True):
        if entry.name.startswith("fb") and entry.name[2:].isdecimal():
            for owner in functions_above(entry.path):
                screen = found.get(owner, Screen(owner))
                found[owner] = screen._replace(framebuffers=(*screen.framebuffers, entry.name), console=console)
    for owner, name in _firmware(survey).items():
        found[owner] = found.get(owner, Screen(owner))._replace(firmware=name)
    for owner, screen in found.items():
        if survey.resolve(f"bus/pci/devices/{owner}/driver").rpartition("/")[2] == "nvidia":
            found[owner] = screen._replace(held_by=_held_by_nvidia(survey, screen))
    return tuple(found[owner] for owner in sorted(found))


def _held_by_nvidia(survey: Survey, screen: Screen) -> tuple[str, ...]:
    """``nvidia_drm`` keeps every card that it shows in use (``modeset=Y``), and its console does too (``fbdev=Y``)."""
    if survey.attribute("module/nvidia_drm/parameters/modeset") != "Y":
        return ()
    console = screen.console or survey.attribute("module/nvidia_drm/parameters/fbdev") == "Y"
    return ("nvidia_drm with modeset=Y", *(("its text console",) if console else ()))


def _firmware(survey: Survey) -> dict[Address, str]:
    """The firmware's framebuffer, by function: as a device below the function (from 6.9), or as memory in its BAR."""
    found: dict[Address, str] = {}
    for entry in survey.devices("bus/platform/devices", "firmware", optional=True):
        if entry.name.partition(".")[0] in _FIRMWARE:
            found.update((owner, entry.name.partition(".")[0]) for owner in functions_above(entry.path))
    data = survey.bytes("proc/iomem", SHORT)
    survey.check("firmware", data, optional=bool(found))
    return {**found, **firmware_in(data.decode("utf-8", "backslashreplace"))} if isinstance(data, bytes) else found


def firmware_in(iomem: str) -> dict[Address, str]:
    """The firmware's framebuffer in ``/proc/iomem``, by the function in whose BAR it lies.

    Resources are indented below the one that contains them. Unprivileged users see every range as zero, but the same
    names.
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
"""KEY_ESC to KEY_S: a device with all of them is a keyboard, as udev also assumes."""

_X_AND_Y = 0x3
_BTN_LEFT, _BTN_TOUCH = 1 << 0x110, 1 << 0x14A


def read_inputs(survey: Survey) -> tuple[Input, ...]:
    """Every keyboard and pointer, including those on no PCI function."""
    inputs: list[Input] = []
    for entry in survey.devices("class/input", "inputs"):
        wireless = survey.attribute(f"{entry.path}/id/bustype") == _BLUETOOTH
        if not entry.name.startswith("input") or ("devices/virtual/" in entry.path and not wireless):
            continue
        keyboard, pointer = _kinds(survey, entry.path)
        if keyboard or pointer:
            name = survey.attribute(f"{entry.path}/name") or entry.name
            owners = functions_above(entry.path)
            inputs += [Input(owner, name, keyboard, pointer, wireless) for owner in owners or (None,)]
    return tuple(inputs)


def _kinds(survey: Survey, path: str) -> tuple[bool, bool]:
    """Whether it is a keyboard, and whether it is a pointer: a mouse, a touchpad, a tablet."""
    place = f"{path}/capabilities"
    keys, relative, absolute = (bits(survey.attribute(f"{place}/{name}")) for name in ("key", "rel", "abs"))
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


def read_sounds(survey: Survey) -> tuple[Sound, ...]:
    """Every sound card on a PCI function."""
    found = survey.devices("class/sound", "sounds")
    cards = [entry for entry in found if entry.name.startswith("card") and entry.name[4:].isdecimal()]
    pairs = [(owner, card.name) for card in cards for owner in functions_above(card.path)]
    if pairs:
        survey.check("sounds", names_in(f"{survey.root}/proc/asound"))
    return tuple(Sound(owner, card, _playing(survey, card)) for owner, card in pairs)


def _playing(survey: Survey, card: str) -> tuple[str, ...]:
    """The open streams of a card; the ``status`` of others reads ``closed``."""
    statuses = sorted(glob("pcm*/sub*/status", root_dir=f"{survey.root}/proc/asound/{card}"))
    open_ones = (path for path in statuses if str(survey.text(f"proc/asound/{card}/{path}")).startswith("state"))
    return tuple(dict.fromkeys(path.partition("/")[0] for path in open_ones))


_DEVICE = re.compile(r"\d+-[1-9a-f][0-9a-f]*")
"""``0-1``, ``0-301``: a domain and a route; ``0-0`` is the controller's own router."""


def read_plugged(survey: Survey) -> tuple[Plugged, ...]:
    """The Thunderbolt devices that are plugged in. A kernel without Thunderbolt has no such bus."""
    names: dict[Address, list[str]] = {}
    for entry in survey.devices("bus/thunderbolt/devices", "plugged", optional=True):
        if _DEVICE.fullmatch(entry.name):
            for owner in functions_above(entry.path):
                names.setdefault(owner, []).append(survey.attribute(f"{entry.path}/device_name") or entry.name)
    return tuple(Plugged(owner, tuple(names[owner])) for owner in sorted(names))


_MINOR = re.compile(r"^Device Minor:\s*(\d{1,6})\s*$", re.MULTILINE)

Nodes = dict[str, tuple[Address, ...]]
"""The functions behind each node, by its path."""


def read_openers(survey: Survey, devices: dict[Address, Device]) -> tuple[Opener, ...]:
    """The processes that have devices open; only root sees other users', and recordings rarely have any."""
    nodes = _nodes(survey, devices)
    if not nodes:
        return ()
    seen = read_open_files(survey)
    if seen.hidden is not None:
        survey.miss("openers", seen.hidden)
    found: dict[Opener, None] = {}
    for process in seen.processes:
        held = [node for node in process.files if node in nodes]
        if held:
            name = program(survey, process.pid) or ""
            found.update((Opener(owner, name, process.pid, node), None) for node in held for owner in nodes[node])
    return tuple(found)


def _nodes(survey: Survey, devices: dict[Address, Device]) -> Nodes:
    every = [("/dev/dri/", entry) for entry in survey.devices("class/drm", "openers") if "-" not in entry.name]
    for place, folder in (("class/graphics", "/dev/"), ("class/video4linux", "/dev/"), ("class/sound", "/dev/snd/")):
        every += [(folder, entry) for entry in survey.devices(place, "openers", optional=True)]
    nodes = {folder + entry.name: functions_above(entry.path) for folder, entry in every}
    nodes.update(_nvidia(survey, devices))
    nodes["/dev/kfd"] = _on(devices, "amdgpu")
    return {node: owners for node, owners in nodes.items() if owners}


def _on(devices: dict[Address, Device], driver: str) -> tuple[Address, ...]:
    return tuple(address for address, device in devices.items() if device.driver == driver)


def _nvidia(survey: Survey, devices: dict[Address, Device]) -> Nodes:
    """``/dev/nvidia0`` by the driver's own list; without it, any of its nodes may be any of its devices."""
    bound = _on(devices, "nvidia")
    found: Nodes = {}
    for address in bound:
        text = survey.text(f"proc/driver/nvidia/gpus/{address}/information")
        minor = _MINOR.search(text) if isinstance(text, str) else None
        if minor is None:
            return {f"/dev/nvidia{number}": bound for number in range(len(bound))}
        found[f"/dev/nvidia{minor[1]}"] = (address,)
    return found
