"""Which processes may be why an unbind does not return: those that have a file of VFIO, a GPU or a sound card open.

A best effort, without certainty: another user's processes can be seen by root only.
"""

import os
import re

from iommutui.core.printable import printable
from iommutui.sources.open_files import Process, program, read_open_files
from iommutui.sources.tree import Tree

_FILES = re.compile(r"/dev/(?:vfio/|dri/|nvidia|snd/)")
_VFIO = "/dev/vfio/"
_MOST = 8


def holders(root: str, address: str) -> tuple[str, ...]:
    """``qemu-system-x86 (1234): /dev/vfio/14`` for each, no more than eight.

    Where the device's group is known, other groups' files do not count.
    """
    tree = Tree(root)
    group = _group(tree.root, address)
    found: list[str] = []
    for process in read_open_files(tree).processes:
        files = _files(process, group)
        if files:
            name = program(tree, process.pid) or "?"
            found.append(f"{printable(name)} ({process.pid}): {', '.join(files)}")
        if len(found) == _MOST:
            break
    return tuple(found)


def _files(process: Process, group: str | None) -> list[str]:
    found = set()
    for target in process.files:
        other_group = target.startswith(_VFIO) and target[len(_VFIO) :].isdigit() and target != f"{_VFIO}{group}"
        if _FILES.match(target) and not (group is not None and other_group):
            found.add(printable(target))
    return sorted(found - {"/dev/vfio/vfio"})


def _group(root: str, address: str) -> str | None:
    try:
        return os.path.basename(os.readlink(os.path.join(root, "sys/bus/pci/devices", address, "iommu_group")))
    except OSError:
        return None
