"""``remove`` and ``rescan`` (``drivers/pci/pci-sysfs.c``, ``pci_device_group``), and writes that have the same effect.

Those are ``unbind``, ``bind`` and ``drivers_probe`` of a controller with a PCI domain of its own below it (VMD):
``vmd_remove()`` stops and removes all that is behind it, as ``remove`` does, and ``vmd_probe()`` scans for it again.
"""

from collections.abc import Collection, Mapping, Sequence

from iommutui.core.address import Address, sort_key
from iommutui.core.engine import binding
from iommutui.core.engine.binding import driver_left, driverless, let_go
from iommutui.core.events import Bind, Probe, Remove, Rescan, Unbind
from iommutui.core.host import Device, Group, Host, by_address, by_number
from iommutui.core.models import Model
from iommutui.core.reasons import OK, Code, Outcome, Reason, missing, refused
from iommutui.core.topology import VMD, above, behind, controller_of, without


def remove(host: Host, event: Remove, model: Model) -> Outcome:
    """``remove_store``: unbinds, which may wait, and takes the device and everything below it out of their groups.

    While it waits, the device is among those that are there and among those that are removed. A virtual function has
    no such file (``pci_dev_hp_attrs_are_visible``).
    """
    device = host.devices.get(event.device)
    if device is None:
        return missing(host, event.device, "ENOENT")
    if device.physfn is not None:
        return refused(host, "ENOENT", Reason(Code.VIRTUAL_FUNCTION, device.group, device.address))
    gone = below(host, event.device)
    touched = tuple(group.id for group in host.groups_of(gone))
    marked = host._replace(removed={**host.removed, **{a: _parted(host, host.devices[a]) for a in gone}})
    after, waiting = stop(marked, gone, model)
    if waiting:
        return Outcome(OK, after, waiting, blocks=True, groups=touched)
    return Outcome(OK, take_away(after, gone, model), groups=touched)


def rescan(host: Host, event: Rescan, model: Model) -> Outcome:
    """``dev_rescan_store``: finds what was removed, as far as the bridge above it is there; then drivers are probed."""
    again = _scan_order(host)
    was = {device.address: device.group for device in again}
    after = host._replace(removed={a: d for a, d in host.removed.items() if a not in was})
    for device in again:
        after = _rediscover(after, device, was)
    touched = tuple(group.id for group in after.groups_of(was))
    reasons: tuple[Reason, ...] = ()
    for device in again:
        outcome = binding.probe(after, Probe(device.address), model)
        after = outcome.host
        if outcome.crash is not None:
            return outcome._replace(groups=touched)
        if after.devices[device.address].driver is None and outcome.result != OK:
            reasons = (*reasons, *outcome.reasons)
    return Outcome(OK, after, reasons, groups=touched)


def _scan_order(host: Host) -> list[Device]:
    """What a scan finds, in its order (``pci_scan_child_bus``): a bus first, then what is below each of its bridges.

    Bridges that were there come before those that the scan has found, which stand at the end of the bus's list.
    """
    gone = [d for address, d in host.removed.items() if address not in host.devices]
    gone = [d for d in gone if (top := controller_of(host, d)) is None or top.driver == VMD]  # others find the rest
    known = {*host.devices, *(device.address for device in gone)}
    buses: dict[str, list[Device]] = {}
    roots: dict[str, None] = {}
    for device in sorted((*host.devices.values(), *gone), key=lambda d: sort_key(d.address)):
        name = device.parent or device.address.rpartition(":")[0]
        buses.setdefault(name, []).append(device)
        # A bus whose bridge was not recorded exists as long as a device is on it.
        if device.parent is None or (device.parent not in known and device.address in host.devices):
            roots[name] = None
    found: list[Device] = []
    ahead = list(reversed(roots))
    while ahead:
        bus = buses.pop(ahead.pop(), [])
        found += [device for device in bus if device.address not in host.devices]
        bridges = sorted(bus, key=lambda d: (d.address not in host.devices, d.not_isolated_from is not None))
        ahead += [device.address for device in reversed(bridges) if device.address in buses]
    return found


def below(host: Host, address: Address) -> list[Address]:
    """The device and everything behind it, each bridge before what is on its bus, a bus in the order of addresses."""
    paths = {}
    for device in host.devices.values():
        path = [device.address, *(each.address for each in above(host, device))]
        if address in path:
            paths[device.address] = [sort_key(each) for each in reversed(path[: path.index(address) + 1])]
    return sorted(paths, key=lambda each: paths[each])


