"""Processes that have a device's nodes open: graphics, compute, sound, and the text console's framebuffer."""

import re

from iommutui.core.address import Address
from iommutui.core.device import Gap
from iommutui.core.host import Device
from iommutui.core.uses import Opener
from iommutui.sources.processes import program, read_open_files
from iommutui.sources.tree import Tree
from iommutui.sources.uses.sysfs_links import entries, functions_above, gaps_of

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
