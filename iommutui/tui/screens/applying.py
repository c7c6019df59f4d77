"""From a review to the applying process and back: progress, each write and its result."""

from functools import partial
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen

from iommutui.apply import events
from iommutui.core.errors import Exit, IommutuiError
from iommutui.core.hazards import cuts_a_lifeline
from iommutui.core.plan.planner import Plan, plan_intents, shell_line
from iommutui.core.plan.words import change_words
from iommutui.core.reasons import OK
from iommutui.tui.commands import Hint
from iommutui.tui.commands.base import Desk, Opened
from iommutui.tui.commands.plan import nothing_to_revert
from iommutui.tui.jobs.applier import Applier
from iommutui.tui.jobs.scanner import Scanner
from iommutui.tui.machines.base import CutOff, Job, Machine
from iommutui.tui.pages.plan import WITHIN, Review, outcome_span, step_lines
from iommutui.tui.screens.dialogs import SCROLL, SCROLLS, Box, Dialog, answered, carried_out
from iommutui.tui.screens.review import CountdownScreen, ReviewScreen
from iommutui.tui.state import Phase, ended
from iommutui.tui.text.blocks import bullet
from iommutui.tui.text.content import plain
from iommutui.tui.text.spans import BLANK, Line, Span, line
from iommutui.tui.widgets.bars import KeyBar
from iommutui.tui.widgets.lines import Lines


class ProgressScreen(Dialog[None]):
    """Closed by itself when everything went well, by the person otherwise. Hiding it stops nothing."""

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
        with Box(self._title, "Esc hides this; it goes on"):
            yield Lines(self._text(), id="lines")
        yield KeyBar((Hint("Esc", "hide"), SCROLLS))

    def _text(self) -> list[Line]:
        tail = [*self._tail, *([self._waiting] if self._waiting is not None else [])]
        return [*self._head, *step_lines(self._plan, self._outcomes), *([BLANK] if tail else []), *tail]

    def show_event(self, event: events.Event) -> None:
        """Takes over what the applying room says."""
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
        """Shows what was said before there was a screen to show it on."""
        self._show()

    def show_problem(self, problem: IommutuiError) -> None:
        """It ended badly; this stays until it has been read."""
        if not any(problem.what in source.text for source in self._tail):
            self._tail.append(bullet(problem.what, "bad", "✖"))
        if problem.remedy:
            self._tail.append(line("  ", problem.remedy, hang=2))
        self._show()
        for box in self.query(Box):
            box.border_subtitle = plain("Esc closes")

    def finish(self) -> None:
        """It went well: nothing is left to read here."""
        self._good = True
        self.on_screen_resume()

    def on_screen_resume(self) -> None:
        """Nothing lies over it any more."""
        if self._good and self.is_active:
            self.dismiss(None)

    def _show(self) -> None:
        for lines in self.query(Lines):
            lines.at_end = bool(self._tail or self._waiting)
            lines.show_lines(self._text(), top=False)


