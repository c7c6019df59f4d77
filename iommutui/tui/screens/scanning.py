"""Looking at the machine: the first scan after the first frame, and again whenever something happens to it."""

import asyncio
import gc
import time
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from textual import on
from textual.screen import Screen
from textual.worker import get_current_worker

from iommutui.core.errors import IommutuiError
from iommutui.core.host import Host
from iommutui.core.roles import is_vfio
from iommutui.tui.early import EarlyScan
from iommutui.tui.kinds import bridges_only
from iommutui.tui.listing import settled
from iommutui.tui.machine import CutOff, Machine, Watch
from iommutui.tui.messages import ClaimsSeen, MachineChanged, ScanFailed, Scanned
from iommutui.tui.row import warm
from iommutui.tui.state import AppState, Phase, Problem, failed, logged, with_host

SETTLE_SECONDS = 0.2
"""A rebind makes a burst of events; one look after it is enough."""

CLAIM_SECONDS = 5.0
"""How often it is asked who holds groups: no event tells of a virtual machine that starts or ends."""

NOTICE_SECONDS = 0.5
"""A wait that is longer is told of."""

LOOK_PATIENCE = 20.0
"""Somebody who waits for a machine that never comes to rest is shown what there is after these seconds."""


def rest_collected() -> None:
    """A Host has no cycles; walking ten thousand devices in search of some would be felt as a hiccup."""
    gc.freeze()
    gc.enable()


