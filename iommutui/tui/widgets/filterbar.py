"""The filter: an expression, and how much of the list it leaves."""

from asyncio import Lock
from typing import Any

from textual.containers import Horizontal
from textual.content import Content

from iommutui.tui.rows.groups import listing
from iommutui.tui.state import AppState, View
from iommutui.tui.text.content import plain
from iommutui.tui.widgets.painted import Single


class Count(Single):
    """``12 of 143``."""

    text = ""

    def render(self) -> Content:
        """One line."""
        return plain(self.text)


class Slash(Single):
    """The sign before the expression."""

    def render(self) -> Content:
        """One line."""
        return Content("/")


def expression(state: AppState) -> str:
    """What is in the bar: the filter of the list, or what is searched for in the topology."""
    return state.search if state.view is View.TOPOLOGY else state.filter


def counted(state: AppState) -> str:
    """How much the filter leaves, or how much the search finds."""
    found = listing(state)
    if state.view is not View.TOPOLOGY or state.host is None:
        return f"{found.shown} of {found.total}" + ("  Esc clears" if state.filter else "")
    if not state.search.strip():
        return ""
    from iommutui.tui.rows.topology import matches

    return f"{len(matches(state.host, state.search))} of {found.total}" + ("  n next")


def completed(state: AppState, text: str) -> str | None:
    """The text with its last word completed, or None where nothing completes it."""
    from iommutui.core.completion import completion

    return completion(state.host, text) if state.host is not None else None


class FilterBar(Horizontal):
    """On the screen while a filter is being typed or is on. Its input is made when it is first needed."""

    _state: AppState | None = None

    def show_state(self, state: AppState) -> None:
        """The expression and its count."""
        self._state = state
        text = expression(state)
        # A widget's own has_focus follows a little later than the screen's word on who has the focus.
        self.display = state.view is not View.LOG and (bool(text) or self.screen.focused in self.children)
        if not self.display:
            return
        for count in self.query(Count):
            count.text = counted(state)
            count.refresh()
        for field in self.query("Input"):
            if getattr(field, "value", None) != text:
                with self.prevent(_changed()):
                    setattr(field, "value", text)  # noqa: B010 - Input is imported when it is first needed

    def complete(self) -> None:
        """Takes over what is offered behind the cursor."""
        for field in self.query("Input"):
            offered = completed(self._state, expression(self._state)) if self._state is not None else None
            if offered is not None:
                setattr(field, "value", offered)  # noqa: B010 - Input is imported when it is first needed
                setattr(field, "cursor_position", len(offered))  # noqa: B010

    def on_mount(self) -> None:
        """Only one makes the input, and whoever comes meanwhile waits for it."""
        self._making = Lock()

    async def prepare(self, state: AppState) -> None:
        """Makes the input, while nobody is waiting for it."""
        from textual.widgets import Input

        from iommutui.tui.widgets.suggesting import Completions

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
                        suggester=Completions(lambda text: completed(self._state or state, text)),
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
