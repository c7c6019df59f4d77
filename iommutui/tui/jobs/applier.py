"""Carrying out a reviewed plan: the applying room works, and its events are posted."""

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.app import SuspendNotSupported
from textual.dom import DOMNode
from textual.message import Message
from textual.worker import WorkerCancelled

from iommutui.core.errors import IommutuiError
from iommutui.tui.machines.base import Applier as Room
from iommutui.tui.machines.base import Job

if TYPE_CHECKING:
    from iommutui.apply.events import Event


class Applier:
    """One job for one widget, which it posts its messages to, and whose worker it runs."""

    @dataclass
    class Said(Message):
        """The applying room says something."""

        event: "Event"

    @dataclass
    class Ended(Message):
        """Nothing more will come. ``problem`` says why it broke off."""

        problem: IommutuiError | None

    def __init__(self, room: Room, node: DOMNode, job: Job) -> None:
        self._room = room
        self._node = node
        self.job = job

    def begin(self) -> None:
        """Starts; hands the terminal over where a password may be asked for. IommutuiError where that cannot be."""
        try:
            with self._node.app.suspend() if self._room.needs_terminal else nullcontext():
                self._room.begin(self.job)
        except SuspendNotSupported:
            what = "This terminal cannot be handed over for a password."
            raise IommutuiError(what, "Start iommutui as root to apply.") from None
        self._node.run_worker(self._work, thread=True, group="apply", exit_on_error=False)

    def answer(self, *, keep: bool) -> None:
        """While a countdown goes on: what was applied may stay, or is to be taken back at once."""
        self._room.keep() if keep else self._room.undo()

    def _work(self) -> None:
        problem: IommutuiError | None = None
        try:
            for event in self._room.events(self.job):
                self._node.post_message(self.Said(event))
        except IommutuiError as error:
            problem = error
        except WorkerCancelled:
            raise
        except Exception as error:  # shown, whatever it is
            what = f"Applying failed: {type(error).__name__}: {error}"
            problem = IommutuiError(what, "'iommutui journal' shows how far it got.")
        self._node.post_message(self.Ended(problem))
