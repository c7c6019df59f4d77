"""Writes to sysfs that may block for a long time."""

import errno
import os
import threading
from pathlib import Path

from iommutui.core.drivers import VFIO_PCI
from iommutui.core.events import (
    Bind,
    Event,
    Override,
    Probe,
    Remove,
    Unbind,
)

from . import pci


class Write(threading.Thread):
    """A write that may block for a long time. ``errno`` is set once it has returned."""

    def __init__(self, path: Path, text: str) -> None:
        super().__init__(daemon=True)
        self.path, self.text = path, text
        self.errno: str | None = None
        self.start()

    def run(self) -> None:
        """Write with one system call: the kernel takes the value only in one piece."""
        try:
            descriptor = os.open(self.path, os.O_WRONLY)
            try:
                os.write(descriptor, self.text.encode())
            finally:
                os.close(descriptor)
            self.errno = "ok"
        except OSError as problem:
            self.errno = errno.errorcode[problem.errno or 0]

    def wait(self, seconds: float) -> str:
        """The errno, or ``blocks``."""
        self.join(seconds)
        return self.errno or "blocks"


def write_of(event: Event, driver: str | None) -> Write:
    """The write that the event stands for; an unbind goes through ``driver``, the device's present driver."""
    if isinstance(event, Override):
        return Write(pci.DEVICES / event.device / "driver_override", f"{event.driver or ''}\n")
    if isinstance(event, Unbind):
        return Write(pci.DRIVERS / (driver or VFIO_PCI) / "unbind", event.device)
    if isinstance(event, Bind):
        return Write(pci.DRIVERS / event.driver / "bind", event.device)
    if isinstance(event, Probe):
        return Write(pci.SYSFS / "bus/pci/drivers_probe", event.device)
    if isinstance(event, Remove):
        return Write(pci.DEVICES / event.device / "remove", "1")
    return Write(pci.SYSFS / "bus/pci/rescan", "1")
