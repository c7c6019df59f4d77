"""The dialogs that any command can use: a question, a page to read, a line to type, one of a few things to choose."""

import os
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, ClassVar, TypeVar

from textual import on
from textual.app import ComposeResult
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.events import Paste
from textual.screen import ModalScreen, Screen
from textual.widgets import Button, Input, OptionList, Static
from textual.widgets.option_list import Option

from iommutui.core.errors import IommutuiError
from iommutui.tui.content import content, plain
from iommutui.tui.text import Choice, Line, Span
from iommutui.tui.widgets.bars import Hint, KeyBar
from iommutui.tui.widgets.lines import FAR, Lines

Result = TypeVar("Result")

LineCheck = Callable[[str], tuple[bool, str]]
"""Whether a line of text is accepted, and what to show below it."""

Opened = Awaitable[object] | None
"""What a command returns: nothing, or what has to be waited for until its dialog takes keys."""


def something(text: str) -> tuple[bool, str]:
    """The line check that accepts any text that is not blank."""
    return bool(text.strip()), ""


SCROLL: list[BindingType] = [
    Binding("j,down", "scroll(1)", "Down"),
    Binding("k,up", "scroll(-1)", "Up"),
    Binding("pagedown,ctrl+d,space", "page(1)", "Page down"),
    Binding("pageup,ctrl+u", "page(-1)", "Page up"),
    Binding("g,home", f"scroll(-{FAR})", "Top"),
    Binding("G,end", f"scroll({FAR})", "Bottom"),
]
SCROLLS = Hint("j k", "scroll")


class Box(Vertical):
    """The frame of a dialog, with a title and contents, at most as high as the screen."""

    def __init__(self, title: str, hint: str = "", *, classes: str = "") -> None:
        super().__init__(id="dialog", classes=classes)
        self.border_title = plain(title)
        self.border_subtitle = plain(hint)


class Dialog(ModalScreen[Result]):
    """A dialog over the desk. ``Esc`` closes it without a result."""

    OTHER_ROWS = 3
    """Rows of the screen that are not lines: the frame of the dialog, its buttons, and the key bar."""

    def on_mount(self) -> None:
        """Sized before the first layout, so that one layout is enough."""
        self.on_resize()

    def on_resize(self) -> None:
        """Scrolling lines get the remaining room."""
        for lines in self.query(Lines):
            lines.styles.max_height = max(3, self.app.size.height - self.OTHER_ROWS)

    def action_close(self, answer: Result | None = None) -> None:
        """Closes at once: Textual's own waits, and a dialog that opens meanwhile would be closed instead."""
        self.dismiss(answer)

    def dismiss(self, result: Result | None = None) -> AwaitComplete:
        """Only once: a second Enter of the same burst would close what is below."""
        return super().dismiss(result) if self.is_current else AwaitComplete()

    def action_scroll(self, lines: int) -> None:
        self.query_one("#lines").scroll_relative(y=lines, animate=False)

    def action_page(self, pages: int) -> None:
        self.action_scroll(pages * max(1, self.query_one("#lines").scrollable_content_region.height - 1))


class ConfirmScreen(Dialog[bool]):
    """A question with two answers. Enter takes the one with the focus, which is the harmless one at first."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "close(True)", "Yes"),
        Binding("escape,n,q", "close", "No"),
        Binding("left,right,h,l", "app.focus_next", "Other"),
    ]
    AUTO_FOCUS = "#no"

    def __init__(self, title: str, text: str, yes: str, no: str) -> None:
        super().__init__()
        self._title, self._text, self._yes, self._no = title, text, yes, no

    def compose(self) -> ComposeResult:
        with Box(self._title, classes="small"):
            yield Static(plain(self._text), id="question")
            with Horizontal(classes="buttons"):
                yield Button(plain(f"{self._no}  Esc"), id="no", compact=True)
                yield Button(plain(f"{self._yes}  y"), id="yes", compact=True)
        yield KeyBar((Hint("y", self._yes.lower()), Hint("Esc", self._no.lower()), Hint("Tab", "other")))

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes" or None)


class Choices(OptionList):
    """Textual's list, with the movement keys of this program."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down", "Down"),
        Binding("k", "cursor_up", "Up"),
        Binding("g", "first", "Top"),
        Binding("G", "last", "Bottom"),
        Binding("space", "select", "Choose"),
    ]


class ChooseScreen(Dialog[str]):
    """Dismissed with the name of one of a few things; a description of the one under the cursor is below."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "close", "Close")]

    def __init__(self, title: str, choices: Sequence[Choice], verb: str, chosen: str | None = None) -> None:
        """``verb``: the action of Enter; ``chosen``: the name under the cursor at first."""
        super().__init__()
        self._title, self._choices, self._verb = title, choices, verb
        self._first = next((n for n, choice in enumerate(choices) if choice.name == chosen), 0)

    def compose(self) -> ComposeResult:
        with Box(self._title, classes="medium"):
            yield Choices(*(Option(content(choice.row.spans)) for choice in self._choices), compact=True)
            if any(choice.about for choice in self._choices):
                yield Static(self._about(self._first), id="about")
        yield KeyBar((Hint("Enter", self._verb), Hint("Esc", "close"), Hint("j k", "move")))

    def on_mount(self) -> None:
        """Puts the cursor on the current choice."""
        self.query_one(OptionList).highlighted = self._first if self._choices else None

    def _about(self, place: int) -> Content:
        return Content("\n").join(content(line.spans) for line in self._choices[place].about)

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        for about in self.query("#about").results(Static):
            if about.content != self._about(event.option_index):
                about.update(self._about(event.option_index))

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(self._choices[event.option_index].name)


class PasteInput(Input):
    """A line to type; several pasted lines are the answer at once, where Textual takes only the first."""

    def on_paste(self, event: Paste) -> None:
        """Runs before Textual's own handler."""
        if len(event.text.splitlines()) > 1:
            event.prevent_default().stop()
            self.post_message(self.Submitted(self, event.text))


