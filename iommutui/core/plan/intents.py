"""What a user wants: a device and its target."""

from typing import NamedTuple

from iommutui.core.address import Address
from iommutui.core.board import of_the_board
from iommutui.core.drivers import STUB
from iommutui.core.engine.matching import candidates
from iommutui.core.host import Device, Host
from iommutui.core.plan.targets import DEFAULT, NONE, Target, TargetKind, exists_somewhere, find_target
from iommutui.core.reasons import Code, Reason
from iommutui.core.roles import serves_host
from iommutui.core.topology import controller_of


class Intent(NamedTuple):
    """``DEVICE=TARGET``."""

    device: Address
    target: str

    def __str__(self) -> str:
        return f"{self.device}={self.target}"


class Goal(NamedTuple):
    """Where a device is to end up, and the override that gets it there."""

    device: Address
    driver: str | None
    """The driver to be on at the end; None: free. With ``any_driver``, what is predicted."""
    aim: str | None
    """The override while the device is unbound and probed."""
    override: str | None
    """The override that is left behind."""
    any_driver: bool = False
    """The kernel chooses: success is whatever it binds."""
    seen: bool = False
    """The device has been on this driver before, so that it fits whatever its tables say."""


def goal_of(host: Host, intent: Intent) -> tuple[Goal | None, Target | None, Reason | None]:
    """The goal of an intent, with its target; or the reason why it is refused whatever the model says."""
    device = host.devices.get(intent.device)
    if device is None:
        return None, None, Reason(Code.NO_DEVICE, device=intent.device)
    if device.bus != "pci":
        return None, None, Reason(Code.NOT_PCI, device.group, device.address, facts=(("bus", device.bus),))
    target = find_target(host, device, intent.target)
    if target is None:
        return None, None, _why_no_target(host, device, intent.target)
    if target.kind is TargetKind.NONE:
        return Goal(device.address, None, NONE, NONE), target, None
    if target.kind is TargetKind.DEFAULT:
        return Goal(device.address, default_driver(host, device), None, None, any_driver=True), target, None
    return Goal(device.address, target.name, target.name, target.name), target, None


def _why_no_target(host: Host, device: Device, name: str) -> Reason:
    plain = name.replace("_", "-")
    if device.is_bridge and "vfio" in name:
        return Reason(Code.BRIDGE, device.group, device.address, name)
    if (what := of_the_board(device)) and ("vfio" in name or plain == STUB):
        return Reason(Code.OF_THE_BOARD, device.group, device.address, name, (("what", what),))
    if "vfio" in name and (controller := controller_of(host, device)) is not None:
        return Reason(Code.BEHIND_VMD, device.group, device.address, name, (("controller", controller.address),))
    if plain in host.lacks:
        return Reason(Code.NO_MODULE, device.group, device.address, plain)
    code = Code.UNFIT_DRIVER if exists_somewhere(host, name) else Code.NO_DRIVER
    return Reason(code, device.group, device.address, name)


def default_driver(host: Host, device: Device) -> str | None:
    """The driver that the kernel is expected to choose without an override."""
    if serves_host(host, device, device.driver):
        return device.driver
    refused = {fit.driver for fit in device.fits or () if fit.refused}
    found = candidates(host, device._replace(driver_override=None))
    return next((name for name in found if name not in refused), None)


def restoring(device: Address, driver: str | None, override: str | None) -> Goal:
    """The goal that puts a device back exactly: aimed at its old driver, with its old override left behind."""
    return Goal(device, driver, driver if driver is not None else override, override, seen=driver is not None)


__all__ = ["DEFAULT", "NONE", "Goal", "Intent", "default_driver", "goal_of", "restoring"]
