"""Scans of the machine: at the start, after each event, and from time to time for claims, which no event reports."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from textual.dom import DOMNode
from textual.message import Message
from textual.worker import get_current_worker

from iommutui.core.errors import IommutuiError
from iommutui.core.host import Host, is_vfio
from iommutui.tui.machines.base import CutOff, Machine, Watch

SETTLE_SECONDS = 0.2
"""A rebind causes a burst of events; one scan after it is enough."""
LOOK_BACK_SECONDS = 2.0
"""When the machine is compared with that of the last boot: the first frame does not wait for it."""
CLAIM_SECONDS = 5.0
"""How often it is asked who holds groups: no event reports a virtual machine that starts or ends."""
NOTICE_SECONDS = 0.5
"""A longer wait is announced."""
LOOK_PATIENCE = 20.0
"""Seconds after which a machine that never settles is shown anyway."""


class Scanner:
    """Scans one machine for one widget: it posts messages to the widget and runs as its workers."""

    @dataclass
    class Scanned(Message):
        """The machine as it is now."""

        host: Host

    @dataclass
    class Failed(Message):
        """The machine could not be read."""

        problem: IommutuiError

    class Changed(Message):
        """Something happened to a device. A flood of these counts as one."""

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, Scanner.Changed)

    @dataclass
    class Claimed(Message):
        """Groups have been claimed or released since ``before`` was scanned."""

        before: Host
        now: Host

    @dataclass
    class Watching(Message):
        """Changes are being watched; ``lacks`` says why not."""

        lacks: str
        left: CutOff | None
        """An earlier apply that was interrupted."""

    @dataclass
    class BeforeBoot(Message):
        """The machine as it was in the previous boot."""

        host: Host

    def __init__(self, machine: Machine, node: DOMNode, first: "Future[Host] | None" = None) -> None:
        """``first``: a scan that began earlier, used as the first one."""
        self._machine = machine
        self._node = node
        self._first = first
        self._watch: Watch | None = None
        self._scanning = self._again = self._pending = self._asking = False
        self._at_rest = asyncio.Event()
        self._at_rest.set()

    def first_look(self) -> Host | None:
        """The scan that began earlier, if it has succeeded by now; the next one is fresh."""
        if self._first is None or not self._first.done() or self._first.exception() is not None:
            return None
        first, self._first = self._first, None
        return first.result()

    def start(self, host: Host | None) -> None:
        """Starts watching the machine, and scans it if the first scan has not ended."""
        if host is None:
            self.rescan()
        self._node.run_worker(self._start_watching, thread=True, group="watch", exit_on_error=False)

    def stop(self) -> None:
        """Stops: nobody is listening any more."""
        if self._watch is not None:
            self._watch.stop()
            self._watch = None

    # -- scans, one at a time

    @property
    def looking(self) -> bool:
        """Whether the machine is being scanned, or is about to be: the screen may be out of date."""
        return not self._at_rest.is_set()

    async def up_to_date(self, notice: Callable[[], None]) -> None:
        """Waits until what is shown is up to date; calls ``notice`` if that takes a while."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._at_rest.wait(), NOTICE_SECONDS)
        if self.looking:
            notice()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._at_rest.wait(), LOOK_PATIENCE)

    def rescan(self) -> None:
        """Scans the machine in a thread; a scan requested meanwhile follows it."""
        if self._scanning:
            self._again = True
            return
        self._scanning = True
        self._at_rest.clear()
        self._node.run_worker(self._scan, thread=True, group="scan", exit_on_error=False)

    def _scan(self) -> None:
        try:
            first, self._first = self._first, None
            host = first.result() if first is not None else self._machine.scan()
        except IommutuiError as error:
            self._node.post_message(self.Failed(error))
        except Exception as error:  # any error is shown; a thread that dies silently would hide it
            what = f"The scan failed: {type(error).__name__}: {error}"
            remedy = "This is a bug in iommutui; 'iommutui list' may say more."
            self._node.post_message(self.Failed(IommutuiError(what, remedy)))
        else:
            self._node.post_message(self.Scanned(host))

    def done(self) -> None:
        """The widget has taken over a scan; one requested meanwhile starts."""
        self._scanning = False
        if self._again:
            self._again = False
            self.rescan()
        elif not self._pending:
            self._at_rest.set()

    def look_soon(self) -> None:
        """Something happened to a device: scans once events have settled."""
        if not self._pending:
            self._pending = True
            self._at_rest.clear()
            self._node.set_timer(SETTLE_SECONDS, self._settled)

    def _settled(self) -> None:
        self._pending = False
        self.rescan()

    # -- events of the machine

    def _start_watching(self) -> None:
        def changed() -> None:
            self._node.post_message(self.Changed())

        watch = self._machine.watch(changed)
        if get_current_worker().is_cancelled:
            watch.stop()
            return
        self._watch = watch
        left = None
        with suppress(IommutuiError, OSError):  # an unreadable journal is reported when the user applies
            left = self._machine.cut_off()
        self._node.post_message(self.Watching(watch.lacks, left))

    def look_back(self, host: Host) -> None:
        """Saves the machine for the next boot, and loads that of the previous one in a thread."""

        def load() -> None:
            before = self._machine.before_boot(host)
            if before is not None:
                self._node.post_message(self.BeforeBoot(before))

        run = partial(self._node.run_worker, load, thread=True, group="boots", exit_on_error=False)
        self._node.set_timer(LOOK_BACK_SECONDS, run)

    def poll_claims(self, host: Host) -> None:
        """Finds in a thread who holds groups, unless nobody listens, a scan is running, or nothing could be held."""
        busy = self._watch is None or self._scanning or self._asking
        if busy or not any(is_vfio(host, d, d.driver) for d in host.devices.values()):
            return
        self._asking = True
        self._node.run_worker(partial(self._ask_for_claims, host), thread=True, group="claims", exit_on_error=False)

    def _ask_for_claims(self, host: Host) -> None:
        try:
            now = self._machine.claims(host)
        finally:
            self._asking = False
        if now is not host:
            self._node.post_message(self.Claimed(host, now))
