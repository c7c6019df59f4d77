"""Facts from processes: open devices, hence owners of groups, and the SSH session of this process.

One walk through ``/proc`` finds owners of groups, users of devices, and processes that an unbind waits for. Only root
sees other users' processes, and a recording rarely has any.
"""

import os
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

from iommutui.core.address import Address
from iommutui.core.host import Claim, Device, Gap, Group, Host, is_vfio
from iommutui.sources.tree import Tree, Unreadable, base_name, names_in, printable, read_file, read_link, to_text

VFIO_DEVICE = "anon_inode:[vfio-device]"
"""A device that was got from its group; from which one does not show."""

_VFIO = "/dev/vfio/"
_NODES = {"0x03": r"/dev/(?:dri/|nvidia)", "0x04": r"/dev/snd/"}
"""Nodes of displays and of sound, by the base class of the device."""
_MOST_NAMED = 8
"""No more processes are named."""


class Process(NamedTuple):
    """A process that has devices open; other programs choose their names and files, so both are hostile."""

    pid: int
    files: tuple[str, ...]
    """The targets of its descriptors below ``/dev``, such as ``/dev/vfio/14``, and `VFIO_DEVICE`; sorted, each once."""


class OpenFiles(NamedTuple):
    """The visible holders, and an errno or ``not-recorded`` if there may be more."""

    processes: tuple[Process, ...]
    """By process id."""
    hidden: str | None


def read_open_files(tree: Tree) -> OpenFiles:
    """Every process that has a device open; one that ends meanwhile has nothing open."""
    names = names_in(f"{tree.root}/proc")
    if isinstance(names, Unreadable):
        return OpenFiles((), names.why)
    pids = sorted(int(name) for name in names or () if name.isdecimal())
    hidden = None if pids else "not-recorded"
    # Mounted with hidepid, /proc leaves out other users' processes, and process 1 with them.
    if tree.live and pids[:1] != [1]:
        hidden = "EPERM"
    found = []
    for pid in pids:
        files = _files(f"{tree.root}/proc/{pid}/fd")
        if isinstance(files, Unreadable):
            hidden = files.why
        elif files:
            found.append(Process(pid, files))
    return OpenFiles(tuple(found), hidden)


def possible_holders(tree: Tree, address: str) -> tuple[str, ...]:
    """The processes that may keep an unbind of the device from returning: ``VM win11 (pid 1234): /dev/vfio/14``.

    Those with a file of VFIO, or one of the device's kind; if the device's group is known, other groups' files do not
    count. A best effort: other drivers wait for their device alone (nvme, for a controller that does not answer).
    """
    place = f"sys/bus/pci/devices/{address}"
    kind = tree.text(f"{place}/class")
    nodes = re.compile("|".join((_VFIO, _NODES.get(kind[:4] if isinstance(kind, str) else "", _VFIO))))
    group = base_name(read_link(f"{tree.root}/{place}/iommu_group"))
    found = []
    for process in read_open_files(tree).processes:
        files = [
            file
            for file in process.files
            if nodes.match(file)
            and file != f"{_VFIO}vfio"
            and (not group or file == _VFIO + group or not file.removeprefix(_VFIO).isdigit())
        ]
        if files:
            found.append(f"{process_name(tree, process.pid)}: {', '.join(files)}")
    return tuple(found[:_MOST_NAMED])


def process_name(tree: Tree, pid: int) -> str:
    """``VM win11 (pid 226)``, or the program's ``qemu-system-x86 (pid 226)``; ``pid 226`` if neither is visible."""
    machine = virtual_machine(tree, pid)
    name = f"VM {machine}" if machine is not None else program(tree, pid)
    return f"{name} (pid {pid})" if name is not None else f"pid {pid}"


def program(tree: Tree, pid: int) -> str | None:
    """The short name of a process."""
    return to_text(_content(f"{tree.root}/proc/{pid}/comm")) or None


def virtual_machine(tree: Tree, pid: int) -> str | None:
    """The name of the virtual machine that a process runs, if its command line shows it.

    QEMU's ``-name guest=win11,debug-threads=on``, as libvirt gives it, or ``-name win11``; Proxmox VE puts ``-id 100``
    before that.
    """
    words = _content(f"{tree.root}/proc/{pid}/cmdline").decode("utf-8", "backslashreplace").split("\0")
    options = dict(pairwise(words))
    # A comma within a value is written twice.
    parts = options.get("-name", "").replace(",,", "\0").split(",")
    given = next((part for part in parts if part.startswith("guest=")), parts[0] if "=" not in parts[0] else "")
    guest = given.removeprefix("guest=").replace("\0", ",")
    return printable(" ".join(part for part in (options.get("-id"), guest) if part)) or None


def _files(place: str) -> tuple[str, ...] | Unreadable:
    names = names_in(place)
    if not isinstance(names, list):
        return names or ()
    found = set()
    for name in names:
        try:
            target = os.readlink(f"{place}/{name}")
        except PermissionError:
            return Unreadable("EACCES")  # descriptors may be listed although their targets cannot be read
        except OSError:
            continue
        if target.startswith("/dev/") or target == VFIO_DEVICE:
            found.add(printable(target))
    return tuple(sorted(found))


_MOST_ABOVE = 16
"""The most parent processes that are read."""


