"""The review: every write before it is made, and the text to type to go on."""

from math import inf
from typing import Any, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.events import Key
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Button, Input, Static

from iommutui.core.plan.planner import shell_script
from iommutui.tui.content import content, plain
from iommutui.tui.machines.base import Job
from iommutui.tui.pages.plan import WITHIN, Review, review_lines
from iommutui.tui.text import Span
from iommutui.tui.widgets.bars import Hint, KeyBar
from iommutui.tui.widgets.dialogs import SCROLL, SCROLLS, Box, Dialog, Result
from iommutui.tui.widgets.lines import Lines


class DeliberateDialog(Dialog[Result]):
    """A dialog whose keys change the machine, so it takes none before the user can have read it.

    The first key counts after a moment without one. Keys that were typed ahead, came in one burst, or repeat while
    held down are dropped.
    """

    QUIET: ClassVar[float] = 0.5
    """Seconds without a key before one counts: longer than a line of 300 ms takes there and back."""
    HARMLESS: ClassVar[tuple[str, ...]] = ()
    """Keys that count as soon as it is painted."""

    shown_at: float = inf
    """When it was painted first, by the clock of messages."""
    _dropped_at = 0.0
    _takes_keys = False

    def takes(self, event: Key) -> bool:
        """Whether a key counts."""
        if event.key in self.HARMLESS:
            return event.time >= self.shown_at
        if not self._takes_keys:
            self._takes_keys = event.time >= max(self.shown_at, self._dropped_at) + self.QUIET
            self._dropped_at = event.time
        return self._takes_keys

    def on_mount(self) -> None:
        self.screen_layout_refresh_signal.subscribe(self, self._painted, immediate=True)

    def _painted(self, _: Screen[Any]) -> None:
        if self.shown_at == inf and self.is_active:
            self.shown_at = Message().time


NUMBERS = "0123456789abcdefABCDEF:., "
"""What numbers of groups are typed with, and addresses of devices that are in none."""


class Typed(Input):
    """The field for the text to type. Other letters are the keys of the review."""

    def __init__(self, what: str) -> None:
        super().__init__(placeholder=what, compact=True, id="typed", restrict=f"[{NUMBERS}]*")

    def check_consume_key(self, key: str, character: str | None) -> bool:
        return character is not None and character in NUMBERS and super().check_consume_key(key, character)

    def on_key(self, event: Key) -> None:
        """Handles a key before the field takes it for a letter."""
        if not self.check_consume_key(event.key, event.character):
            event.prevent_default()


class ReviewScreen(DeliberateDialog[Job]):
    """Dismissed with the job to apply. Enter alone never does: the focus is on Cancel."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "confirm", "Apply"),
        Binding("escape,n,q", "close", "Cancel"),
        Binding("t", "timer", "Timer"),
        Binding("Y", "copy", "Copy"),
        *SCROLL,
    ]
    HARMLESS = ("escape",)
    AUTO_FOCUS = "#typed, #no"  # the first of them that is there

    def __init__(self, review: Review) -> None:
        super().__init__()
        self._review = review
        self._asks = review.applicable and bool(review.to_type)
        self._what = "the group's number" if len(review.to_type) == 1 else "the groups' numbers"
        self.OTHER_ROWS = 8 if self._asks else 5

    def compose(self) -> ComposeResult:
        review = self._review
        with Box(review.title, "" if review.real else "nothing is real"):
            yield Lines(review_lines(review), id="lines")
            if self._asks:
                spans = [
                    Span("‼ ", "bad"),
                    Span("This machine is using part of it. To continue, type "),
                    Span(" ".join(review.to_type), "strong"),
                    Span(f", {self._what}."),
                ]
                yield Static(content(spans), id="ask")
                yield Typed("number" if len(review.to_type) == 1 else "numbers")
            with Horizontal(classes="buttons"):
                yield Button(plain("Cancel  Esc" if review.applicable else "Close  Esc"), id="no", compact=True)
                if review.applicable:
                    yield Button(plain(f"{review.verb}  y"), id="yes", compact=True, disabled=self._asks)
                yield Static(Content(""), id="hint")
        yield KeyBar(self._hints(not self._asks))

    def _hints(self, agreed: bool) -> tuple[Hint, ...]:
        if not self._review.applicable:
            return (Hint("Esc", "close"), SCROLLS)
        verb = "revert" if self._review.job.revert else "apply"
        first = (Hint("y", verb, enabled=agreed), Hint("Esc", "cancel"))
        return (*first, Hint("t", "timer"), Hint("Y", "copy"), SCROLLS)

    @property
    def agreed(self) -> bool:
        """The required text has been typed."""
        words = self.query_one("#typed", Input).value.replace(",", " ").split() if self._asks else ()
        return set(words) == set(self._review.to_type)

    @on(Input.Changed)
    def _typed(self) -> None:
        """Hides the question once it has been answered; its rows stay, so that nothing moves."""
        self.query_one("#yes", Button).disabled = not self.agreed
        verb = "reverts" if self._review.job.revert else "applies"
        agreed = [Span("✔ ", "ok"), Span("y", "key"), Span(f" {verb}")] if self.agreed else []
        self.query_one("#hint", Static).update(content(agreed))
        self.query_one("#ask").visible = not self.agreed
        self.query_one(KeyBar).hints = self._hints(self.agreed)

    @on(Input.Submitted)
    def _submitted(self) -> None:
        if self.agreed:
            self.query_one("#no").focus()
        else:
            self._ask_again()

    def _ask_again(self) -> None:
        self.notify(f"Type {' '.join(self._review.to_type)}, {self._what}, first.", severity="warning")
        self.query_one("#typed").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.action_confirm() if event.button.id == "yes" else self.dismiss(None)

    def action_confirm(self) -> None:
        review = self._review
        if not review.applicable:
            what = "This plan is refused." if not review.job.plan.permitted else "There is nothing to do."
            self.notify(what, severity="warning")
        elif not self.agreed:
            self._ask_again()
        else:
            self.dismiss(review.job)

    def action_timer(self) -> None:
        if not self._review.applicable:
            self.notify("Nothing will be written, so there is nothing to revert.", severity="warning")
            return
        job = self._review.job
        self._review = self._review._replace(job=job._replace(keep_within=WITHIN if job.keep_within is None else None))
        self.query_one("#lines", Lines).show_lines(review_lines(self._review), top=False)
        yes = self.query_one("#yes", Button)
        yes.label = plain(f"{self._review.verb}  y")
        yes.refresh(layout=True)

    def action_copy(self) -> None:
        if not self._review.job.plan.permitted:
            self.notify("This plan is refused, so its writes are not copied.", severity="warning")
        elif self._review.job.plan.steps:
            self.app.copy_to_clipboard(shell_script(self._review.job.plan))
            self.notify("The writes are in the terminal's clipboard, as lines for a root shell.")
        else:
            self.notify("There are no writes to copy.", severity="warning")
