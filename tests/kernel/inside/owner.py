"""Open VFIO files in this process, as a virtual machine would."""

import fcntl
import os
import struct
from collections.abc import Iterable

from iommutui.core.address import Address
from iommutui.core.events import ClaimDevice

from .. import vfio
from . import pci

BIND_IOMMUFD = ord(";") << 8 | 118

OWNER = "walk"
"""The owner's name in the engine."""


class Files:
    """VFIO files that this process has open, by group."""

    def __init__(self) -> None:
        self._groups: dict[int, tuple[int, int]] = {}
        self._devices: dict[int, dict[Address, int]] = {}

    def claim(self, number: int, devices: Iterable[Address]) -> str:
        """Put the group into a container, set the IOMMU, and open the devices that VFIO has."""
        opened: list[int] = []
        try:
            opened.append(os.open(vfio.NODES / str(number), os.O_RDWR | os.O_CLOEXEC))
            opened.append(os.open(vfio.NODES / "vfio", os.O_RDWR | os.O_CLOEXEC))
            fcntl.ioctl(opened[0], vfio.GROUP_SET_CONTAINER, struct.pack("i", opened[1]))
            fcntl.ioctl(opened[1], vfio.SET_IOMMU, vfio.TYPE1V2_IOMMU)
        except OSError as problem:
            for descriptor in opened:
                os.close(descriptor)
            return vfio.errno_name(problem)
        self._groups[number] = (opened[0], opened[1])
        self._devices[number] = {}
        for address in devices:
            self.open(number, address)
        return "ok"

    def open(self, number: int, address: Address) -> str:
        """Open one device of a claimed group."""
        if address in self._devices[number]:
            return "ok"
        try:
            found = fcntl.ioctl(
                self._groups[number][0], vfio.GROUP_GET_DEVICE_FD, bytearray(address.encode() + b"\0"), True
            )
        except OSError as problem:
            return vfio.errno_name(problem)
        self._devices[number][address] = found
        return "ok"

    def close(self, number: int, address: Address) -> None:
        """Close one device."""
        os.close(self._devices[number].pop(address))

    def release(self, number: int) -> None:
        """Close every file of a group."""
        for descriptor in (*self._devices.pop(number).values(), *self._groups.pop(number)):
            os.close(descriptor)

    def release_all(self) -> None:
        """Close every file."""
        for number in list(self._groups):
            self.release(number)

    def status(self, number: int) -> dict[str, object]:
        """What the kernel reports about a group."""
        if number not in self._groups:
            return vfio.status(number)
        flags = vfio.group_flags(self._groups[number][0])
        return {"viable": bool(flags & vfio.FLAG_VIABLE), "container": bool(flags & vfio.FLAG_CONTAINER_SET)}

    @property
    def claims(self) -> dict[int, set[Address]]:
        """The open devices of each claimed group."""
        return {number: set(devices) for number, devices in self._devices.items()}


class DeviceFiles:
    """What each owner has open: an iommufd, and devices bound to it."""

    def __init__(self) -> None:
        self._iommufds: dict[str, int] = {}
        self._open: dict[Address, int] = {}
        self.owners: dict[Address, str] = {}
        """The owner of each device that is bound to an iommufd."""

    def claim(self, event: ClaimDevice) -> str:
        """Open the device's file and bind it to the owner's iommufd."""
        if event.owner not in self._iommufds:
            self._iommufds[event.owner] = os.open("/dev/iommu", os.O_RDWR | os.O_CLOEXEC)
        place = pci.DEVICES / event.device / "vfio-dev"
        name = next((path.name for path in place.iterdir()), "") if place.exists() else "none"
        try:
            file = os.open(vfio.NODES / "devices" / name, os.O_RDWR | os.O_CLOEXEC)
        except OSError as problem:
            return vfio.errno_name(problem)
        try:
            fcntl.ioctl(file, BIND_IOMMUFD, bytearray(struct.pack("IIiI", 16, 0, self._iommufds[event.owner], 0)))
        except OSError as problem:
            os.close(file)
            return vfio.errno_name(problem)
        self._open[event.device] = file
        self.owners[event.device] = event.owner
        return "ok"

    def release(self, device: Address) -> str:
        """Close a device."""
        os.close(self._open.pop(device))
        del self.owners[device]
        return "ok"

    def close(self) -> None:
        """Close every file."""
        for device in list(self._open):
            self.release(device)
        while self._iommufds:
            os.close(self._iommufds.popitem()[1])