def session_address(environment: Mapping[str, str] | None = None, root: str = "", pid: int | None = None) -> str | None:
    """The address of this machine that the SSH session came to; None if there is none, or it does not show.

    ``SSH_CONNECTION`` is ``CLIENT PORT SERVER PORT``. sudo, pkexec and run0 drop it, so parent processes are read too,
    if permitted.
    """
    here = os.environ if environment is None else environment
    address = _server(here.get("SSH_CONNECTION", ""))
    current = os.getppid() if pid is None else pid
    for _ in range(_MOST_ABOVE):
        if address is not None or current <= 1:
            break
        variables = _content(f"{root}/proc/{current}/environ").split(b"\0")
        found = next((v for v in variables if v.startswith(b"SSH_CONNECTION=")), b"")
        address = _server(found.partition(b"=")[2].decode("ascii", "replace"))
        # ``PID (NAME) STATE PARENT``, and the name may hold blanks and parentheses.
        fields = _content(f"{root}/proc/{current}/stat").rpartition(b")")[2].split()
        current = int(fields[1]) if len(fields) > 1 and fields[1].isdigit() else 0
    return address


def _server(connection: str) -> str | None:
    parts = connection.split()
    return parts[2] if len(parts) == 4 else None


def _content(path: str) -> bytes:
    data = read_file(path, 1 << 20)
    return data if isinstance(data, bytes) else b""


_NODE = re.compile(
    r"/dev/vfio/(?:noiommu-)?(?P<group>\d{1,9})(?: \(deleted\))?"
    r"|/dev/vfio/devices/(?P<cdev>vfio\d{1,9})(?P<gone> \(deleted\))?"
)
"""A group, or a device of its own; what is deleted is no longer there under its name."""


def claims_now(host: Host, root: str = "/") -> Host:
    """The Host with its present claims; only ``/proc`` and ``/dev/vfio`` are read.

    A claim causes no event, so it has to be polled. The same Host if nothing has changed.
    """
    bare = {number: group._replace(claim=None) for number, group in host.groups.items()}
    without = tuple(gap for gap in host.gaps if gap.attribute != "claims")
    now = with_claims(Tree(root), host._replace(groups=bare, gaps=without))
    return host if (now.groups, set(now.gaps)) == (host.groups, set(host.gaps)) else now


def with_claims(tree: Tree, host: Host) -> Host:
    """The Host with a claim for every group that a process has open.

    A group that is open without a container, or a device's node that is open but not bound to an iommufd, is not
    claimed; neither can be seen from outside, and both count as claims. Other users' processes are visible to root
    only, and a recording rarely has any: a gap ``claims`` says so, if there is something to claim.
    """
    nodes = names_in(f"{tree.root}/dev/vfio")
    if nodes is None and tree.root and any(is_vfio(host, d, d.driver) for d in host.devices.values()):
        return host._replace(gaps=(*host.gaps, Gap("claims", "not-recorded")))
    if not isinstance(nodes, list) or not any(node != "vfio" for node in nodes):
        return host
    seen = read_open_files(tree)
    by_cdev = {name: device for device in host.devices.values() for name in device.vfio_dev or ()}
    claims: dict[int, Claim] = {}
    opened: list[tuple[Device, str]] = []
    gone: list[tuple[str, str]] = []
    for process in seen.processes:
        found = [match for file in process.files if (match := _NODE.fullmatch(file))]
        owner = process_name(tree, process.pid) if found else ""
        for node in found:
            if node["gone"]:
                gone.append((node["cdev"], owner))
            elif node["cdev"] in by_cdev:
                opened.append((by_cdev[node["cdev"]], owner))
            elif node["group"] and (group := host.groups.get(int(node["group"]))) is not None:
                held = _held(host, group) if VFIO_DEVICE in process.files else ()
                claims.setdefault(group.id, Claim(owner, opened=held))
    for device, owner in (*opened, *_leaving(host, gone, by_cdev)):
        if device.group in host.groups:
            claims[device.group] = _with_cdev(claims.get(device.group) or Claim(owner, 0, "cdev"), device)
    groups = {number: group._replace(claim=claims.get(number, group.claim)) for number, group in host.groups.items()}
    gaps = (*host.gaps, Gap("claims", seen.hidden)) if seen.hidden is not None else host.gaps
    return host._replace(groups=groups, gaps=gaps)


def _leaving(host: Host, gone: list[tuple[str, str]], by_cdev: dict[str, Device]) -> list[tuple[Device, str]]:
    """Devices whose own node is gone because their unbind waits for its holder, each with the possible holders.

    Sysfs does not show whose node it was, and another device may have its name by now, so any of these holders may
    have any device that is being unbound. A Host read before the unbind began has the names.
    """
    owners = " or ".join(dict.fromkeys(owner for _, owner in gone))
    leaving = [(device, owners) for device in host.devices.values() if device.being_unbound] if gone else []
    return leaving or [(by_cdev[name], owner) for name, owner in gone if name in by_cdev]


def _held(host: Host, group: Group) -> tuple[Address, ...]:
    """Members on a VFIO driver, and those whose unbind waits already."""
    return tuple(d.address for d in host.members(group) if d.being_unbound or is_vfio(host, d, d.driver))


def _with_cdev(claim: Claim, device: Device) -> Claim:
    """Adds a device that is open by its own node; a claim by the group includes it already."""
    if claim.via != "cdev" or device.address in claim.opened:
        return claim
    return claim._replace(uses=claim.uses + 1, opened=(*claim.opened, device.address))
