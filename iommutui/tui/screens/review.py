"""The review: every write, exactly and in order, before any of it is done."""

from typing import NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Input, Static

from iommutui.core.hazards import Acceptance
from iommutui.tui.copies import shell_script
from iommutui.tui.planview import WITHIN, Review, count, review_lines
from iommutui.tui.registry import REVIEW, SCROLL, bindings
from iommutui.tui.screens.scrolling import Scrolling
from iommutui.tui.spans import Span
from iommutui.tui.text import content, plain, toast
from iommutui.tui.widgets.lines import Lines


class Terms(NamedTuple):
    """What the person agrees to beside the writes."""

    accepted: tuple[Acceptance, ...] = ()
    keep_within: float | None = None


class ReviewScreen(Scrolling[Terms]):
    """Dismissed with the terms to apply. Enter alone never does: the focus is on Cancel."""

    BINDINGS = [*bindings(REVIEW), *bindings(SCROLL)]  # noqa: RUF012 - Textual's own declaration
    AUTO_FOCUS = "#no"

    def __init__(self, review: Review) -> None:
        super().__init__()
        self._review = review
        self._asks = review.applicable and bool(review.to_type)
        self.OTHER_ROWS = 7 if self._asks else 4

    def compose(self) -> ComposeResult:
        """The lines, what has to be typed, and the buttons."""
        review = self._review
        with Vertical(id="dialog") as dialog:
            dialog.border_title = plain(review.title)
            dialog.border_subtitle = plain("Y copies the writes")
            yield Lines(review_lines(review), id="lines")
            if self._asks:
                spans = [
                    Span("‼ ", "bad"),
                    Span("This takes something away that this machine is using. To go on, type "),
                    Span(" ".join(review.to_type), "strong"),
                    Span(f", {self._what}."),
                ]
                yield Static(content(spans), id="ask")
                yield Input(placeholder=self._what, compact=True, id="typed")
            with Horizontal(classes="buttons"):
                yield Button(plain("Cancel  Esc" if review.applicable else "Close  Esc"), id="no", compact=True)
                if review.applicable:
                    verb = "Revert" if review.revert else "Apply"
                    label = f"{verb} {count(len(review.plan.steps), 'write')}  y"
                    yield Button(plain(label), id="yes", compact=True, disabled=self._asks)
                yield Static("" if review.real else "nothing is real", id="hint")

    @property
    def _what(self) -> str:
        return "the group's number" if len(self._review.to_type) == 1 else "the groups' numbers"

    def on_mount(self) -> None:
        """What has to be typed comes first."""
        super().on_mount()
        if self._asks:
            self.query_one("#typed").focus()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        words = event.value.replace(",", " ").split()
        self.query_one("#yes", Button).disabled = set(words) != set(self._review.to_type)

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.query_one("#no").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """A click, or Enter on the button with the focus."""
        self.dismiss(self._terms if event.button.id == "yes" else None)

    @property
    def _terms(self) -> Terms:
        return Terms(self._review.accepted, self._review.within)

    def action_confirm(self) -> None:
        """``y``."""
        review = self._review
        if not review.applicable:
            what = "This plan is refused." if not review.plan.permitted else "There is nothing to do."
            toast(self.app, what, "warning")
        elif self.query_one("#yes", Button).disabled:
            toast(self.app, f"Type {' '.join(review.to_type)}, {self._what}, first.", "warning")
            self.query_one("#typed").focus()
        else:
            self.dismiss(self._terms)

    def action_timer(self) -> None:
        """``t``."""
        if not self._review.applicable:
            toast(self.app, "Nothing will be written, so there is nothing to take back.", "warning")
            return
        self._review = self._review._replace(within=WITHIN if self._review.within is None else None)
        self.query_one("#lines", Lines).show_lines(review_lines(self._review), top=False)
        self.fit_dialog()

    def action_copy(self) -> None:
        """``Y``."""
        if self._review.plan.steps:
            self.app.copy_to_clipboard(shell_script(self._review.plan))
            toast(self.app, "Copied the writes, as lines for a root shell.")
        else:
            toast(self.app, "There are no writes to copy.", "warning")

    def action_cancel(self) -> None:
        """``Esc``."""
        self.dismiss(None)
