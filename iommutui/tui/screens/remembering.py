"""What is remembered from one time to the next: the person's marks, and that they know their way around."""

from typing import TYPE_CHECKING

from textual.screen import Screen

from iommutui.tui.machines.base import Machine
from iommutui.tui.state import AppState, logged
from iommutui.tui.store import Memory, Store, marks_in, marks_to_keep


class Remembering(Screen[None]):
    """The part of the desk that reads and writes the store."""

    machine: Machine
    store: Store | None = None

    if TYPE_CHECKING:

        @property
        def state(self) -> AppState: ...
        def update(self, state: AppState) -> None: ...
        def say(self, text: str, severity: str = "information") -> None: ...
        def now(self) -> str: ...

    def keep_marks(self) -> None:
        """Writes down which devices are marked."""
        state = self.state
        if self.store is not None and state.host is not None:
            memory = self.store.read()
            marks = {**memory.marks, self._machine_name: marks_to_keep(state.host, state.marks)}
            self._remember(memory._replace(marks=marks))

    def end_hints(self) -> None:
        """The orientation is over, and does not come again."""
        self.update(self.state._replace(hints=False))
        if self.store is not None:
            self._remember(self.store.read()._replace(oriented=True))

    def remember(self, state: AppState) -> AppState:
        """The state of the first look with what is remembered of this machine."""
        if self.store is None or state.host is None:
            return state
        memory = self.store.read()
        marks = marks_in(state.host, memory.marks.get(self._machine_name, ()))
        return state._replace(marks=marks, hints=not memory.oriented)

    @property
    def _machine_name(self) -> str:
        return f"{self.machine.source.kind.value} {self.machine.source.label}".strip()

    def _remember(self, memory: Memory) -> None:
        why = self.store.write(memory) if self.store is not None else None
        if why is not None:
            self.update(logged(self.state, self.now(), why, "warn"))
            self.say(f"{why} It is forgotten at the end.", "warning")
