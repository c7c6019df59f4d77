"""The command, and the interface of the desk for commands."""

from abc import abstractmethod
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

from textual.notifications import SeverityLevel
from textual.screen import ModalScreen, Screen

from iommutui.core.host import Host
from iommutui.tui.machines.base import Machine
from iommutui.tui.state import AppState, Key, Pane, Phase
from iommutui.tui.widgets.dialogs import Opened, answered

Answer = TypeVar("Answer")


class Desk(Screen[None]):
    """The screen, as commands see it."""

    state: AppState
    """What is on the screen; `update` changes it."""

    @abstractmethod
    def update(self, state: AppState) -> None:
        """Shows another state."""

    @abstractmethod
    def move(self, lines: int) -> None:
        """Moves the cursor of the pane that has the focus, or scrolls it."""

    @abstractmethod
    def page(self) -> int:
        """How many lines the pane with the focus shows."""

    @abstractmethod
    def focus_pane(self, pane: Pane) -> None:
        """Gives a pane the focus."""

    @abstractmethod
    def go_to(self, key: Key) -> None:
        """Puts the cursor on a row, opening its group and clearing a filter that hides it."""

    @abstractmethod
    def remember(self) -> None:
        """Saves the state kept between starts: marks, order, room, and the end of the orientation."""

    @abstractmethod
    def log_line(self, text: str, style: str = "plain") -> None:
        """Adds a line to the log."""

    @abstractmethod
    def rescan(self) -> None:
        """Scans the machine again."""

    @abstractmethod
    def read_machine(self, text: str, then: Callable[[Machine, Host], Opened]) -> None:
        """Reads a file or a pasted text in a thread; ``then`` gets what it is, unless a dialog is open by then."""

    @abstractmethod
    def review(self, *, revert: bool = False) -> Opened:
        """Opens the review of the staged plan, or of reverting the last apply."""

    def say(self, text: str, severity: SeverityLevel = "information") -> None:
        """A short message that goes away by itself."""
        self.notify(text, severity=severity)

    def copy(self, text: str, what: str) -> None:
        """Sends text to the terminal's clipboard, and says so."""
        self.app.copy_to_clipboard(text)
        self.say(f"Sent to the terminal's clipboard: {what}")

    def ask(self, dialog: ModalScreen[Answer], then: Callable[[Answer], Opened]) -> Awaitable[object]:
        """Opens a dialog; ``then`` gets its answer, and is not called if it was closed without one."""
        return self.app.push_screen(dialog, answered(self, then))


Disabled = Callable[[AppState], str | None]


def needs_host(state: AppState) -> str | None:
    """Checks that there is a machine."""
    if state.seen:
        return None
    return "The machine is still being scanned." if state.phase is Phase.SCANNING else "There is no machine to show."


def unless(holds: Callable[[AppState], object], why: str) -> Disabled:
    """A check that gives a reason while a condition does not hold."""
    return lambda state: None if holds(state) else why


class Command(NamedTuple):
    """One entry: it makes the binding, the key bar, the help, the palette and the table of keys."""

    label: str
    """A word or two."""
    keys: tuple[str, ...]
    help: str
    """A sentence."""
    topic: str
    run: Callable[[Desk], Opened]
    """May raise IommutuiError, which is shown."""
    disabled: tuple[Disabled, ...] = ()
    """Why it cannot be done now, as a sentence, or None; each may rely on those before it."""
    palette: bool = True
    also: str = ""
    """Search words that are in neither its name nor its help."""

    @property
    def id(self) -> str:
        """The label in lower case, with - for blanks."""
        return self.label.lower().replace(" ", "-")
