"""The review: every write, exactly and in order, before any of it is done."""

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Input, Static

from iommutui.tui.planview import Review, count, review_lines
from iommutui.tui.registry import REVIEW, SCROLL, bindings
from iommutui.tui.screens.scrolling import Scrolling
from iommutui.tui.spans import Span
from iommutui.tui.text import content, plain, toast
from iommutui.tui.widgets.lines import Lines


class ReviewScreen(Scrolling[bool]):
    """Dismissed with True to apply. Enter alone never does: the focus is on Cancel."""

    BINDINGS = [*bindings(REVIEW), *bindings(SCROLL)]  # noqa: RUF012 - Textual's own declaration
    AUTO_FOCUS = "#no"
    OTHER_ROWS = 4

    def __init__(self, review: Review) -> None:
        super().__init__()
        self._review = review

    def compose(self) -> ComposeResult:
        """The lines, what has to be typed, and the buttons."""
        review = self._review
        with Vertical(id="dialog") as dialog:
            dialog.border_title = plain(review.title)
            yield Lines(review_lines(review), id="lines")
            if review.applicable and review.danger is not None:
                yield Static(
                    content(
                        [
                            Span("‼ ", "bad"),
                            Span("This takes something away that this machine is using. Type "),
                            Span(str(review.danger), "strong"),
                            Span(", the group's number, to go on."),
                        ]
                    ),
                    id="ask",
                )
                yield Input(placeholder="group number", compact=True, id="typed")
            with Horizontal(classes="buttons"):
                yield Button(plain("Cancel  Esc" if review.applicable else "Close  Esc"), id="no", compact=True)
                if review.applicable:
                    verb = "Revert" if review.revert else "Apply"
                    label = f"{verb} {count(len(review.plan.steps), 'write')}  y"
                    yield Button(plain(label), id="yes", compact=True, disabled=review.danger is not None)
                yield Static(self._hint(), id="hint")

    def _hint(self) -> str:
        return "" if self._review.real else "nothing is real"

    def on_mount(self) -> None:
        """What has to be typed comes first."""
        if self._review.applicable and self._review.danger is not None:
            self.OTHER_ROWS += 3
        if self._review.applicable and self._review.danger is not None:
            self.query_one("#typed").focus()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self.query_one("#yes", Button).disabled = event.value.strip() != str(self._review.danger)

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.query_one("#no").focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """A click, or Enter on the button with the focus."""
        self.dismiss(event.button.id == "yes")

    def action_confirm(self) -> None:
        """``y``."""
        review = self._review
        if not review.applicable:
            what = "This plan is refused." if not review.plan.permitted else "There is nothing to do."
            toast(self.app, what, "warning")
        elif self.query_one("#yes", Button).disabled:
            toast(self.app, f"Type {review.danger}, the group's number, first.", "warning")
            self.query_one("#typed").focus()
        else:
            self.dismiss(True)

    def action_cancel(self) -> None:
        """``Esc``."""
        self.dismiss(False)
