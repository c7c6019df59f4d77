"""The two dialogs that decide about writes: the review before them, and the countdown after them."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.events import Key
from textual.widgets import Button, Input, Static

from iommutui.apply.events import Counting
from iommutui.core.plan.planner import shell_script
from iommutui.tui.commands import Hint
from iommutui.tui.machines.base import Job
from iommutui.tui.pages.plan import WITHIN, Review, review_lines
from iommutui.tui.screens.dialogs import SCROLL, SCROLLS, Box, DeliberateDialog
from iommutui.tui.text.content import content, plain
from iommutui.tui.text.spans import Span
from iommutui.tui.widgets.bars import KeyBar
from iommutui.tui.widgets.lines import Lines

NUMBERS = "0123456789, "
"""What numbers are typed with."""


class Typed(Input):
    """The field for the groups' numbers. Letters are the keys of the review, unless a name to type has letters."""

    def __init__(self, what: str, *, letters: bool) -> None:
        super().__init__(placeholder=what, compact=True, id="typed", restrict=None if letters else f"[{NUMBERS}]*")
        self._letters = letters

    def check_consume_key(self, key: str, character: str | None) -> bool:
        if character is not None and not self._letters and character not in NUMBERS:
            return False
        return key != "y" and super().check_consume_key(key, character)

    def on_key(self, event: Key) -> None:
        """Before the field takes a key for a letter."""
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

    def __init__(self, review: Review) -> None:
        super().__init__()
        self._review = review
        self._asks = review.applicable and bool(review.to_type)
        self.OTHER_ROWS = 8 if self._asks else 5  # type: ignore[misc]  # it is this dialog's own
        self.AUTO_FOCUS = "#typed" if self._asks else "#no"  # type: ignore[misc]  # as Textual lets a screen do

    def compose(self) -> ComposeResult:
        review = self._review
        with Box(review.title, "" if review.real else "nothing is real"):
            yield Lines(review_lines(review), id="lines")
            if self._asks:
                spans = [
                    Span("‼ ", "bad"),
                    Span("This machine is using part of it. To go on, type "),
                    Span(" ".join(review.to_type), "strong"),
                    Span(f", {self._what}."),
                ]
                yield Static(content(spans), id="ask")
                yield Typed("number" if len(review.to_type) == 1 else "numbers", letters=self._letters)
            with Horizontal(classes="buttons"):
                yield Button(plain("Cancel  Esc" if review.applicable else "Close  Esc"), id="no", compact=True)
                if review.applicable:
                    yield Button(plain(f"{review.verb}  y"), id="yes", compact=True, disabled=self._asks)
                yield Static(Content(""), id="hint")
        yield KeyBar(self._hints())

    def _hints(self) -> tuple[Hint, ...]:
        if not self._review.applicable:
            return (Hint("Esc", "close"), SCROLLS)
        first = (Hint("y", "revert" if self._review.job.revert else "apply"), Hint("Esc", "cancel"))
        if self._letters:
            return (*first, Hint("Tab", "next"))  # the other letters are typed as long as the field has the focus
        return (*first, Hint("t", "timer"), Hint("Y", "copy"), SCROLLS)

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
        """What is asked for goes as soon as it has been typed: there is nothing left to ask."""
        self.query_one("#yes", Button).disabled = not self.agreed
        verb = "reverts" if self._review.job.revert else "applies"
        agreed = [Span("✔ ", "ok"), Span("y", "key"), Span(f" {verb}")] if self.agreed else []
        self.query_one("#hint", Static).update(content(agreed))
        self.query_one("#ask").display = not self.agreed

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


class CountdownScreen(DeliberateDialog[bool]):
    """Confirm, or everything reverts: dismissed with True to keep it, False to revert now, None where it is over.

    Nothing but a key of its own or a click answers it: whoever presses keys in the dark decides nothing by it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "close(True)", "Keep"),
        Binding("u,escape", "close(False)", "Revert"),
        Binding("enter", "neither", "Enter"),
    ]
    AUTO_FOCUS = None

    def __init__(self, first: Counting, *, real: bool) -> None:
        from textual.widgets import Digits, ProgressBar  # which the review, with most to do at once, does without

        super().__init__()
        self._now = first
        self._real = real
        self._left = Digits(id="left")
        self._bar = ProgressBar(first.within, show_percentage=False, show_eta=False, id="bar")
        self._words = Static(id="words")

    def compose(self) -> ComposeResult:
        """The numbers, and two buttons that take no key."""
        title = "Keep these changes?" + ("" if self._real else " Simulated: nothing is real")
        note = (
            "Without an answer everything reverts. From any other terminal 'iommutui keep' confirms it."
            if self._real
            else "Nothing is real here: this is what it would look like."
        )
        with Box(title, classes="countdown"):
            yield Static(plain("The plan is applied and in effect. Check display, network and keyboard."))
            yield from (self._left, self._bar, self._words)
            yield Static(plain(note), id="note")
            with Horizontal(classes="buttons"):
                for label, name in (("Keep  y", "yes"), ("Revert  u", "no")):
                    button = Button(plain(label), id=name, compact=True)
                    button.can_focus = False
                    yield button
        yield KeyBar((Hint("y", "keep"), Hint("u Esc", "revert")))

    def on_mount(self) -> None:
        self.count(self._now)

    def count(self, now: Counting) -> None:
        """So much is left."""
        self._now = now
        left = int(now.seconds + 0.999)
        self._left.update(str(max(left, 0)))
        self._bar.update(progress=now.seconds)
        self._words.update(plain(f"Reverts automatically in {left} s unless you confirm."))

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def action_neither(self) -> None:
        self.notify("y confirms, u reverts; Enter does neither.", severity="warning")
