"""What a command is, and what it can do."""

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple, Protocol

from iommutui.tui.state import AppState, Key, Phase


class Pane(StrEnum):
    """The parts of the screen that can have the focus."""

    LIST = "list"
    DETAILS = "details"
    PLAN = "plan"
    FILTER = "filter"


class Dialog(StrEnum):
    """What can be laid over the screen."""

    REVIEW = "review"
    REVERT = "revert"
    TARGETS = "targets"
    HELP = "help"
    GO = "go"
    COPY = "copy"
    QUIT = "quit"
    PALETTE = "palette"
    THEME = "theme"


class Desk(Protocol):
    """The screen, as commands see it."""

    @property
    def state(self) -> AppState:
        """The state on the screen."""
        ...

    @property
    def pane(self) -> Pane:
        """The pane that has the focus."""
        ...

    def update(self, state: AppState) -> None:
        """Shows another state."""
        ...

    def move(self, lines: int) -> None:
        """Moves the cursor, or scrolls the pane that has the focus."""
        ...

    def page(self) -> int:
        """How many lines the pane with the focus shows."""
        ...

    def focus_pane(self, pane: Pane) -> None:
        """Gives a pane the focus."""
        ...

    def go_to(self, key: Key) -> None:
        """Puts the cursor on a row, opening its group and taking a filter away that hides it."""
        ...

    def end_hints(self) -> None:
        """The orientation is over, and does not come again."""
        ...

    def keep_marks(self) -> None:
        """Writes down which devices are marked."""
        ...

    def complete(self) -> None:
        """Takes what the filter offers to complete the word with."""
        ...

    def open(self, dialog: Dialog) -> None:
        """Lays a dialog over the screen."""
        ...

    def say(self, text: str, severity: str = "information") -> None:
        """A short message that goes away by itself."""
        ...

    def rescan(self) -> None:
        """Looks at the machine again."""
        ...

    def copy(self, text: str) -> None:
        """Puts text on the terminal's clipboard."""
        ...

    def leave(self) -> None:
        """Ends the program."""
        ...


Disabled = Callable[[AppState], str | None]


def always(state: AppState) -> str | None:
    """A command that nothing disables."""
    return None


def needs_host(state: AppState) -> str | None:
    """There has to be a machine to look at."""
    if state.host is None:
        return (
            "The machine is still being scanned." if state.phase is Phase.SCANNING else "There is no machine to show."
        )
    return None


class Command(NamedTuple):
    """One entry: it makes the binding, the footer, the help, the palette and the table of keys."""

    id: str
    keys: tuple[str, ...]
    label: str
    """A word or two; in lower case, with - for blanks, its id."""
    help: str
    """A sentence."""
    topic: str
    run: Callable[[Desk], None] | None = None
    """None: the dialog that has the command does it itself, in the action of the command's name."""
    disabled: Disabled = always
    """Why it cannot be done now, as a sentence, or None."""
    footer: bool = False
    palette: bool = True
    also: str = ""
    """Words by which people look for it, and that stand neither in its name nor in its help."""
