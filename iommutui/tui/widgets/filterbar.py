"""The filter: an expression, and how much of the list it leaves."""

from asyncio import Lock
from typing import Any

from textual.containers import Horizontal
from textual.content import Content
from textual.widget import Widget

from iommutui.tui.state import AppState
from iommutui.tui.text import plain
from iommutui.tui.view import listing


class Count(Widget):
    """``12 of 143``."""

    text = ""

    def render(self) -> Content:
        """One line."""
        return plain(self.text)


class Slash(Widget):
    """The sign before the expression."""

    def render(self) -> Content:
        """One line."""
        return Content("/")


class FilterBar(Horizontal):
    """On the screen while a filter is being typed or is on. Its input is made when it is first needed."""

    def show_state(self, state: AppState) -> None:
        """The expression and its count."""
        # A widget's own has_focus follows a little later than the screen's word on who has the focus.
        self.display = bool(state.filter) or self.screen.focused in self.children
        if not self.display:
            return
        found = listing(state)
        for count in self.query(Count):
            count.text = f"{found.shown} of {found.total}"
            count.refresh()
        for field in self.query("Input"):
            if getattr(field, "value", None) != state.filter:
                with self.prevent(_changed()):
                    setattr(field, "value", state.filter)  # noqa: B010 - Input is imported when it is first needed

    def on_mount(self) -> None:
        """Only one makes the input, and whoever comes meanwhile waits for it."""
        self._making = Lock()

    async def prepare(self, state: AppState) -> None:
        """Makes the input, while nobody is waiting for it."""
        from textual.widgets import Input

        async with self._making:
            if self.ready:
                return
            await self.mount_all(
                [
                    Slash(),
                    Input(
                        state.filter,
                        placeholder="words  driver:nvidia  group:14  viable:no  class:gpu  !word",
                        compact=True,
                        select_on_focus=False,
                        id="filter-input",
                    ),
                    Count(),
                ]
            )

    @property
    def ready(self) -> bool:
        """Whether the input is there."""
        return bool(self.query("#filter-input"))

    def edit(self, state: AppState) -> None:
        """Gives the input the focus, at once: what is typed right behind the key belongs to it."""
        self.display = True
        self.screen.set_focus(self.query_one("#filter-input"))
        self.show_state(state)

    async def prepare_and_edit(self, state: AppState) -> None:
        """The same, where the input is not there yet."""
        await self.prepare(state)
        self.edit(state)


def _changed() -> Any:
    from textual.widgets import Input

    return Input.Changed
