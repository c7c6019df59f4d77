"""A sysfs of plain files that reacts to writes as a chosen kernel does.

A write goes through the engine's transitions, errno included, and their changes go into the tree. All state is in the
files, so several processes can share a tree, and each may be killed at any point.
"""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from iommutui.apply.child import Patience
from iommutui.apply.kernel import SimulatedKernel, Waiting
from iommutui.apply.real_kernel import NO_OVERRIDE, RealKernel, Write
from iommutui.core.address import Address
from iommutui.core.engine import transition
from iommutui.core.events import Event, Override, Probe, Unbind
from iommutui.core.host import Claim, Device, Driver, Host
from iommutui.core.models import model_for
from tests.fake_tree import FakeTree

_WRITES = re.compile(
    r"(?P<root>.*)/sys/bus/pci/(?:devices/(?P<device>[^/]+)/driver_override|drivers/(?P<driver>[^/]+)/unbind"
    r"|(?P<probe>drivers_probe))"
)


class CrashedError(Exception):
    """The kernel would not have survived this write."""


class ReactingTree:
    """The tree of a Host. ``root`` is for ``--from``, `kernel` for an apply; ``claims`` are groups in use."""

    def __init__(self, path: Path, host: Host) -> None:
        self.root = str(path / "machine")
        self._hardware = _distinct(host)
        self.claims: dict[int, Claim] = {}
        self.writes: list[Write] = []
        """Every write attempted in this process."""
        self.before_write: Callable[[int], None] = lambda number: None
        self.after_write: Callable[[int], None] = lambda number: None
        self.instead: Callable[[int, Write], str | None] = lambda number, write: None
        """Called with each write's number: its result replaces the write; None lets the write happen."""
        self._build()

    # -- the files

    def _build(self) -> None:
        tree = FakeTree(Path(self.root), kernel=self._hardware.kernel)
        modules = {fit.driver: fit.module for d in self._hardware.devices.values() for fit in d.fits or ()}
        for driver in self._hardware.drivers or ():
            tree.driver(driver.name, modules.get(driver.name, driver.module))
        for device in self._hardware.devices.values():
            tree.device(
                device.address,
                vendor=device.vendor_id or "0000",
                device=device.device_id or "0000",
                class_code=device.class_code or "000000",
                header_type=device.header_type or 0,
                driver=device.driver,
                override=device.driver_override,
                group=device.group,
            )
        tree.modules(*(alias for device in self._hardware.devices.values() for alias in _aliases(device)))
        tree.file("sys/bus/pci/drivers_probe")
        for driver in self._hardware.drivers or ():
            self._register(driver.name)

    def _register(self, driver: str) -> None:
        place = Path(self.root, "sys/bus/pci/drivers", driver)
        place.mkdir(exist_ok=True)
        (place / "unbind").touch()

    def host(self) -> Host:
        """The machine in the present state of its files, with facts that only hardware shows."""
        host = self._hardware
        names = sorted(os.listdir(os.path.join(self.root, "sys/bus/pci/drivers")))
        known = {driver.name: driver for driver in host.drivers or ()}
        host = host._replace(drivers=tuple(known.get(name, Driver(name)) for name in names))
        for address, device in host.devices.items():
            fits = tuple(fit._replace(loaded=fit.driver in names) for fit in device.fits or ())
            driver, override = self._state(address)
            host = host.with_device(device._replace(driver=driver, driver_override=override, fits=fits))
        for number, claim in self.claims.items():
            host = host.with_group(host.groups[number]._replace(claim=claim))
        return host

    def _state(self, address: Address) -> tuple[str | None, str | None]:
        place = os.path.join(self.root, "sys/bus/pci/devices", address)
        try:
            driver = os.path.basename(os.readlink(os.path.join(place, "driver")))
        except FileNotFoundError:
            driver = None
        with open(os.path.join(place, "driver_override"), encoding="utf-8") as file:
            override = file.read().removesuffix("\n")
        return driver, None if override == NO_OVERRIDE else override

    def _take_over(self, after: Host) -> None:
        """Changes the files to those of another state."""
        for known in after.drivers or ():
            self._register(known.name)
        for address, device in after.devices.items():
            driver, override = self._state(address)
            place = os.path.join(self.root, "sys/bus/pci/devices", address)
            if override != device.driver_override:
                # Atomically, like the kernel: no process sees half a change, even if one is killed.
                new = os.path.join(self.root, f".{address}")
                with open(new, "w", encoding="utf-8") as file:
                    file.write(f"{device.driver_override or NO_OVERRIDE}\n")
                os.replace(new, os.path.join(os.path.realpath(place), "driver_override"))
            if driver != device.driver:
                link = os.path.join(place, "driver")
                if driver is not None:
                    os.unlink(link)
                if device.driver is not None:
                    os.symlink(os.path.join(self.root, "sys/bus/pci/drivers", device.driver), link)

    # -- the kernel

    def put(self, write: Write) -> str:
        """Stands for `real_kernel.put`: ``ok`` or the name of an errno."""
        self.writes.append(write)
        number = len(self.writes)
        self.before_write(number)
        answer = self.instead(number, write)
        if answer is None:
            answer = self.react(write)
        self.after_write(number)
        return answer

    def react(self, write: Write) -> str:
        """Reacts to a write as the kernel does."""
        if not os.path.exists(write.path):
            return "ENOENT"
        host = self.host()
        event = self._event(write, host)
        if event is None:
            return "ENODEV"
        outcome = transition(host, event, model_for(host.kernel))
        if outcome.crash is not None:
            raise CrashedError(outcome.crash)
        self._take_over(outcome.host)
        return outcome.result

    def _event(self, write: Write, host: Host) -> Event | None:
        match = _WRITES.fullmatch(write.path)
        assert match is not None, f"{write.path} is not a file that an apply writes to"
        assert match["root"] == self.root
        text = write.data.decode()
        if match["device"]:
            return Override(Address(match["device"]), text.removesuffix("\n") or None)
        device = host.devices.get(Address(text))
        if match["probe"]:
            return Probe(Address(text)) if device is not None else None
        return Unbind(device.address) if device is not None and device.driver == match["driver"] else None

    def load(self, name: str, _root: str) -> None:
        """Stands for ``modprobe``."""
        kernel = SimulatedKernel(self.host(), model_for(self._hardware.kernel))
        list(kernel.load_module(name))
        self._take_over(kernel.host)

    def kernel(self) -> RealKernel:
        """The real kernel's functions on this tree, without a child for each system call."""

        def call(
            work: Callable[[], bytes], _late: Callable[[bytes, float], None], _patience: Patience
        ) -> Iterator[Waiting | bytes]:
            answer = work()
            if answer == NEVER.encode():
                yield Waiting(4.0)
                yield Waiting(30.0, given_up=True)
            else:
                yield answer

        return RealKernel(self.root, load=self.load, call=call, put=self.put)


NEVER = "never"
"""The result of a write that does not return."""


def _distinct(host: Host) -> Host:
    """Every device with a different id, so that modules can distinguish them."""
    for number, device in enumerate(host.devices.values(), 0x1000):
        host = host.with_device(device._replace(device_id=f"{number:04x}"))
    return host


def _aliases(device: Device) -> Iterator[str]:
    for fit in device.fits or ():
        vendor, number = (device.vendor_id or "").upper(), (device.device_id or "").upper()
        yield f"pci:v0000{vendor}d0000{number}sv*sd*bc*sc*i* {fit.module or fit.driver}"
