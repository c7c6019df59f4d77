"""Who owns the DMA of a group: processes that have VFIO's device nodes open."""

import re
from typing import NamedTuple

from iommutui.core.address import Address
from iommutui.core.host import Claim, Device, Gap, Group, Host
from iommutui.core.roles import is_vfio
from iommutui.sources.processes import DELETED, VFIO_DEVICE, process_name, read_open_files
from iommutui.sources.tree import Tree, names_in

_GROUP = re.compile(r"/dev/vfio/(?:noiommu-)?(\d{1,9})(?: \(deleted\))?")
_CDEV = re.compile(r"/dev/vfio/devices/(vfio\d{1,9})((?: \(deleted\))?)")


def claims_now(host: Host, root: str = "/") -> Host:
    """The Host with the claims of this moment; nothing but ``/proc`` and ``/dev/vfio`` is looked at.

    A claim makes no event, so that it has to be asked for again and again. The same Host where nothing has changed.
    """
    bare = {number: group._replace(claim=None) for number, group in host.groups.items()}
    without = tuple(gap for gap in host.gaps if gap.attribute != "claims")
    now = with_claims(Tree(root), host._replace(groups=bare, gaps=without))
    return host if (now.groups, set(now.gaps)) == (host.groups, set(host.gaps)) else now


class Holder(NamedTuple):
    """A process and what of VFIO it has open."""

    name: str
    """``VM win11 (pid 226)``, or the program's ``qemu-system-x86 (pid 226)``."""
    groups: tuple[int, ...]
    cdevs: tuple[str, ...]
    """Names such as ``vfio0``."""
    gone: tuple[str, ...]
    """Those of nodes that are gone: by now another device may have the name."""
    has_device: bool
    """Whether it has got a device from a group; from which one does not show."""


def with_claims(tree: Tree, host: Host) -> Host:
    """The Host with a claim for every group that a process has open.

    A group that is open without a container, or a device's node that is open but not bound to an iommufd, is claimed
    by nobody; neither shows from outside, and both are taken for claims. Other users' processes are visible to root
    only, and a recording rarely has any: a gap ``claims`` says so, where there is something to claim.
    """
    nodes = names_in(f"{tree.root}/dev/vfio")
    if nodes is None and tree.root and any(is_vfio(host, d, d.driver) for d in host.devices.values()):
        return host._replace(gaps=(*host.gaps, Gap("claims", "not-recorded")))
    if not isinstance(nodes, list) or not any(node != "vfio" for node in nodes):
        return host
    holders, hidden = find_holders(tree)
    by_cdev = {name: device for device in host.devices.values() for name in device.vfio_dev or ()}
    groups = dict(host.groups)
    for holder in holders:
        for number in holder.groups:
            group = groups.get(number)
            if group is not None and group.claim is None:
                opened = _held(host, group) if holder.has_device else ()
                groups[number] = group._replace(claim=Claim(holder.name, opened=opened))
        for name in holder.cdevs:
            device = by_cdev.get(name)
            if device is not None and device.group in groups:
                groups[device.group] = _with_cdev(groups[device.group], holder.name, device)
    _add_leaving(host, groups, [holder for holder in holders if holder.gone], by_cdev)
    gaps = (*host.gaps, Gap("claims", hidden)) if hidden is not None else host.gaps
    return host._replace(groups=groups, gaps=gaps)


def _add_leaving(host: Host, groups: dict[int, Group], holders: list[Holder], by_cdev: dict[str, Device]) -> None:
    """Claims for devices whose own node is gone because their unbind waits for its holder.

    Nothing in sysfs says which node was whose, so that every device that is being unbound and is nobody else's may be
    what any of these holders has. A Host that was read before the unbind began still has the names.
    """
    if not holders:
        return
    leaving = [device for device in host.devices.values() if device.being_unbound]
    if not leaving:
        named = {name: holder for holder in holders for name in holder.gone if name in by_cdev}
        pairs = [(by_cdev[name], holder.name) for name, holder in named.items()]
    else:
        owners = " or ".join(dict.fromkeys(holder.name for holder in holders))
        pairs = [(device, owners) for device in leaving]
    for device, owner in pairs:
        group = groups.get(device.group) if device.group is not None else None
        if group is not None and (group.claim is None or device.address not in group.claim.opened):
            claim = group.claim or Claim(owner, 0, "cdev")
            if claim.via == "cdev":
                opened = (*claim.opened, device.address)
                groups[group.id] = group._replace(claim=claim._replace(uses=claim.uses + 1, opened=opened))


def _held(host: Host, group: Group) -> tuple[Address, ...]:
    """Members on a VFIO driver, and those whose unbind waits already."""
    return tuple(d.address for d in host.members(group) if d.being_unbound or is_vfio(host, d, d.driver))


def _with_cdev(group: Group, owner: str, device: Device) -> Group:
    claim = group.claim or Claim(owner, 0, "cdev")
    if claim.owner != owner or claim.via != "cdev":
        return group
    return group._replace(claim=claim._replace(uses=claim.uses + 1, opened=(*claim.opened, device.address)))


def find_holders(tree: Tree) -> tuple[list[Holder], str | None]:
    """Processes that have a node of VFIO open, by process id; and why there may be others that do not show."""
    found = []
    seen = read_open_files(tree)
    for process in seen.processes:
        groups = sorted({int(match[1]) for file in process.files if (match := _GROUP.fullmatch(file))})
        cdevs = [match for file in process.files if (match := _CDEV.fullmatch(file))]
        if not groups and not cdevs:
            continue
        found.append(
            Holder(
                process_name(tree, process.pid),
                tuple(groups),
                tuple(match[1] for match in cdevs if match[2] != DELETED),
                tuple(match[1] for match in cdevs if match[2] == DELETED),
                VFIO_DEVICE in process.files,
            )
        )
    return found, seen.hidden
