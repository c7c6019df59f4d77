"""This machine. It is read here, and written to only by a process of its own that is root."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

from iommutui.core.drivers import KNOWN, DriverTable
from iommutui.core.host import Host
from iommutui.core.models.base import Model
from iommutui.tui.applier import ProcessApplier
from iommutui.tui.machine import CutOff, Watch, WayBack
from iommutui.tui.state import Kind, Source

POLL_SECONDS = 5.0
"""How often the links of drivers are compared where no events can be had. One look costs a directory listing per
driver."""


class LiveMachine:
    """Reads sysfs; hands plans to the applying process."""

    def __init__(self, kernel: str | None, table: DriverTable = KNOWN) -> None:
        self._kernel = kernel
        self._table = table
        from iommutui.apply.elevate import own_program, root_program

        writer = root_program()
        self.source = Source(Kind.LIVE, kernel or "", writer)
        self.applier = ProcessApplier(own_program(), writer)

    def scan(self) -> Host:
        """A fresh look at everything."""
        from iommutui.sources import load
        from iommutui.sources.ssh_session import session_address

        return load(None, kernel=self._kernel, session=session_address(), driver_table=self._table)

    def claims(self, host: Host) -> Host:
        """From the processes that have nodes of VFIO open."""
        from iommutui.sources.holders import claims_now

        return claims_now(host)

    def watch(self, changed: Callable[[], None]) -> Watch:
        """The kernel's own events through udev; where they cannot be had, a slow comparison."""
        from iommutui.sources.live import Unavailable, watch

        found = watch(lambda _event: changed())
        if not isinstance(found, Unavailable):
            return Watch(found.stop)
        lacks = (
            f"{found.why} {found.remedy} Until then changes are looked for every {POLL_SECONDS:.0f} s; r looks at once."
        )
        return Watch(poll(changed), lacks)

    def way_back(self, host: Host, model: Model, journal: str | None = None) -> WayBack | None:
        """From the newest journal that is still in effect."""
        from iommutui.apply.entries import load as load_entry
        from iommutui.apply.revert import plan_revert

        entry = load_entry(journals(), journal)
        return WayBack(plan_revert(entry, host, model), entry.id)

    def cut_off(self) -> CutOff | None:
        """From the journals."""
        directory = journals()
        if not directory.is_dir():
            return None
        from iommutui.apply.recovery import left_open_words, open_journals, way_out

        for entry in open_journals(directory):
            words = left_open_words(entry)
            return CutOff(entry.reverts or entry.id, words[0].upper() + words[1:], way_out(entry))
        return None


def journals() -> Path:
    """Where the applying process, which is root, keeps its journals."""
    from iommutui.apply.state import machine_journal_dir

    return machine_journal_dir()


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
