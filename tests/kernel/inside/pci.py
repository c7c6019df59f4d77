"""Just enough sysfs code for the tests to read and change drivers without the code under test."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SYSFS = Path("/sys")
DEVICES = SYSFS / "bus/pci/devices"
DRIVERS = SYSFS / "bus/pci/drivers"
GROUPS = SYSFS / "kernel/iommu_groups"


def devices() -> list[str]:
    """Return the addresses of all devices."""
    return sorted(path.name for path in DEVICES.iterdir())


def driver(address: str) -> str | None:
    """Return the driver a device is bound to."""
    link = DEVICES / address / "driver"
    return link.readlink().name if link.is_symlink() else None


def group(address: str) -> int:
    """Return the group of a device."""
    return int((DEVICES / address / "iommu_group").readlink().name)


def members(number: int) -> list[str]:
    """Return the addresses of the devices in a group."""
    return sorted(path.name for path in (GROUPS / str(number) / "devices").iterdir())


def override(address: str) -> str | None:
    """Return the driver_override of a device."""
    text = (DEVICES / address / "driver_override").read_text().rstrip("\n")
    return None if text == "(null)" else text


def set_override(address: str, name: str | None) -> None:
    """Write driver_override; None clears it."""
    (DEVICES / address / "driver_override").write_text(f"{name or ''}\n")


def unbind(address: str) -> None:
    """Unbind a device from its driver, if it has one."""
    current = driver(address)
    if current:
        (DRIVERS / current / "unbind").write_text(address)


def bind(address: str, name: str | None) -> None:
    """Bind a device to the driver ``name``, or to none, and leave the override in place."""
    unbind(address)
    set_override(address, name)
    if name:
        (SYSFS / "bus/pci/drivers_probe").write_text(address)
        assert driver(address) == name, f"{address} is on {driver(address)}, not {name}"


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Wait until ``condition`` holds, and return whether it does."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


@dataclass(frozen=True)
class State:
    """Which driver and override each device has."""

    drivers: dict[str, str | None]
    overrides: dict[str, str | None]

    @classmethod
    def now(cls) -> "State":
        """Return the present state."""
        present = devices()
        return cls({a: driver(a) for a in present}, {a: override(a) for a in present})

    def restore(self) -> None:
        """Restore every device. Unbind all that changed before binding any, because a group cannot be mixed."""
        moved = [a for a, name in self.drivers.items() if (DEVICES / a).exists() and driver(a) != name]
        for address in moved:
            unbind(address)
        for address, name in self.overrides.items():
            if (DEVICES / address).exists() and override(address) != name:
                set_override(address, name)
        for address in moved:
            name = self.drivers[address]
            if name:
                (DRIVERS / name / "bind").write_text(address)
