"""An apply as it goes on: each write, and what came of it."""

from textual.app import ComposeResult
from textual.binding import Binding
from textual.events import ScreenResume

from iommutui.apply.events import Compensating, Event, Finished, ModuleLoaded, StepBegun, StepDone, StepWaiting
from iommutui.core.errors import Exit
from iommutui.core.plan.planner import Plan
from iommutui.tui.pages.plan import command, outcome_span, step_lines
from iommutui.tui.registry import SCROLL, bindings
from iommutui.tui.screens.scrolling import Scrolling
from iommutui.tui.state import Problem
from iommutui.tui.text.blocks import bullet
from iommutui.tui.text.content import plain
from iommutui.tui.text.spans import BLANK, Line, Span, line
from iommutui.tui.widgets.dialog import Dialog
from iommutui.tui.widgets.dialogkeys import SCROLLS, DialogKeys
from iommutui.tui.widgets.lines import Lines


class ProgressScreen(Scrolling[None]):
    """Closed by itself when everything went well, by the person otherwise. Hiding it stops nothing."""

    BINDINGS = [*bindings(SCROLL), Binding("escape,q,enter", "hide", "Hide", id="hide")]  # noqa: RUF012
    AUTO_FOCUS = "#lines"

    def __init__(self, verb: str, plan: Plan, *, real: bool) -> None:
        super().__init__()
        self._verb = verb
        self._plan = plan
        self._real = real
        self._outcomes: dict[int, Span] = {}
        self._tail: list[Line] = []
        self._head: list[Line] = []
        self._done = False
        self._good = False

    def compose(self) -> ComposeResult:
        """The writes."""
        with Dialog(self._verb + ("" if self._real else ", simulated: nothing is real"), "Esc hides this; it goes on"):
            yield Lines(self._text(), id="lines")
        yield DialogKeys((("Esc", "hide"), *SCROLLS))

    def _text(self) -> list[Line]:
        return [*self._head, *step_lines(self._plan, self._outcomes), *([BLANK] if self._tail else []), *self._tail]

    def show_event(self, event: Event) -> None:
        """Takes over what the applying room says."""
        count = len(self._plan.steps)
        match event:
            case ModuleLoaded(module=module):
                self._head.append(line(Span("✔ ", "ok"), f"modprobe {module}"))
            case StepBegun(number=number) if number <= count and not self._taking_back:
                self._outcomes[number - 1] = Span("…", "planned")
            case StepDone(number=number, result=result, note=note) if number <= count and not self._taking_back:
                shown = outcome_span(result)
                self._outcomes[number - 1] = shown._replace(text=shown.text + (f" ({note})" if note else ""))
            case StepDone(step=step, result=result):
                self._tail.append(line("  ", command(step), "  ", outcome_span(result), hang=4))
            case StepWaiting(step=step, seconds=seconds, holders=holders):
                held = f" {', '.join(holders)} may have it open." if holders else ""
                self._replace_waiting(bullet(f"{step.device} has not answered for {seconds:.0f} s.{held}", "warn", "!"))
            case Compensating(why=why):
                self._tail.append(bullet(f"Taking everything back: {why}", "warn", "!"))
            case Finished(exit=code, summary=summary, left=left):
                good = code is Exit.DONE
                self._tail.append(bullet(summary, "ok" if good else "bad", "✔" if good else "✖"))
                for change in left:
                    words = f"{change.subject}: {change.fact} was {change.before}, is {change.now}"
                    self._tail.append(bullet(words, "bad", "✖"))
        self._show()

    def on_mount(self) -> None:
        """Shows what was said before there was a screen to show it on."""
        self._show()

    @property
    def _taking_back(self) -> bool:
        return any("Taking everything back" in source.text for source in self._tail)

    def _replace_waiting(self, waiting: Line) -> None:
        self._tail = [source for source in self._tail if "has not answered" not in source.text]
        self._tail.append(waiting)

    def show_problem(self, problem: Problem) -> None:
        """It ended badly; this stays until it has been read."""
        if not any(problem.what in source.text for source in self._tail):
            self._tail.append(bullet(problem.what, "bad", "✖"))
        if problem.remedy:
            self._tail.append(line("  ", problem.remedy, hang=2))
        self._done = True
        self._show()

    def finish(self) -> None:
        """It went well: nothing is left to read here."""
        self._good = True
        self._close()

    def on_screen_resume(self, event: ScreenResume) -> None:
        """Nothing lies over it any more."""
        self._close()

    def _close(self) -> None:
        if self._good and self.is_current:
            self.dismiss(None)

    def _show(self) -> None:
        lines = next(self.query("#lines").results(Lines), None)
        if lines is None:
            return
        lines.show_lines(self._text(), top=False)
        if self._done:
            self.query_one("#dialog").border_subtitle = plain("Esc closes")
        self.fit_dialog()
        if self._tail:
            lines.scroll_end(animate=False, immediate=True)

    def action_hide(self) -> None:
        """``Esc``."""
        self.dismiss(None)
