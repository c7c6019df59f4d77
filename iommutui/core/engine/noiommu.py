"""VFIO's no-IOMMU mode: a VFIO driver makes a group for a device that has none (``vfio_noiommu_group_alloc``).

The group has the lowest free number, the name ``vfio-noiommu`` and the type ``unknown``; its node is
``/dev/vfio/noiommu-N``, and there is no file of the device. It goes with the driver. Seen on 6.12.
"""

from iommutui.core.host import NO_IOMMU, Device, Group, Host
from iommutui.core.models.base import since, unbind_pending
from iommutui.core.roles import is_vfio


def may_have_group(host: Host) -> bool:
    """Whether the mode is on; before 5.19 there may be no IOMMU either (``iommu_present``)."""
    return bool(host.vfio.noiommu) and (since(host, (5, 19)) or not host.iommus)


def with_group(host: Host, device: Device) -> Host:
    """The Host after a driver was bound, with the group that it has made."""
    if device.group is not None or not is_vfio(host, device, device.driver):
        return host
    number = next(n for n in range(len(host.groups) + 1) if n not in host.groups)
    group = Group(number, (device.address,), "unknown", NO_IOMMU, ())
    groups = dict(sorted({**host.groups, number: group}.items()))
    return host.with_device(device._replace(group=number))._replace(groups=groups)


def without_group(host: Host, group: Group) -> Host:
    """The Host without a group of this mode whose device has been let go (``vfio_group_remove``)."""
    if group.name != NO_IOMMU or any(d.driver is not None or unbind_pending(group, d) for d in host.members(group)):
        return host
    for device in host.members(group):
        host = host.with_device(device._replace(group=None))
    return host.without_group(group.id)
