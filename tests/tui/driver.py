"""A user at the screen: selects, presses keys, reads lines."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from math import inf
from typing import TypeVar

from textual.events import Key as KeyPress
from textual.pilot import Pilot
from textual.screen import Screen
from textual.strip import Strip
from textual.widgets import Static

from iommutui.core.address import Address
from iommutui.core.host import Host
from iommutui.core.models import Model
from iommutui.core.plan.planner import plan_intents
from iommutui.sources.processes import claims_now
from iommutui.tui.app import IommutuiApp
from iommutui.tui.machines.base import Applier, CutOff, Machine, Watch, WayBack
from iommutui.tui.machines.simulated import SimulatedMachine
from iommutui.tui.rows import listing
from iommutui.tui.screens.progress import CountdownScreen
from iommutui.tui.state import AppState, Key, Phase, Source, SourceKind, start

R = TypeVar("R")

LARGE = (200, 60)
WIDE = (120, 40)
USUAL = (80, 24)
SMALLEST = (60, 18)


class Ui:
    """Presses keys, and reads the screen as text only."""

    def __init__(self, app: IommutuiApp, pilot: Pilot[None]) -> None:
        self.app = app
        self.pilot = pilot

    @property
    def state(self) -> AppState:
        """The state behind the screen."""
        return self.app.desk.state

    def staged(self) -> list[str]:
        """The staged intents, as text."""
        return [str(intent) for intent in self.state.intents]

    async def settle(self) -> None:
        """Waits until nothing runs and the result is painted."""
        await self._painted()
        while any(not worker.is_finished for worker in self.app.workers) or self.state.phase is Phase.SCANNING:
            await self.app.workers.wait_for_complete()
            await self._painted()

    async def _painted(self) -> None:
        """Pilot waits for an idle program, which on a busy machine may not have laid out its screen yet."""
        for _ in range(2):  # a layout gives widgets their size, after which they may request another layout
            await self.pilot.pause()
            if self.app.return_code is not None:
                return
            done = asyncio.Event()
            self.app.screen.call_after_refresh(done.set)
            with suppress(TimeoutError):  # a screen that has closed by then is not painted
                await asyncio.wait_for(done.wait(), 5)

    async def press(self, *keys: str) -> "Ui":
        """Presses keys one after another."""
        for key in keys:
            await self.pilot.press(key)
        await self.settle()
        return self

    async def burst(self, *keys: str) -> "Ui":
        """Presses keys with no time between them, as a slow connection delivers them."""
        for key in keys:
            character = {"slash": "/", "enter": "\r"}.get(key, key if len(key) == 1 else None)
            self.app.post_message(KeyPress(key, character).set_sender(self.app))
        await self.settle()
        return self

    def counts_down(self) -> bool:
        """Whether a countdown is on top and painted, so that it takes keys."""
        screen = self.app.screen
        return isinstance(screen, CountdownScreen) and screen.shown_at < inf

    async def until(self, holds: Callable[[], bool]) -> None:
        """Lets the program run until the condition holds."""
        for _ in range(400):
            await self.pilot.pause(0.01)
            if holds():
                await self.settle()
                return
        raise AssertionError(self.text())

    async def show(self, screen: Screen[R], answered: Callable[[R | None], None] | None = None) -> None:
        """Opens a dialog over the screen."""
        await self.app.push_screen(screen, answered)
        await self.settle()

    async def type(self, text: str) -> "Ui":
        """Types text."""
        return await self.press(*("space" if char == " " else char for char in text))

    async def select(self, what: str | int) -> "Ui":
        """Moves the cursor to the row of a device or a group, with keys only."""
        wanted = self._key(what)
        if wanted.device is not None and wanted.group in self.state.collapsed:
            await self.select(wanted.group if wanted.group is not None else -1)
            await self.press("l")
        await self.pilot.press("g")
        steps = listing(self.state).places.get(wanted, 0)
        await self.pilot.press(*["j"] * steps)
        assert self.state.cursor == wanted, f"{what} is not on the list"
        await self.settle()
        return self

    def _key(self, what: str | int) -> Key:
        if isinstance(what, int):
            return Key(what if what >= 0 else None)
        assert self.state.host is not None
        address = Address(what)
        return Key(self.state.host.devices[address].group, address)

    def strips(self) -> list[Strip]:
        """The screen as Textual would paint it. This uses a private name, because a headless app paints nothing."""
        return self.app.screen._compositor.render_strips()

    def lines(self) -> list[str]:
        """The screen, line by line."""
        strips = self.strips()
        assert len({strip.cell_length for strip in strips}) <= 1, "lines that are not as wide as the terminal"
        return [strip.text.rstrip() for strip in strips]

    def text(self) -> str:
        """The screen as one text."""
        return "\n".join(self.lines())

    def line_with(self, *words: str) -> str:
        """The first line with all of the words; addresses appear as in rows, without the domain."""
        words = tuple(word.removeprefix("0000:") for word in words)
        for line in self.lines():
            if all(word in line for word in words):
                return line
        raise AssertionError(f"no line has {words}:\n{self.text()}")

    def toasts(self) -> list[str]:
        """The toasts."""
        found = [str(each.render()) for each in self.app.screen.query("Toast").results(Static)]
        return [text.removeprefix("! ").removeprefix("✖ ") for text in found]

    def log(self) -> list[str]:
        """The log."""
        return [entry.text for entry in self.state.log]


@asynccontextmanager
async def screen_of(
    machine: Machine,
    size: tuple[int, int] = WIDE,
    *,
    model: str | None = None,
    settle: bool = True,
    first: Future[Host] | None = None,
) -> AsyncIterator[Ui]:
    """The program on a terminal of this size; ``first``: a scan that began before it."""
    app = IommutuiApp(machine, start(machine.source, model), first)
    app.NOTIFICATION_TIMEOUT = 600  # type: ignore[misc]  # no toast expires before a slow machine has read it
    async with app.run_test(size=size, notifications=True) as pilot:
        ui = Ui(app, pilot)
        if settle:
            await ui.settle()
        yield ui


def snapshot_of(host: Host, name: str = "friend.json") -> SimulatedMachine:
    """A machine from a file."""
    return SimulatedMachine(Source(SourceKind.SNAPSHOT, name), lambda: host)


class LiveLike:
    """A live machine whose facts and applier belong to the test."""

    def __init__(self, host: Host, applier: Applier, writer: str | None = "") -> None:
        self.source = Source(SourceKind.LIVE, "", writer)
        self.applier = applier
        self.host = host
        self.lacks = ""
        self.notes: tuple[str, ...] = ()
        self.root: str | None = None
        self.asked = 0
        self.left: CutOff | None = None
        self.changed: Callable[[], None] = lambda: None

    def scan(self) -> Host:
        """The present facts."""
        return self.host

    def claims(self, host: Host) -> Host:
        """The claims that the test sets, if any; counts the calls."""
        self.asked += 1
        return host if self.root is None else claims_now(host, self.root)

    def watch(self, changed: Callable[[], None]) -> Watch:
        """Keeps the callback for the test."""
        self.changed = changed
        return Watch(lambda: None, self.lacks)

    def way_back(self, host: Host, model: Model, journal: str | None = None) -> WayBack | None:
        """The interrupted journal that the test sets."""
        if journal is None or self.left is None:
            return None
        return WayBack(plan_intents(host, [], model), journal)

    def cut_off(self) -> CutOff | None:
        """The interruption that the test sets."""
        return self.left

    def before_boot(self, host: Host) -> Host | None:
        return None
