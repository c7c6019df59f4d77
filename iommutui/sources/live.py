"""Changes of this machine as they happen: the kernel's uevents through pyudev, or polling every few seconds."""

import os
import threading
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
        import pyudev
    except ImportError:
        return Unavailable(
            "pyudev is not installed.",
            "Install it where iommutui is: pip install pyudev, or your distribution's python3-pyudev.",
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
        return Unavailable(f"The kernel's events cannot be received: {error}.", "Rescan by hand instead.")
    return Watcher(monitor, changed)


POLL_SECONDS = 5.0
"""How often the links of drivers are compared. One check costs a directory listing per driver."""


def poll(changed: Callable[[], None]) -> Callable[[], None]:
    """Calls ``changed`` when the signature of the PCI bus differs; returns the watch, to stop it."""
    stop = threading.Event()

    def run() -> None:
        before = signature("/sys/bus/pci")
        while not stop.wait(POLL_SECONDS):
            now = signature("/sys/bus/pci")
            if now != before:
                before = now
                changed()

    threading.Thread(target=run, name="iommutui-poll", daemon=True).start()
    return stop.set


def signature(bus: str) -> frozenset[str]:
    """Which devices there are and which driver each is on, from names of directory entries alone: nothing is opened,
    so a device that does not answer cannot hold it up."""
    found = {f"device {name}" for name in _names(f"{bus}/devices")}
    for driver in _names(f"{bus}/drivers"):
        found |= {f"{driver} {name}" for name in _names(f"{bus}/drivers/{driver}") if ":" in name}
    return frozenset(found)


def _names(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []
