"""Changes of this machine as they happen: the kernel's uevents, through pyudev."""

from collections.abc import Callable
from typing import Any, NamedTuple

SUBSYSTEMS = ("pci", "vfio", "vfio-dev", "drivers")
ACTIONS = frozenset({"bind", "unbind", "add", "remove"})


class Unavailable(NamedTuple):
    """Why there are no live events, and how to get them."""

    why: str
    remedy: str


class Watcher:
    """Calls back from its own thread until it is stopped."""

    def __init__(self, monitor: Any, changed: Callable[[], None]) -> None:
        from pyudev import MonitorObserver

        self._changed: Callable[[], None] | None = changed
        self._observer = MonitorObserver(monitor, callback=self.receive, name="iommutui-uevents")
        self._observer.start()

    def receive(self, device: Any) -> None:
        """Passes on events that concern the groups, by their own properties: sysfs is not read here."""
        changed = self._changed
        if changed is None or device.action not in ACTIONS:
            return
        if device.subsystem == "drivers" and "/bus/pci/" not in device.device_path:
            return
        changed()

    def stop(self) -> None:
        """No event is passed on any more. It does not wait for the thread, which may be waiting for the caller."""
        if self._changed is not None:
            self._changed = None
            self._observer.send_stop()


def watch(changed: Callable[[], None]) -> Watcher | Unavailable:
    """Starts watching. ``changed`` is called in the watching thread.

    The events are the kernel's own, not those that udev relays: they come at once, in order, and without a udev daemon.
    """
    try:
        from pyudev import Context, Monitor

        context = Context()
    except ImportError as error:  # pyudev's own, and what it raises if it does not find libudev
        remedy = "Install pyudev (pip install pyudev, or python3-pyudev) and libudev (libudev1)."
        return Unavailable(f"pyudev or libudev is missing: {error}.", remedy)
    try:
        monitor = Monitor.from_netlink(context, source="kernel")
        for subsystem in SUBSYSTEMS:
            monitor.filter_by(subsystem)
        monitor.start()
    except OSError as error:
        return Unavailable(f"The kernel's events cannot be received: {error}.", "Rescan by hand instead.")
    return Watcher(monitor, changed)
