"""Settings that are read at every boot: driverctl, modprobe.d."""

from iommutui.core.drivers import underscored
from iommutui.core.errors import RefusedError
from iommutui.core.host import Device
from iommutui.core.plan.intents import Goal
from iommutui.core.roles import serves_host
from iommutui.export.base import Format, Subject, by_ids, ids_of, is_name


def _driverctl(subject: Subject) -> list[str]:
    return [_override(device, goal) for device, goal in subject.moved]


def _override(device: Device, goal: Goal) -> str:
    if goal.override is None:
        return f"driverctl unset-override {device.address}"
    if not is_name(goal.override):
        raise RefusedError(f"{goal.override!r} is not a driver name that driverctl accepts.")
    return f"driverctl set-override {device.address} {goal.override}"


def id_parameters(subject: Subject) -> dict[str, str]:
    """``{"vfio-pci": "10de:2204,10de:1aef"}``; RefusedError where no target of the plan takes ids."""
    found: dict[str, list[str]] = {}
    for device, driver in by_ids(subject):
        found.setdefault(driver, []).append(ids_of(subject, device))
    if not found:
        raise RefusedError(
            "Only vfio-pci and pci-stub can be set by ids, and no device of this plan goes to them.",
            "'iommutui persist' makes any other target last.",
        )
    return {driver: ",".join(dict.fromkeys(ids)) for driver, ids in found.items()}


def left_out(subject: Subject) -> list[str]:
    """A note for the devices that settings by ids cannot be made for."""
    known = {device.address for device, _ in by_ids(subject)}
    rest = [goal.device for _, goal in subject.moved if goal.device not in known]
    return [f"Left out, because their targets cannot be set by ids: {', '.join(rest)}."] if rest else []


def _modprobe(subject: Subject) -> list[str]:
    lines: list[str] = []
    host_drivers: dict[str, dict[str, None]] = {}
    for device, driver in by_ids(subject):
        names = [_module(subject, device.driver)] if serves_host(subject.host, device, device.driver) else []
        names += [fit.module for fit in device.fits or () if not fit.vfio and not fit.refused]
        host_drivers.setdefault(driver, {}).update(dict.fromkeys(underscored(n) for n in names if n and is_name(n)))
    for driver, ids in id_parameters(subject).items():
        lines.append(f"options {driver} ids={ids}")
        lines += [f"softdep {name} pre: {driver}" for name in host_drivers[driver] if name != underscored(driver)]
    return lines


def _module(subject: Subject, driver: str | None) -> str | None:
    """The module that the driver came from, which may have another name."""
    return next((each.module for each in subject.host.drivers or () if each.name == driver and each.module), driver)


def _built_in(subject: Subject) -> list[str]:
    drivers = {driver.name for driver in subject.host.drivers or () if driver.module is None}
    found = sorted(drivers.intersection(driver for _, driver in by_ids(subject)))
    if not found:
        return []
    return [
        f"WARNING: {', '.join(found)} may be built into this kernel. Then this file has no effect: use the kernel's "
        "command line instead ('iommutui export' lists the formats)."
    ]


FORMATS = (
    Format(
        "driverctl",
        "Overrides that driverctl sets at every boot",
        "a root shell; driverctl keeps them in /etc/driverctl.d.",
        "at once and at every boot, but only after the host driver has had the device: not early enough for a display.",
        "driverctl --noprobe unset-override ADDRESS, for every address below, and a reboot.",
        _driverctl,
        vm=False,
        first="#!/bin/sh",
        notes=lambda subject: [
            "driverctl 0.115 also gives vfio-pci the ids of the device: a second card of the same kind that is on no "
            "driver may go to vfio-pci with it."
        ],
    ),
    Format(
        "modprobe.d",
        "Options of vfio-pci for modprobe",
        "/etc/modprobe.d/iommutui-vfio.conf. Then rebuild the initramfs: 'update-initramfs -u' (Debian, Ubuntu), "
        "'dracut -f' (Fedora), 'mkinitcpio -P' (Arch).",
        "at the next boot.",
        "remove the file and rebuild the initramfs.",
        _modprobe,
        vm=False,
        by_ids=True,
        notes=lambda subject: [*_built_in(subject), *left_out(subject)],
    ),
)