class ApplyFlow:
    """What leads from a plan to the machine: review, job, countdown, end. The desk passes on what its jobs post."""

    def __init__(self, desk: Desk, screen: Screen[None], machine: Machine, scanner: Scanner) -> None:
        """``desk`` and ``screen`` are the same: what changes the state, and what workers and dialogs belong to."""
        self._desk = desk
        self._screen = screen
        self._machine = machine
        self._scanner = scanner
        self._applier: Applier | None = None
        self._progress: ProgressScreen | None = None
        self._countdown: CountdownScreen | None = None
        self._finished: events.Finished | None = None
        self._asked_back = False
        """The person has asked to revert it, so that this is what they want, and no failure."""

    # -- reviews

    def review(self, *, revert: bool = False, journal: str | None = None) -> Opened:
        """The review of what is staged, or of reverting the last apply or this journal.

        It waits for a scan that is under way, because a review of what was seen before the last rebind would be refused
        as drift. It does not open if the person has gone on to something else by then.
        """
        open_it = partial(self._reverting, journal) if revert else self._planned
        if not self._scanner.looking:
            return open_it()

        async def when_looked() -> None:
            await self._scanner.looked(lambda: self._desk.say("Waiting until the machine has been scanned."))
            if self._screen.is_active:
                await carried_out(self._screen, open_it)

        self._screen.run_worker(when_looked(), group="review")
        return None

    def _planned(self) -> Opened:
        """Computed over the whole machine."""
        state = self._desk.state
        plan = plan_intents(state.host, state.intents, state.model)
        return self._open("Review: apply", Job(plan, state.intents, state.model))

    def _reverting(self, journal: str | None) -> Opened:
        state = self._desk.state
        back = self._machine.way_back(state.host, state.model, journal)
        if back is None:
            self._desk.say(nothing_to_revert(state), "warning")
            return None
        if back.left_alone:
            self._desk.say(back.left_alone, "warning")
        job = Job(back.plan, (), state.model, revert=True, journal=back.journal)
        return self._open("Review: revert the last apply", job)

    def _open(self, title: str, job: Job) -> Opened:
        job = job._replace(keep_within=WITHIN if cuts_a_lifeline(job.plan.hazards) else None)
        review = Review(title, job, self._machine.source.real)
        return self._screen.app.push_screen(ReviewScreen(review), answered(self._screen, self._start))

    def recover(self, left: CutOff) -> None:
        """Says that an apply was cut off, and offers the way back."""
        self._desk.log_line(left.words, "warn")
        text = f"{left.words} {left.way_out} Until then nothing else is applied."
        if left.journal is None:
            self._desk.say(text, "warning")
            return
        title, yes = "An apply was interrupted", "Review the way back"
        self._desk.confirm(title, text, yes, "Later", lambda: self.review(revert=True, journal=left.journal))

    # -- the job

    def _start(self, job: Job) -> None:
        applier = Applier(self._machine.applier, self._screen, job)
        try:
            applier.begin()
        except IommutuiError as error:
            self._desk.log_line(error.what, "bad")
            self._desk.say(f"{error.what} {error.remedy}".strip(), "error")
            return
        self._applier, self._finished, self._asked_back = applier, None, False
        verb = "Reverting" if job.revert else "Applying"
        self._desk.update(self._desk.state._replace(phase=Phase.APPLYING))
        self._desk.log_line(f"{verb}: {len(job.plan.steps)} writes, rules {job.model.name}", "strong")
        self._progress = ProgressScreen(verb, job.plan, real=self._machine.source.real)
        self._screen.app.push_screen(self._progress)

    def said(self, event: events.Event) -> None:
        """The applying room says something."""
        if isinstance(event, events.Finished):
            self._finished = event
        if self._progress is not None:
            self._progress.show_event(event)
        if not isinstance(event, events.Counting):
            self._end_countdown()
        elif self._countdown is not None:
            self._countdown.count(event)
        else:
            self._countdown = CountdownScreen(event, real=self._machine.source.real)
            self._screen.app.push_screen(self._countdown, self._answered)
        words = event_words(event)
        if words is not None:
            self._desk.log_line(*words)

    def _answered(self, keep: bool | None) -> None:
        if keep is not None and self._applier is not None:
            self._asked_back = not keep
            self._applier.answer(keep=keep)

    def _end_countdown(self) -> None:
        """It is over with any event that is not one of its own."""
        countdown, self._countdown = self._countdown, None
        if countdown is not None and countdown.is_attached and countdown.is_active:
            countdown.dismiss(None)

    def ended(self, problem: IommutuiError | None) -> None:
        """Nothing more will come."""
        self._end_countdown()
        applier, finished, progress = self._applier, self._finished, self._progress
        self._applier = self._progress = None
        state = self._desk.state._replace(phase=Phase.READY)
        exit = finished.exit if finished is not None and problem is None else None
        if exit is Exit.DONE and applier is not None and finished is not None:
            revert = applier.job.revert
            self._desk.update(ended(state, applier.job.plan, revert=revert))
            self._desk.say(finished.summary + ("" if revert else " R reverts it; V tells the VM, P makes it persist."))
        elif exit is Exit.ROLLED_BACK and self._asked_back:
            self._desk.update(state._replace(applied=True))
            self._desk.say("Reverted, as you asked. Drivers and overrides are restored.")
        else:
            found = problem or IommutuiError(finished.summary if finished is not None else "Applying failed.")
            self._desk.update(state)
            if finished is None or found.what != finished.summary:  # which is in the log already
                self._desk.log_line(found.what, "bad")
            self._desk.say(found.what, "error")
            if progress is not None:
                progress.show_problem(found)
                progress = None
        if progress is not None:
            progress.finish()
        self._desk.rescan()


_SIGNS = {"ok": "✔", "bad": "✖", "warn": "!", "muted": "•"}


def event_words(event: events.Event) -> tuple[str, str] | None:
    """Text and style, on the log and below the writes; None for what is not worth a line."""
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
