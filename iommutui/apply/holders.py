"""Which processes may be why an unbind does not return: those with a file of VFIO, or one of the device's kind.

A best effort, without certainty: another user's processes can be seen by root only. Other drivers wait for their device
alone (nvme, for a controller that does not answer); then there is nobody to name.
"""

import os
import re

from iommutui.core.printable import printable
from iommutui.sources.open_files import Process, program, read_open_files, virtual_machine
from iommutui.sources.tree import Tree

_FILES = {"0x03": r"/dev/(?:dri/|nvidia)", "0x04": r"/dev/snd/"}
"""Nodes of displays and of sound, by the base class of the device."""
_VFIO = "/dev/vfio/"
_MOST = 8


def holders(root: str, address: str) -> tuple[str, ...]:
    """``qemu-system-x86 (1234): /dev/vfio/14`` for each, no more than eight; ``VM win11 (1234)`` where it is known.

    Where the device's group is known, other groups' files do not count.
    """
    tree = Tree(root)
    group = _group(tree, address)
    kind = tree.text(f"sys/bus/pci/devices/{address}/class")
    nodes = re.compile("|".join((_VFIO, _FILES.get(kind[:4] if isinstance(kind, str) else "", _VFIO))))
    found: list[str] = []
    for process in read_open_files(tree).processes:
        files = _files(process, group, nodes)
        if files:
            machine = virtual_machine(tree, process.pid)
            name = f"VM {machine}" if machine is not None else program(tree, process.pid) or "?"
            found.append(printable(f"{name} ({process.pid}): {', '.join(files)}"))
        if len(found) == _MOST:
            break
    return tuple(found)


def _files(process: Process, group: str | None, nodes: re.Pattern[str]) -> list[str]:
    found = set()
    for target in process.files:
        other_group = target.startswith(_VFIO) and target[len(_VFIO) :].isdigit() and target != f"{_VFIO}{group}"
        if nodes.match(target) and not (group is not None and other_group):
            found.add(target)
    return sorted(found - {"/dev/vfio/vfio"})


def _group(tree: Tree, address: str) -> str | None:
    try:
        return os.path.basename(os.readlink(f"{tree.root}/sys/bus/pci/devices/{address}/iommu_group"))
    except OSError:
        return None