class PromptScreen(Dialog[str]):
    """Dismissed with a line of text, once ``check`` accepts it; its objection is shown below the line."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "close", "Close")]
    AUTO_FOCUS = "#text"

    def __init__(self, title: str, hint: str, check: LineCheck = something, text: str = "") -> None:
        """``hint``: the text in the field while it is empty."""
        super().__init__()
        self._title, self._check, self._hint, self._text = title, check, hint, text

    def compose(self) -> ComposeResult:
        with Box(self._title, classes="small"):
            yield PasteInput(self._text, placeholder=self._hint, compact=True, id="text")
            yield Static(plain(""), id="found")
        yield KeyBar((Hint("Enter", "continue"), Hint("Esc", "close")))

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        good, words = self._check(event.value)
        shown = [Span("✔ ", "ok"), Span(words)] if good and words else [Span(words, "muted")]
        self.query_one("#found", Static).update(content(shown))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        if self._check(event.value)[0]:
            self.dismiss(event.value)


class PageScreen(Dialog[None]):
    """Text to read: it scrolls, ``/`` searches it, ``y`` copies it, and ``s`` saves it if it can be saved."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *SCROLL,
        Binding("slash", "search", "Search"),
        Binding("n", "match(1)", "Next"),
        Binding("N", "match(-1)", "Previous"),
        Binding("y", "copy", "Copy"),
        Binding("s", "save", "Save"),
        Binding("escape", "back", "Close"),
        Binding("q,enter,question_mark", "close", "Close"),
    ]
    AUTO_FOCUS = "#lines"

    def __init__(self, title: str, lines: Sequence[Line], save_as: str = "") -> None:
        """``save_as``: the name of a file that ``s`` offers to save the text to; empty: it cannot be saved."""
        super().__init__()
        self._title, self._lines, self._save_as = title, lines, save_as
        saves = (Hint("s", "save"),) if save_as else ()
        self._hints = (Hint("Esc", "close"), SCROLLS, Hint("/", "search"), Hint("y", "copy"), *saves)

    def compose(self) -> ComposeResult:
        with Box(self._title):
            yield Lines(self._lines, id="lines")
            yield Input(placeholder="search", compact=True, id="search")
        yield KeyBar(self._hints)

    @property
    def _field(self) -> Input:
        return self.query_one("#search", Input)

    @property
    def _text(self) -> str:
        return "".join(f"{line.text}\n" for line in self._lines)

    def action_search(self) -> None:
        self._divide(searching=True)
        self.set_focus(self._field)
        self.query_one(KeyBar).hints = (Hint("Enter", "next"), Hint("Esc", "back"))

    def _divide(self, *, searching: bool) -> None:
        self._field.display = searching
        self.OTHER_ROWS = 3 + searching
        self.on_resize()

    def action_match(self, step: int) -> None:
        """``n``, ``N``, and Enter while typing: the next row that holds the text, wrapping around."""
        lines, text = self.query_one("#lines", Lines), self._field.value
        rows = lines.rows_with(text)[::step] if text else []
        lines.marked = next((row for row in rows if (row - lines.marked) * step > 0), rows[0] if rows else -1)
        lines.refresh()
        lines.scroll_to(y=lines.marked if rows else None, animate=False)
        found = f"match {sorted(rows).index(lines.marked) + 1} of {len(rows)}" if rows else "no match"
        self.query_one("#dialog").border_subtitle = plain(found if text else "")

    @on(Input.Changed)
    def _typed(self) -> None:
        self.query_one("#lines", Lines).marked = -1
        self.action_match(1)

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.action_match(1)

    def action_back(self) -> None:
        """``Esc``: out of the search, or out of the dialog."""
        if self._field.display:
            self._divide(searching=False)
            self._field.value = ""
            self.set_focus(self.query_one("#lines"))
            self.query_one(KeyBar).hints = self._hints
        else:
            self.dismiss(None)

    def action_copy(self) -> None:
        self.app.copy_to_clipboard(self._text)
        self.notify("Sent to the terminal's clipboard.")

    def action_save(self) -> None:
        if not self._save_as:
            return
        from iommutui.sources.snapshot import save  # imports pydantic, which the first frame does not need

        def write(path: str) -> Opened:
            save(self._text, path)
            self.notify(f"Saved as {path}.", markup=False)
            return None

        def then(text: str) -> Opened:
            path = os.path.expanduser(text.strip())
            question = ConfirmScreen("Overwrite it?", f"{path} exists.", "Overwrite", "Cancel")
            if os.path.lexists(path):
                return self.app.push_screen(question, answered(self, lambda _: write(path)))
            return write(path)

        self.app.push_screen(PromptScreen("Save as", "a file's name", text=self._save_as), answered(self, then))


async def carried_out(screen: Screen[Any], do: Callable[[], Opened]) -> None:
    """Does what a command is for, until a dialog that it opens takes keys; says what is wrong where it cannot be."""
    try:
        opened = do()
        if opened is not None:
            await opened
    except IommutuiError as error:
        screen.notify(f"{error.what} {error.remedy}".strip(), severity="warning")


def answered(screen: Screen[Any], then: Callable[[Result], Opened]) -> Callable[[Result | None], Awaitable[None]]:
    """Calls ``then`` with the answer of a dialog; not if it was closed without one."""

    async def take(answer: Result | None) -> None:
        if answer is not None:
            await carried_out(screen, partial(then, answer))

    return take