class Scanning(Screen[None]):
    """The part of the desk that keeps its Host fresh."""

    machine: Machine
    early: EarlyScan | None
    _watch: Watch | None = None
    _pending = False
    _scanning = False
    _again = False
    _asking = False

    def __init__(self, name: str) -> None:
        super().__init__(id=name)
        self._at_rest = asyncio.Event()
        self._at_rest.set()

    if TYPE_CHECKING:

        @property
        def state(self) -> AppState: ...
        def update(self, state: AppState) -> None: ...
        def say(self, text: str, severity: str = "information") -> None: ...
        def prepare(self) -> None: ...
        def remember(self, state: AppState) -> AppState: ...
        def offer_recovery(self, left: CutOff) -> None: ...

    def start_scanning(self) -> None:
        """The first look, and then an ear on the machine."""
        if self.state.host is None:
            self.rescan()
        else:
            rest_collected()
        self.run_worker(self._start_watching, thread=True, exclusive=True, group="watch", exit_on_error=False)

    def first_state(self, state: AppState) -> AppState:
        """The state with the machine, where the early scan was quick enough for the first frame."""
        host = self.early.ready() if self.early is not None else None
        if host is None:
            return state
        self.early = None
        state, _ = with_host(state, host)
        return settled(self.remember(state._replace(collapsed=bridges_only(host))))

    def rescan(self) -> None:
        """Looks at the machine in a thread. One look at a time; one that is asked for meanwhile follows it."""
        if self._scanning:
            self._again = True
            return
        self._scanning = True
        self._at_rest.clear()
        if self.state.host is None:
            self.update(self.state._replace(phase=Phase.SCANNING, problem=None))
        self.run_worker(self._scan, thread=True, group="scan", exit_on_error=False)

    @property
    def looking(self) -> bool:
        """Whether the machine is being looked at, or is about to be: what is shown may be older than what is so."""
        return not self._at_rest.is_set()

    async def looked(self) -> None:
        """Waits until what is shown is what is so."""
        with suppress(TimeoutError):
            async with asyncio.timeout(NOTICE_SECONDS):
                await self._at_rest.wait()
        if self.looking:
            self.say("Waiting until the machine has been looked at.")
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_PATIENCE):
                await self._at_rest.wait()

    def _scan(self) -> None:
        try:
            early, self.early = self.early, None
            host = early.result() if early is not None else self.machine.scan()
            warm(host)
        except IommutuiError as error:
            self.post_message(ScanFailed(Problem(error.what, error.remedy)))
        except Exception as error:  # whatever it is, it is shown; a thread that dies silently would not be
            what = f"The scan failed: {type(error).__name__}: {error}"
            self.post_message(ScanFailed(Problem(what, "This is a bug in iommutui; 'iommutui list' may say more.")))
        else:
            self.post_message(Scanned(host))

    def _start_watching(self) -> None:
        worker = get_current_worker()

        def changed() -> None:
            self.post_message(MachineChanged())

        watch = self.machine.watch(changed)
        if worker.is_cancelled:
            watch.stop()
            return
        self.app.call_from_thread(self._watching, watch)
        left = self._cut_off()
        if left is not None:
            self.app.call_from_thread(self.offer_recovery, left)
        # What the first key that opens something needs, while nobody is waiting for it.
        import_module("textual.widgets").Input  # noqa: B018 - a lazy attribute
        import_module("iommutui.core.plan.planner")
        for name in ("review", "reading", "pick", "progress"):
            import_module(f"iommutui.tui.screens.{name}")
        if self.state.host is not None:
            warm(self.state.host)
            import_module("iommutui.tui.topology").topology_listing(self.state.host)
        self.app.call_from_thread(self.prepare)

    def _cut_off(self) -> CutOff | None:
        try:
            return self.machine.cut_off()
        except (IommutuiError, OSError):
            return None  # a journal that cannot be read is told of where somebody wants to apply

    def _watching(self, watch: Watch) -> None:
        self._watch = watch
        if self.state.source.real:
            self.set_interval(CLAIM_SECONDS, self.look_for_claims)
        if watch.lacks:
            state = self.state._replace(live_lacks=watch.lacks)
            self.update(logged(state, self.now(), watch.lacks, "warn"))

    def look_for_claims(self) -> None:
        """Asks in a thread who holds groups, unless a scan tells it anyway or nothing could be held."""
        host = self.state.host
        if host is None or self._scanning or self._asking or self.state.phase is Phase.APPLYING:
            return
        if any(is_vfio(host, d, d.driver) for d in host.devices.values()):
            self._asking = True
            self.run_worker(partial(self._ask_for_claims, host), thread=True, group="claims", exit_on_error=False)

    def _ask_for_claims(self, host: Host) -> None:
        try:
            now = self.machine.claims(host)
        finally:
            self._asking = False
        if now is not host:
            self.post_message(ClaimsSeen(host, now))

    @on(ClaimsSeen)
    def _claims_seen(self, message: ClaimsSeen) -> None:
        if self.state.host is message.before and self.state.phase is not Phase.APPLYING:
            self.show_host(message.now)

    def on_unmount(self) -> None:
        """Nobody is listening any more."""
        if self._watch is not None:
            self._watch.stop()

    @on(MachineChanged)
    def _machine_changed(self) -> None:
        if not self._pending:
            self._pending = True
            self._at_rest.clear()
            self.set_timer(SETTLE_SECONDS, self._settled)

    def _settled(self) -> None:
        self._pending = False
        self.rescan()

    def _scan_done(self) -> None:
        self._scanning = False
        if self._again:
            self._again = False
            self.rescan()
        elif not self._pending:
            self._at_rest.set()

    @on(Scanned)
    def _scanned(self, message: Scanned) -> None:
        self.show_host(message.host)
        self._scan_done()
        rest_collected()

    def show_host(self, host: Host) -> None:
        """Takes over a fresh look; everything that the person has set up stays."""
        before = self.state
        if host == before.host and before.problem is None:
            return
        state, notes = with_host(before, host)
        if before.host is None:
            state = self.remember(state._replace(collapsed=bridges_only(host)))
        if before.phase is Phase.APPLYING:
            state = state._replace(phase=Phase.APPLYING)
        for note in notes:
            state = logged(state, self.now(), note, "warn")
        self.update(state)
        if notes:
            more = f" L shows {len(notes) - 1} more." if len(notes) > 1 else ""
            self.say(notes[0] + more, "warning")

    @on(ScanFailed)
    def _scan_failed(self, message: ScanFailed) -> None:
        self._scan_done()
        gc.enable()
        problem = message.problem
        self.update(logged(failed(self.state, problem), self.now(), problem.what, "bad"))
        if self.state.host is not None:
            self.say(f"{problem.what} What is shown is older.", "error")

    def now(self) -> str:
        """The time for the log."""
        return time.strftime("%H:%M:%S")
