"""What an attempt writes its lines to: a journal, or nothing where nothing outlives the program."""

from typing import Protocol

from iommutui.apply.kernel import Late
from iommutui.apply.lines import Line


class Record(Protocol):
    """The part of a journal that an attempt needs."""

    id: str
    muted: bool
    """A line that cannot be written is no error any more."""

    broken: bool
    """A line is missing."""

    def append(self, line: Line) -> None:
        """Writes a line."""
        ...

    def late_teller(self, number: int) -> Late:
        """Tells how the write of this number ended, where that is late."""
        ...


class NoRecord:
    """Keeps nothing: for a kernel that is simulated."""

    def __init__(self) -> None:
        self.id = ""
        self.muted = True
        self.broken = False

    def append(self, line: Line) -> None:
        """Forgets the line."""

    def late_teller(self, number: int) -> Late:
        """Nothing ends late here."""
        return lambda _result, _seconds: None
