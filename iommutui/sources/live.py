"""What changes on this machine, as it happens: the kernel's uevents, through pyudev."""

from collections.abc import Callable
from typing import Any, NamedTuple

SUBSYSTEMS = ("pci", "vfio", "vfio-dev", "drivers")
ACTIONS = frozenset({"bind", "unbind", "add", "remove"})


class Uevent(NamedTuple):
    """One event. ``device`` is a PCI address, the number of a group (``vfio``), ``vfioN``, or a driver's name."""

    action: str
    subsystem: str
    device: str


class Unavailable(NamedTuple):
    """Why there are no live events, and how to get them."""

    why: str
    remedy: str


class Watcher:
    """Calls back from a thread of its own until it is stopped."""

    def __init__(self, monitor: Any, callback: Callable[[Uevent], None]) -> None:
        from pyudev import MonitorObserver

        self._callback: Callable[[Uevent], None] | None = callback
        self._observer = MonitorObserver(monitor, callback=self.receive, name="iommutui-uevents")
        self._observer.start()

    def receive(self, device: Any) -> None:
        """Passes on what concerns the groups. The event brings its own properties: nothing is read from sysfs here."""
        callback = self._callback
        if callback is None or device.action not in ACTIONS:
            return
        if device.subsystem == "drivers" and "/bus/pci/" not in device.device_path:
            return
        callback(Uevent(device.action, device.subsystem, device.sys_name))

    def stop(self) -> None:
        """No event is passed on any more. It does not wait for the thread, which may be waiting for the caller."""
        if self._callback is not None:
            self._callback = None
            self._observer.send_stop()


def watch(callback: Callable[[Uevent], None]) -> Watcher | Unavailable:
    """Starts watching. ``callback`` runs in the watching thread.

    The events are the kernel's own and not those that udev sends on: they come at once and in order, and also where no
    udev daemon runs.
    """
    try:
        import pyudev
    except ImportError:
        return Unavailable(
            "pyudev is not installed.",
            "Install it beside iommutui: pip install pyudev, or your distribution's python3-pyudev.",
        )
    try:
        context = pyudev.Context()
    except ImportError:
        return Unavailable("libudev is missing.", "Install your distribution's package of it, such as libudev1.")
    try:
        monitor = pyudev.Monitor.from_netlink(context, source="kernel")
        for subsystem in SUBSYSTEMS:
            monitor.filter_by(subsystem)
        monitor.start()
    except OSError as error:
        return Unavailable(f"The kernel's events cannot be received: {error}.", "Refresh by hand instead.")
    return Watcher(monitor, callback)
