"""The review: every write, exactly and in order, before any of it is done."""

from typing import NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content
from textual.events import Key
from textual.widgets import Button, Input, Static

from iommutui.core.hazards import Acceptance
from iommutui.tui.pages.copies import shell_script
from iommutui.tui.pages.plan import WITHIN, Review, review_lines
from iommutui.tui.registry import REVIEW, SCROLL, bindings
from iommutui.tui.screens.scrolling import Scrolling
from iommutui.tui.text.spans import Span
from iommutui.tui.text.content import content, plain, toast
from iommutui.tui.widgets.dialog import Dialog
from iommutui.tui.widgets.dialogkeys import SCROLLS, DialogKeys, Keys, keys_for
from iommutui.tui.widgets.lines import Lines


class Terms(NamedTuple):
    """What the person agrees to beside the writes."""

    accepted: tuple[Acceptance, ...] = ()
    keep_within: float | None = None


NUMBERS = "0123456789, "
"""What numbers are typed with."""


class Typed(Input):
    """The field for the groups' numbers. Letters are the keys of the review, unless a name to type has letters."""

    def __init__(self, what: str, *, letters: bool) -> None:
        super().__init__(placeholder=what, compact=True, id="typed", restrict=None if letters else f"[{NUMBERS}]*")
        self._letters = letters

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Whether a key is typed."""
        if character is not None and not self._letters and character not in NUMBERS:
            return False
        return key != "y" and super().check_consume_key(key, character)

    def on_key(self, event: Key) -> None:
        """Before the field takes a key for a letter."""
        if not self.check_consume_key(event.key, event.character):
            event.prevent_default()


class ReviewScreen(Scrolling[Terms]):
    """Dismissed with the terms to apply. Enter alone never does: the focus is on Cancel."""

    BINDINGS = [*bindings(REVIEW), *bindings(SCROLL)]  # noqa: RUF012 - Textual's own declaration

    def __init__(self, review: Review) -> None:
        super().__init__()
        self._review = review
        self._asks = review.applicable and bool(review.to_type)
        self.OTHER_ROWS = 7 if self._asks else 4
        self.AUTO_FOCUS = "#typed" if self._asks else "#no"  # type: ignore[misc]  # as Textual lets a screen do

    def compose(self) -> ComposeResult:
        """The lines, what has to be typed, and the buttons."""
        review = self._review
        with Dialog(review.title, "Y copies the writes" if review.plan.permitted and review.plan.steps else ""):
            yield Lines(review_lines(review), id="lines")
            if self._asks:
                spans = [
                    Span("‼ ", "bad"),
                    Span("This takes something away that this machine is using. To go on, type "),
                    Span(" ".join(review.to_type), "strong"),
                    Span(f", {self._what}."),
                ]
                yield Static(content(spans), id="ask")
                yield Typed("number" if len(review.to_type) == 1 else "numbers", letters=self._letters)
            with Horizontal(classes="buttons"):
                yield Button(plain("Cancel  Esc" if review.applicable else "Close  Esc"), id="no", compact=True)
                if review.applicable:
                    yield Button(plain(f"{review.verb}  y"), id="yes", compact=True, disabled=self._asks)
                yield Static(self._hint(), id="hint")
        yield DialogKeys(self._keys())

    def _keys(self) -> Keys:
        confirm, cancel, *others = keys_for(REVIEW)
        if not self._review.applicable:
            return ((cancel[0], "close"), *SCROLLS)
        confirm = (confirm[0], "revert") if self._review.revert else confirm
        if self._letters:
            return confirm, cancel, ("Tab", "next")  # the other letters are typed as long as the field has the focus
        return (confirm, cancel, *others, *SCROLLS)

    @property
    def _what(self) -> str:
        return "the group's number" if len(self._review.to_type) == 1 else "the groups' numbers"

    @property
    def agreed(self) -> bool:
        """What has to be typed has been typed."""
        words = self.query_one("#typed", Input).value.replace(",", " ").split() if self._asks else ()
        return set(words) == set(self._review.to_type)

    @property
    def _letters(self) -> bool:
        """A name that has to be typed is no number: that of a device in no group."""
        return self._asks and not all(word.isdecimal() for word in self._review.to_type)

    @on(Input.Changed)
    def _typed(self) -> None:
        self.query_one("#yes", Button).disabled = not self.agreed
        self.query_one("#hint", Static).update(self._hint(agreed=self.agreed))

    def _hint(self, *, agreed: bool = False) -> Content:
        verb = "reverts" if self._review.revert else "applies"
        spans = [Span("✔ ", "ok"), Span("y", "key"), Span(f" {verb}  ")] if agreed else []
        return content(spans if self._review.real else [*spans, Span("nothing is real", "warn")])

    @on(Input.Submitted)
    def _submitted(self) -> None:
        if self.agreed:
            self.query_one("#no").focus()
        else:
            self._ask_again()

    def _ask_again(self) -> None:
        toast(self.app, f"Type {' '.join(self._review.to_type)}, {self._what}, first.", "warning")
        self.query_one("#typed").focus()

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
        elif not self.agreed:
            self._ask_again()
        else:
            self.dismiss(self._terms)

    def action_timer(self) -> None:
        """``t``."""
        if not self._review.applicable:
            toast(self.app, "Nothing will be written, so there is nothing to take back.", "warning")
            return
        self._review = self._review._replace(within=WITHIN if self._review.within is None else None)
        self.query_one("#lines", Lines).show_lines(review_lines(self._review), top=False)
        yes = self.query_one("#yes", Button)
        yes.label = plain(f"{self._review.verb}  y")
        yes.refresh(layout=True)
        self.fit_dialog()

    def action_copy(self) -> None:
        """``Y``."""
        if not self._review.plan.permitted:
            toast(self.app, "This plan is refused, so its writes are not copied.", "warning")
        elif self._review.plan.steps:
            self.app.copy_to_clipboard(shell_script(self._review.plan))
            toast(self.app, "Copied the writes, as lines for a root shell.")
        else:
            toast(self.app, "There are no writes to copy.", "warning")

    def action_cancel(self) -> None:
        """``Esc``."""
        self.dismiss(None)
