"""What workers tell the screen. They read and compute; only the screen changes anything."""

from typing import TYPE_CHECKING

from textual.message import Message

from iommutui.core.host import Host
from iommutui.tui.state import Problem

if TYPE_CHECKING:
    from iommutui.apply.events import Event


class Scanned(Message):
    """The machine as it is now."""

    def __init__(self, host: Host) -> None:
        super().__init__()
        self.host = host


class ClaimsSeen(Message):
    """Somebody has taken or released groups since ``before`` was looked at."""

    def __init__(self, before: Host, now: Host) -> None:
        super().__init__()
        self.before = before
        self.now = now


class ScanFailed(Message):
    """The machine could not be read."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.problem = problem


class MachineChanged(Message):
    """Something has happened to a device. A flood of these is handled as one."""

    def can_replace(self, message: Message) -> bool:
        """The newest stands for all."""
        return isinstance(message, MachineChanged)


class Applying(Message):
    """The applying room says something."""

    def __init__(self, event: "Event") -> None:
        super().__init__()
        self.event = event


class ApplyEnded(Message):
    """Nothing more will come. ``problem`` says why it could not even begin, or why it broke off."""

    def __init__(self, problem: Problem | None) -> None:
        super().__init__()
        self.problem = problem