def stop(host: Host, found: Sequence[Address], model: Model) -> tuple[Host, tuple[Reason, ...]]:
    """Unbinds the devices ``below``, up to the first that is in use; those after it keep their drivers meanwhile.

    ``pci_stop_bus_device`` goes from the last device of a bus to the first, and to the bridge at the end.
    """
    for address in reversed(found):
        host, waiting = let_go(host, host.devices[address], model)
        if waiting:
            return host, waiting
    return host, ()


def finish_removal(host: Host, model: Model) -> Host:
    """The Host after a release: a ``remove`` that waited continues to its end or to the next device in use."""
    leaving = [address for address in host.removed if address in host.devices]
    if not leaving:
        return host
    tops = [address for address in leaving if host.devices[address].parent not in leaving]
    after, waiting = stop(host, [a for top in reversed(tops) for a in below(host, top)], model)
    return after if waiting else take_away(after, leaving, model)


def take_away(host: Host, gone: Collection[Address], model: Model) -> Host:
    """The Host without these devices, in ``removed`` only what a scan finds: not virtual functions."""
    after = without(host, gone)
    for number in (group.id for group in host.groups_of(gone)):
        group = after.groups[number]
        after = driver_left(after, group, model) if group.members else after.without_group(number)
    return after._replace(removed={a: d for a, d in after.removed.items() if d.physfn is None and d.bus == "pci"})


def _rediscover(host: Host, device: Device, was: Mapping[Address, int | None]) -> Host:
    """Adds a device that ``rescan`` has found, without override or virtual functions.

    It joins a bridge above it that was in its group (``pci_device_group``), else a function of its slot if it has the
    multi-function bit, which function 0 must have and the others may (``get_pci_function_alias_group``). Otherwise
    ``iommu_group_alloc`` hands out the lowest free number. ``was`` holds the old groups of the devices that come back.
    """
    old = number = device.group
    if old is not None:
        several = device.multifunction if device.multifunction is not None else device.address.endswith(".0")
        near = [d for d in above(host, device) if was.get(d.address, d.group) == old]
        near += _not_isolated(host, device) if several else []
        joined = (d.group for d in near if d.group is not None)
        number = next(joined, next(n for n in range(len(host.groups) + 1) if n not in host.groups))
    fresh = device._replace(driver_override=None, virtfns=(), group=number)
    devices = {**host.devices, device.address: fresh}
    after = host._replace(devices=by_address(devices.values()))
    if number is None:
        return after
    group = host.groups.get(number, Group(number))
    group = group._replace(members=tuple(sorted((*group.members, device.address), key=sort_key)))
    return after._replace(groups=by_number({**host.groups, number: group}.values()))


def _parted(host: Host, device: Device) -> Device:
    """The device as it is removed, with the functions that nothing isolates it from: nothing else shows ACS here."""
    mates = {d.address for d in host.same_slot(device.address) if d.group is not None and d.group == device.group}
    known = tuple(sorted(mates.union(device.not_isolated_from or ()), key=sort_key))
    return driverless(host, device)._replace(not_isolated_from=known)


def _not_isolated(host: Host, device: Device) -> list[Device]:
    """The functions of its slot that were ever in one group with it; the kernel visits the newest of them last."""
    found = [
        other
        for other in host.same_slot(device.address)
        if other.address in (device.not_isolated_from or ()) or device.address in (other.not_isolated_from or ())
    ]
    return sorted(found, key=lambda other: other.not_isolated_from is not None)


def unbind(host: Host, event: Unbind, model: Model) -> Outcome:
    """The devices behind it go first; the first of them in use is waited for."""
    device = host.devices.get(event.device)
    if device is None or not behind(host, device):
        return binding.unbind(host, event, model)
    gone = below(host, device.address)[1:]
    after, waiting = stop(host, gone, model)
    if waiting:
        return Outcome(OK, after, waiting, blocks=True)
    left = {**host.removed, **{address: after.devices[address] for address in gone}}
    return binding.unbind(take_away(after, gone, model)._replace(removed=left), event, model)


def probe(host: Host, event: Bind | Probe, model: Model) -> Outcome:
    """The devices behind it come back with the driver."""
    outcome = binding.bind(host, event, model) if isinstance(event, Bind) else binding.probe(host, event, model)
    address = event.device
    before, now = host.devices.get(address), outcome.host.devices.get(address)
    if before is None or now is None or before.driver == VMD or now.driver != VMD:
        return outcome
    removed = outcome.host.removed
    own = {a for a, d in removed.items() if (top := controller_of(outcome.host, d)) and top.address == address}
    scanned = rescan(outcome.host._replace(removed={a: removed[a] for a in own}), Rescan(), model).host
    return outcome._replace(host=scanned._replace(removed={a: d for a, d in removed.items() if a not in own}))
