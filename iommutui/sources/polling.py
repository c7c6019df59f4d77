"""What changes on this machine where no events can be had: which devices there are, and which driver each is on."""

import os
import threading
from collections.abc import Callable

POLL_SECONDS = 5.0
"""How often the links of drivers are compared. One look costs a directory listing per driver."""


def poll(changed: Callable[[], None], root: str = "/sys/bus/pci", seconds: float = POLL_SECONDS) -> Callable[[], None]:
    """Calls ``changed`` when the signature differs; returns what stops it."""
    stop = threading.Event()

    def run() -> None:
        before = signature(root)
        while not stop.wait(seconds):
            now = signature(root)
            if now != before:
                before = now
                changed()

    threading.Thread(target=run, name="iommutui-poll", daemon=True).start()
    return stop.set


def signature(root: str) -> frozenset[str]:
    """Which devices there are and which driver each is on, from names of directory entries alone: nothing is opened,
    so a device that does not answer cannot hold it up."""
    found = {f"device {name}" for name in _names(f"{root}/devices")}
    for driver in _names(f"{root}/drivers"):
        found |= {f"{driver} {name}" for name in _names(f"{root}/drivers/{driver}") if ":" in name}
    return frozenset(found)


def _names(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []
