"""The dialogs of a running apply: each write and its result, and the countdown at its end."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Button, Static

from iommutui.apply import events
from iommutui.core.errors import Exit, IommutuiError
from iommutui.core.plan.planner import Plan, shell_line
from iommutui.core.reasons import OK
from iommutui.core.wording import change_words
from iommutui.tui.content import plain
from iommutui.tui.pages.plan import outcome_span, step_lines
from iommutui.tui.screens.review import DeliberateDialog
from iommutui.tui.text import BLANK, Line, Span, bullet, line
from iommutui.tui.widgets.bars import Hint, KeyBar
from iommutui.tui.widgets.dialogs import SCROLL, SCROLLS, Box, Dialog
from iommutui.tui.widgets.lines import Lines

_SIGNS = {"ok": "✔", "bad": "✖", "warn": "!", "muted": "•"}


def event_words(event: events.Event) -> tuple[str, str] | None:
    """Text and style of an event for the log and the list of writes; None if it is not worth a line."""
    match event:
        case events.Started(journal_id=journal) if journal:
            return f"journal {journal}", "muted"
        case events.ModuleLoaded(module=module):
            return f"modprobe {module}: loaded", "ok"
        case events.StepDone(step=step, result=result, note=note):
            return f"{shell_line(step)}: {result}" + (f" ({note})" if note else ""), "ok" if result == OK else "bad"
        case events.StepWaiting(step=step, seconds=seconds, holders=holders):
            held = f" {', '.join(holders)} may have it open." if holders else ""
            return f"{step.device} has not answered for {seconds:.0f} s.{held}", "warn"
        case events.Kept(by=by):
            return f"confirmed by {by}", "ok"
        case events.Compensating(why=why):
            return f"Rolling back: {why}", "warn"
        case events.Finished(exit=code, summary=summary):
            return summary, "ok" if code is Exit.DONE else "bad"
    return None


class ProgressScreen(Dialog[None]):
    """Closes by itself if everything went well; otherwise the user closes it. Hiding it stops nothing."""

    BINDINGS: ClassVar[list[BindingType]] = [*SCROLL, Binding("escape,q,enter", "close", "Hide")]
    AUTO_FOCUS = "#lines"

    def __init__(self, verb: str, plan: Plan, *, real: bool) -> None:
        super().__init__()
        self._title = verb + ("" if real else ", simulated: nothing is real")
        self._plan = plan
        self._outcomes: dict[int, Span] = {}
        self._head: list[Line] = []
        self._tail: list[Line] = []
        self._waiting: Line | None = None
        self._reverting = self._good = False

    def compose(self) -> ComposeResult:
        with Box(self._title, "Esc hides this; it continues"):
            yield Lines(self._text(), id="lines")
        yield KeyBar((Hint("Esc", "hide"), SCROLLS))

    def _text(self) -> list[Line]:
        tail = [*self._tail, *([self._waiting] if self._waiting is not None else [])]
        return [*self._head, *step_lines(self._plan, self._outcomes), *([BLANK] if tail else []), *tail]

    def show_event(self, event: events.Event) -> None:
        """Shows an event of the apply."""
        planned = not self._reverting and getattr(event, "number", 0) <= len(self._plan.steps)
        words = event_words(event)
        said = bullet(*words, _SIGNS[words[1]]) if words is not None else BLANK
        self._waiting = said if isinstance(event, events.StepWaiting) else None
        match event:
            case events.StepBegun(number=number) if planned:
                self._outcomes[number - 1] = Span("…", "planned")
            case events.StepDone(number=number, result=result, note=note) if planned:
                shown = outcome_span(result)
                self._outcomes[number - 1] = shown._replace(text=shown.text + (f" ({note})" if note else ""))
            case events.ModuleLoaded():
                self._head.append(said)
            case events.StepDone() | events.Compensating() | events.Finished():
                self._reverting = self._reverting or isinstance(event, events.Compensating)
                self._tail.append(said)
                self._tail += [bullet(change_words(each), "bad", "✖") for each in getattr(event, "left", ())]
        self._show()

    def on_mount(self) -> None:
        """Shows the events that came before the dialog was mounted."""
        self._show()

    def show_problem(self, problem: IommutuiError) -> None:
        """It failed; this stays until it has been read."""
        if not any(problem.what in source.text for source in self._tail):
            self._tail.append(bullet(problem.what, "bad", "✖"))
        if problem.remedy:
            self._tail.append(line("  ", problem.remedy, hang=2))
        self._show()
        for box in self.query(Box):
            box.border_subtitle = plain("Esc closes")

    def finish(self) -> None:
        """It went well: closes, as nothing is left to read."""
        self._good = True
        self.on_screen_resume()

    def on_screen_resume(self) -> None:
        """No dialog is over it any more."""
        if self._good and self.is_active:
            self.dismiss(None)

    def _show(self) -> None:
        for lines in self.query(Lines):
            lines.at_end = bool(self._tail or self._waiting)
            lines.show_lines(self._text(), top=False)


class CountdownScreen(DeliberateDialog[bool]):
    """Asks for confirmation: dismissed with True to keep, False to revert now, None if it is over.

    Only its own keys or a click answer it, so keys pressed blindly decide nothing.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "close(True)", "Keep"),
        Binding("u,escape", "close(False)", "Revert"),
        Binding("enter", "close", "Neither"),
    ]
    AUTO_FOCUS = None

    def __init__(self, first: events.Counting, *, real: bool) -> None:
        from textual.widgets import Digits, ProgressBar  # the review, which is slowest to open, does not need it

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
            else "This is only a simulation of what would happen."
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

    def count(self, now: events.Counting) -> None:
        """Shows the seconds left."""
        self._now = now
        left = int(now.seconds + 0.999)
        self._left.update(str(max(left, 0)))
        self._bar.update(progress=now.seconds)
        self._words.update(plain(f"Reverts automatically in {left} s unless you confirm."))

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "yes")

    def action_close(self, answer: bool | None = None) -> None:
        """Nothing but an answer closes it."""
        if answer is None:
            self.notify("y confirms, u reverts; nothing else closes this.", severity="warning")
        else:
            self.dismiss(answer)
