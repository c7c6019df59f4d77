"""A kernel that is played by the engine: what a snapshot's plans are applied to. It has no access to any file."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

from iommutui.apply.kernel import Answer, GivenUp, Late, LoadAnswer, Loaded, ReadBack, Waiting, Written
from iommutui.core.address import Address
from iommutui.core.drivers import STUB, VFIO_PCI, underscored
from iommutui.core.engine.transition import transition
from iommutui.core.errors import IommutuiError
from iommutui.core.events import Bind
from iommutui.core.host import Device, Driver, Fit, Host
from iommutui.core.models.base import Model
from iommutui.core.plan.planner import Step


class SimulatedKernel:
    """``host`` is the machine as it is now."""

    lasting = False

    def __init__(self, host: Host, model: Model) -> None:
        self.host = host
        self.model = model

    def hold(self) -> AbstractContextManager[None]:
        """Nobody else has it."""
        return nullcontext()

    def boot(self) -> str | None:
        """It never boots."""
        return None

    def check(self, steps: Sequence[Step]) -> None:
        """Everything may be written."""

    def observe(self) -> Host:
        """The Host as it is."""
        return self.host

    def survey(self) -> Host:
        """The same: a Host has what it has."""
        return self.host

    def read_back(self, address: Address) -> ReadBack:
        """From the Host."""
        device = self.host.devices.get(address)
        if device is None:
            raise IommutuiError(f"There is no device {address} any more.")
        return ReadBack(device.driver, device.driver_override)

    def write(self, step: Step, late: Late) -> Iterator[Answer]:
        """One transition; what would block is given up at once. IommutuiError where the kernel would not survive."""
        outcome = transition(self.host, step.event, self.model)
        if outcome.crash is not None:
            raise IommutuiError(f"The kernel would not survive this write: {outcome.crash}")
        self.host = outcome.host
        if outcome.blocks:
            holders = tuple(reason.fact("owner") for reason in outcome.reasons if reason.fact("owner"))
            yield Waiting(0.0, holders)
            yield GivenUp(0.0, holders)
            return
        yield Written(outcome.result)

    def load_module(self, name: str) -> Iterator[LoadAnswer]:
        """Registers the module's drivers, which then take the free devices that match, as they do on a real machine."""
        drivers = _drivers_of(self.host, name)
        if not drivers:
            raise IommutuiError(f"The module {name} is missing: no driver of this machine comes from it.")
        devices = {address: _with_loaded(device, name) for address, device in self.host.devices.items()}
        known = self.host.drivers
        if known is not None:
            known = (*known, *(Driver(driver, name) for driver in drivers if not self.host.has_driver(driver)))
        self.host = self.host._replace(devices=devices, drivers=known)
        for device in devices.values():
            if device.bus == "pci" and device.driver is None:
                self._take(device.address, drivers)
        yield Loaded()

    def _take(self, address: Address, drivers: Sequence[str]) -> None:
        """A driver that registers is tried on every free device, and on no other driver's behalf."""
        for driver in drivers:
            outcome = transition(self.host, Bind(address, driver), self.model)
            if outcome.ok:
                self.host = outcome.host
                return


def _is_of(fit: Fit, module: str) -> bool:
    return fit.module is not None and underscored(fit.module) == underscored(module)


def _drivers_of(host: Host, module: str) -> list[str]:
    """The drivers that come from the module; two that every machine can have are named like their modules."""
    found = {fit.driver for device in host.devices.values() for fit in device.fits or () if _is_of(fit, module)}
    found |= {name for name in (VFIO_PCI, STUB) if underscored(name) == underscored(module)}
    return sorted(found)


def _with_loaded(device: Device, module: str) -> Device:
    if not any(_is_of(fit, module) for fit in device.fits or ()):
        return device
    fits = tuple(fit._replace(loaded=True) if _is_of(fit, module) else fit for fit in device.fits or ())
    return device._replace(fits=fits)
