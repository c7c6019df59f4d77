"""The seat: screens, keyboards, pointers, sound and Thunderbolt, and the processes that have them open."""

import re
from glob import glob

from iommutui.core.address import Address, is_pci
from iommutui.core.host import Device
from iommutui.core.uses import Input, Opener, Plugged, Screen, Sound
from iommutui.sources.processes import program, read_open_files
from iommutui.sources.tree import names_in
from iommutui.sources.uses import Survey, functions_above

_CONNECTOR = re.compile(r"card\d+-(.+)")
_FIRMWARE = frozenset(
    {
        *("BOOTFB", "efifb", "vesafb", "simplefb", "simpledrm", "efidrm", "vesadrm", "ofdrm", "offb"),
        *("simple-framebuffer", "efi-framebuffer", "vesa-framebuffer"),
    }
)
"""Owners of the firmware's framebuffer in ``/proc/iomem``, and its platform devices."""


def read_display(survey: Survey, console: bool) -> tuple[Screen, ...]:
    """Every display. ``console``: whether the text console is drawn on framebuffers."""
    found: dict[Address, Screen] = {}
    for owner, name, path in survey.owned("class/drm", "screens"):
        screen = found.setdefault(owner, Screen(owner))
        connector = _CONNECTOR.fullmatch(name)
        if connector is not None and survey.attribute(f"{path}/status") == "connected":
            found[owner] = screen._replace(monitors=(*screen.monitors, connector[1]))
    for owner, name, _ in survey.owned("class/graphics", "screens", optional=True):
        if re.fullmatch(r"fb\d+", name):
            screen = found.get(owner, Screen(owner))
            found[owner] = screen._replace(framebuffers=(*screen.framebuffers, name), console=console)
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
    """The firmware's framebuffer, by function: as a device below the function (from 6.9), or as memory in its BAR.

    Resources in ``/proc/iomem`` are indented below the one that contains them. Unprivileged users see every range as
    zero, but the same names.
    """
    devices = survey.owned("bus/platform/devices", "firmware", optional=True)
    kinds = ((owner, name.partition(".")[0]) for owner, name, _ in devices)
    found = {owner: kind for owner, kind in kinds if kind in _FIRMWARE}
    iomem = survey.table("proc/iomem", "firmware", optional=bool(found))
    around: list[str] = []
    for indent, name in re.findall(r"^( *)[0-9a-f]+-[0-9a-f]+ : (.*)$", iomem, re.MULTILINE):
        around = [*around[: len(indent) // 2], name]
        function = next((Address(each) for each in reversed(around) if is_pci(each)), None)
        if name in _FIRMWARE and function is not None:
            found[function] = name
    return found


_BLUETOOTH = "0005"
_LETTERS = 0xFFFF_FFFE
"""KEY_ESC to KEY_S: a device with all of them is a keyboard, as udev also assumes."""

_X_AND_Y = 0x3
_BTN_LEFT, _BTN_TOUCH = 1 << 0x110, 1 << 0x14A


def read_inputs(survey: Survey) -> tuple[Input, ...]:
    """Every keyboard and pointer, including those on no PCI function."""
    inputs: list[Input] = []
    for entry, path in survey.devices("class/input", "inputs").items():
        wireless = survey.attribute(f"{path}/id/bustype") == _BLUETOOTH
        if not entry.startswith("input") or ("devices/virtual/" in path and not wireless):
            continue
        keyboard, pointer = _kinds(survey, path)
        if keyboard or pointer:
            name = survey.attribute(f"{path}/name") or entry
            inputs += [Input(owner, name, keyboard, pointer, wireless) for owner in functions_above(path) or (None,)]
    return tuple(inputs)


def _kinds(survey: Survey, path: str) -> tuple[bool, bool]:
    """Whether it is a keyboard, and whether it is a pointer: a mouse, a touchpad, a tablet."""
    place = f"{path}/capabilities"
    keys, relative, absolute = (_bits(survey.attribute(f"{place}/{name}")) for name in ("key", "rel", "abs"))
    moves = relative & _X_AND_Y == _X_AND_Y and bool(keys & _BTN_LEFT)
    touched = absolute & _X_AND_Y == _X_AND_Y and bool(keys & (_BTN_LEFT | _BTN_TOUCH))
    return keys & _LETTERS == _LETTERS, moves or touched


def _bits(text: str) -> int:
    """``70000 0 0 0 0`` -> a number: words of 64 bits in hex, the highest first."""
    if not re.fullmatch(r"[0-9a-f]+( [0-9a-f]+)*", text):
        return 0
    return int("".join(word.zfill(16) for word in text.split()), 16)


def read_sounds(survey: Survey) -> tuple[Sound, ...]:
    """Every sound card on a PCI function."""
    found = survey.owned("class/sound", "sounds")
    cards = [(owner, name) for owner, name, _ in found if re.fullmatch(r"card\d+", name)]
    if cards:
        survey.check("sounds", names_in(f"{survey.root}/proc/asound"))
    return tuple(Sound(owner, card, _playing(survey, card)) for owner, card in cards)


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
    for owner, name, path in survey.owned("bus/thunderbolt/devices", "plugged", optional=True):
        if _DEVICE.fullmatch(name):
            names.setdefault(owner, []).append(survey.attribute(f"{path}/device_name") or name)
    return tuple(Plugged(owner, tuple(names[owner])) for owner in sorted(names))


_FOLDERS = {
    "class/drm": "/dev/dri/", "class/graphics": "/dev/", "class/video4linux": "/dev/", "class/sound": "/dev/snd/",
}  # fmt: skip
_MINOR = re.compile(r"^Device Minor:\s*(\d{1,6})\s*$", re.MULTILINE)


def read_openers(survey: Survey, devices: dict[Address, Device]) -> tuple[Opener, ...]:
    """The processes that have devices open; only root sees other users', and recordings rarely have any."""
    nodes = _nodes(survey, devices)
    if not nodes:
        return ()
    open_files, hidden = read_open_files(survey)
    if hidden is not None:
        survey.miss("openers", hidden)
    return tuple(
        Opener(owner, program(survey, pid), pid, node)
        for pid, files in open_files.items()
        for node in files
        for owner in nodes.get(node, ())
    )


def _nodes(survey: Survey, devices: dict[Address, Device]) -> dict[str, list[Address]]:
    """The functions behind each node, by its path."""
    nodes: dict[str, list[Address]] = {}
    for place, folder in _FOLDERS.items():
        for owner, name, _ in survey.owned(place, "openers", optional=place != "class/drm"):
            nodes.setdefault(folder + name, []).append(owner)
    if compute := _on(devices, "amdgpu"):
        nodes["/dev/kfd"] = compute
    return {**nodes, **_nvidia(survey, devices)}


def _on(devices: dict[Address, Device], driver: str) -> list[Address]:
    return [address for address, device in devices.items() if device.driver == driver]


def _nvidia(survey: Survey, devices: dict[Address, Device]) -> dict[str, list[Address]]:
    """``/dev/nvidia0`` by the driver's own list; without it, any of its nodes may be any of its devices."""
    bound = _on(devices, "nvidia")
    found = {}
    for address in bound:
        text = survey.text(f"proc/driver/nvidia/gpus/{address}/information")
        minor = _MINOR.search(text) if isinstance(text, str) else None
        if minor is None:
            return {f"/dev/nvidia{number}": bound for number in range(len(bound))}
        found[f"/dev/nvidia{minor[1]}"] = [address]
    return found
