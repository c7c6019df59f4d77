"""Facts from processes: open devices, hence owners of groups, and the SSH session of this process.

One walk through ``/proc`` finds owners of groups, users of devices, and processes that an unbind waits for. Only root
sees other users' processes, and a recording rarely has any. Their names and files are hostile text.
"""

import os
import re
from itertools import pairwise

from iommutui.core.address import Address
from iommutui.core.host import Claim, Device, Gap, Group, Host, is_vfio
from iommutui.sources.tree import Tree, Unreadable, base_name, names_in, printable, read_file, read_link, to_text

VFIO_DEVICE = "anon_inode:[vfio-device]"
"""A device that was got from its group; from which one does not show."""

OpenFiles = dict[int, tuple[str, ...]]
"""By process id, the targets of its descriptors below ``/dev``, such as ``/dev/vfio/14``, and `VFIO_DEVICE`; sorted."""

_NODES = {"0x03": "|/dev/(?:dri/|nvidia)", "0x04": "|/dev/snd/"}
"""Nodes of displays and of sound, by the base class of the device."""
_MOST_NAMED = 8
"""No more processes are named."""
_MOST_ABOVE = 16
"""The most parent processes that are read."""


def read_open_files(tree: Tree) -> tuple[OpenFiles, str | None]:
    """The processes that have a device open, and an errno or ``not-recorded`` if there may be more.

    One that ends meanwhile has nothing open.
    """
    names = names_in(f"{tree.root}/proc")
    if isinstance(names, Unreadable):
        return {}, names.why
    pids = sorted(int(name) for name in names or () if name.isdecimal())
    hidden = None if pids else "not-recorded"
    # Mounted with hidepid, /proc leaves out other users' processes, and process 1 with them.
    if tree.live and pids[:1] != [1]:
        hidden = "EPERM"
    found = {}
    for pid in pids:
        files = _files(f"{tree.root}/proc/{pid}/fd")
        if isinstance(files, Unreadable):
            hidden = files.why
        elif files:
            found[pid] = files
    return found, hidden


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


def possible_holders(tree: Tree, address: str) -> tuple[str, ...]:
    """The processes that may keep an unbind of the device from returning: ``VM win11 (pid 1234): /dev/vfio/14``.

    Those with a file of VFIO, or one of the device's kind; if the device's group is known, other groups' files do not
    count. A best effort: other drivers wait for their device alone (nvme, for a controller that does not answer).
    """
    place = f"sys/bus/pci/devices/{address}"
    group = base_name(read_link(f"{tree.root}/{place}/iommu_group"))
    other_group = rf"(?!{group}$)\d+$" if group.isdecimal() else "$"
    kind = str(tree.text(f"{place}/class"))[:4]
    nodes = re.compile(rf"/dev/vfio/(?!vfio$|{other_group}){_NODES.get(kind, '')}")
    found = []
    for pid, files in read_open_files(tree)[0].items():
        if held := [file for file in files if nodes.match(file)]:
            found.append(f"{process_name(tree, pid)}: {', '.join(held)}")
    return tuple(found[:_MOST_NAMED])


def process_name(tree: Tree, pid: int) -> str:
    """``VM win11 (pid 226)``, or the program's ``qemu-system-x86 (pid 226)``; ``pid 226`` if neither is visible.

    The name of a virtual machine is in the command line: QEMU's ``-name guest=win11,debug-threads=on``, as libvirt
    gives it, or ``-name win11``; Proxmox VE puts ``-id 100`` before that. A comma within a value is written twice.
    """
    words = _content(f"{tree.root}/proc/{pid}/cmdline").decode("utf-8", "backslashreplace").split("\0")
    options = dict(pairwise(words))
    guest = re.match(r"(?:.*,)?guest=((?:,,|[^,])+)|([^,=]+)(?:,|$)", options.get("-name", ""))
    given = (guest[1] or guest[2]).replace(",,", ",") if guest else ""
    machine = printable(" ".join(part for part in (options.get("-id"), given) if part))
    name = f"VM {machine}" if machine else program(tree, pid)
    return f"{name} (pid {pid})" if name else f"pid {pid}"


def program(tree: Tree, pid: int) -> str:
    """The short name of a process; empty if it is not visible."""
    return to_text(_content(f"{tree.root}/proc/{pid}/comm"))


def session_address(root: str = "", pid: int | None = None) -> str | None:
    """The address of this machine that the SSH session came to; None if there is none, or it does not show.

    ``SSH_CONNECTION`` is ``CLIENT PORT SERVER PORT``. sudo, pkexec and run0 drop it, so parent processes are read too,
    if permitted.
    """
    current = os.getpid() if pid is None else pid
    for _ in range(_MOST_ABOVE):
        variables = _content(f"{root}/proc/{current}/environ")
        found = re.search(rb"(?:^|\0)SSH_CONNECTION=\S+ \S+ (\S+) \S+(?:\0|$)", variables)
        if found is not None:
            return found[1].decode("ascii", "replace")
        # ``PID (NAME) STATE PARENT``, and the name may hold blanks and parentheses.
        fields = _content(f"{root}/proc/{current}/stat").rpartition(b")")[2].split()
        current = int(fields[1]) if len(fields) > 1 and fields[1].isdigit() else 0
        if current <= 1:
            break
    return None


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
    open_files, hidden = read_open_files(tree)
    by_cdev = {name: device for device in host.devices.values() for name in device.vfio_dev or ()}
    claims: dict[int, Claim] = {}
    opened: list[tuple[Device, str]] = []
    gone: list[tuple[str, str]] = []
    for pid, files in open_files.items():
        found = [match for file in files if (match := _NODE.fullmatch(file))]
        owner = process_name(tree, pid) if found else ""
        for node in found:
            if node["gone"]:
                gone.append((node["cdev"], owner))
            elif node["cdev"] in by_cdev:
                opened.append((by_cdev[node["cdev"]], owner))
            elif node["group"] and (group := host.groups.get(int(node["group"]))) is not None:
                held = _held(host, group) if VFIO_DEVICE in files else ()
                claims.setdefault(group.id, Claim(owner, opened=held))
    for device, owner in (*opened, *_leaving(host, gone, by_cdev)):
        if device.group in host.groups:
            claim = claims.get(device.group) or Claim(owner, 0, "cdev")
            if claim.via == "cdev" and device.address not in claim.opened:  # a claim by the group includes it
                claim = claim._replace(uses=claim.uses + 1, opened=(*claim.opened, device.address))
            claims[device.group] = claim
    groups = {number: group._replace(claim=claims.get(number, group.claim)) for number, group in host.groups.items()}
    gaps = (*host.gaps, Gap("claims", hidden)) if hidden is not None else host.gaps
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
