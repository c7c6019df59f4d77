"""Which processes may be why an unbind does not return: those that have a file of VFIO, a GPU or a sound card open.

A best effort, without certainty: another user's processes can be seen by root only.
"""

import os
import re

_FILES = re.compile(r"/dev/(?:vfio/|dri/|nvidia|snd/)")
_VFIO = "/dev/vfio/"
_MOST = 8


def holders(root: str, address: str) -> tuple[str, ...]:
    """``qemu-system-x86 (1234): /dev/vfio/14`` for each, no more than eight.

    Where the device's group is known, other groups' files do not count.
    """
    group = _group(root, address)
    found: list[str] = []
    processes = os.path.join(root, "proc")
    for pid in sorted((name for name in _names(processes) if name.isdigit()), key=int):
        files = _open_files(os.path.join(processes, pid, "fd"), group)
        if files:
            found.append(f"{_command(os.path.join(processes, pid, 'comm'))} ({pid}): {', '.join(files)}")
        if len(found) == _MOST:
            break
    return tuple(found)


def _open_files(directory: str, group: str | None) -> list[str]:
    files = set()
    for name in _names(directory):
        try:
            target = os.readlink(os.path.join(directory, name))
        except OSError:
            continue
        other_group = target.startswith(_VFIO) and target[len(_VFIO) :].isdigit() and target != f"{_VFIO}{group}"
        if _FILES.match(target) and not (group is not None and other_group):
            files.add(_printable(target))
    return sorted(files - {"/dev/vfio/vfio"})


def _group(root: str, address: str) -> str | None:
    try:
        return os.path.basename(os.readlink(os.path.join(root, "sys/bus/pci/devices", address, "iommu_group")))
    except OSError:
        return None


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _command(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return _printable(file.read(64).rstrip("\n"))
    except OSError:
        return "?"


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)
