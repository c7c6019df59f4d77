"""What a command is, and what it can ask of the desk."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Literal, NamedTuple, Protocol

from textual.message import Message

from iommutui.tui.state import AppState, Key, Pane, Phase
from iommutui.tui.text.blocks import Choice
from iommutui.tui.text.spans import Line

Severity = Literal["information", "warning", "error"]
LineCheck = Callable[[str], tuple[bool, str]]
"""Whether a line of text will do, and what there is to say of it."""


def something(text: str) -> tuple[bool, str]:
    """The line check that takes whatever is not blank."""
    return bool(text.strip()), ""


Opened = Awaitable[object] | None
"""What a command returns: nothing, or what has to be waited for until its dialog takes keys."""


class Page(NamedTuple):
    """Text to read, in a dialog of its own."""

    title: str
    lines: Sequence[Line]
    save_as: str = ""
    """The name of a file that ``s`` offers to save the text to; empty: it cannot be saved."""


class Desk(Protocol):
    """The screen, as commands see it."""

    @property
    def state(self) -> AppState:
        """The state on the screen."""

    def update(self, state: AppState) -> None:
        """Shows another state."""

    def move(self, lines: int) -> None:
        """Moves the cursor of the pane that has the focus, or scrolls it."""

    def page(self) -> int:
        """How many lines the pane with the focus shows."""

    def focus_pane(self, pane: Pane) -> None:
        """Gives a pane the focus."""

    def go_to(self, key: Key) -> None:
        """Puts the cursor on a row, opening its group and taking a filter away that hides it."""

    def remember(self) -> None:
        """Writes down what is kept between starts: marks, order, room, and that the orientation is over."""

    def say(self, text: str, severity: Severity = "information") -> None:
        """A short message that goes away by itself; ``severity`` is information, warning or error."""

    def log_line(self, text: str, style: str = "plain") -> None:
        """Adds a line to the log."""

    def copy(self, text: str, what: str) -> None:
        """Sends text to the terminal's clipboard, and says so."""

    def rescan(self) -> None:
        """Looks at the machine again."""

    def run_action(self, action: str) -> Awaitable[object]:
        """One of Textual's actions of the screen or the app, by name."""

    def post_message(self, message: Message) -> bool:
        """Textual's own: what the app does for a command."""

    # -- dialogs; each calls ``then`` with what was chosen, and not at all where the dialog was closed

    def show_page(self, page: Page) -> Opened:
        """Text to read, search, copy and save."""

    def choose(
        self, title: str, choices: Sequence[Choice], then: Callable[[str], Opened], *, verb: str, chosen: str = ""
    ) -> Opened:
        """One of a few things, by name."""

    def prompt(self, title: str, then: Callable[[str], Opened], check: LineCheck, hint: str) -> Opened:
        """One line of text. ``check`` says whether it will do, and what is shown below it."""

    def confirm(self, title: str, text: str, yes: str, no: str, then: Callable[[], Opened]) -> Opened:
        """A question with two answers; ``then`` is called for yes."""

    def review(self, *, revert: bool = False) -> Opened:
        """The review of what is staged, or of taking back what was applied last."""


Disabled = Callable[[AppState], str | None]


def needs_host(state: AppState) -> str | None:
    """There has to be a machine to look at."""
    if not state.seen:
        return (
            "The machine is still being scanned." if state.phase is Phase.SCANNING else "There is no machine to show."
        )
    return None


def unless(holds: Callable[[AppState], object], why: str) -> Disabled:
    """Says why while something does not hold."""
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
    """May raise IommutuiError, which is said."""
    disabled: tuple[Disabled, ...] = ()
    """Why it cannot be done now, as a sentence, or None; each may rely on those before it."""
    palette: bool = True
    also: str = ""
    """Words by which people look for it, and that stand neither in its name nor in its help."""

    @property
    def id(self) -> str:
        """The label in lower case, with - for blanks."""
        return self.label.lower().replace(" ", "-")
