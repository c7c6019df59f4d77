"""From a review to the applying process and back."""

from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

from textual.app import SuspendNotSupported
from textual.message import Message
from textual.worker import WorkerCancelled

from iommutui.apply import events
from iommutui.core.errors import Exit, IommutuiError
from iommutui.core.hazards import cuts_a_lifeline
from iommutui.core.plan.planner import plan_intents
from iommutui.tui.commands.base import Desk
from iommutui.tui.commands.plan import nothing_to_revert
from iommutui.tui.machines.base import CutOff, Job, Machine
from iommutui.tui.pages.plan import WITHIN, Review
from iommutui.tui.scanner import Scanner
from iommutui.tui.screens.progress import CountdownScreen, ProgressScreen, event_words
from iommutui.tui.screens.review import ReviewScreen
from iommutui.tui.state import Phase, ended
from iommutui.tui.widgets.dialogs import ConfirmScreen, Opened, carried_out


class ApplyFlow:
    """The way from a plan to the machine: review, job, countdown, end.

    The apply runs in a thread, which posts messages to the desk; the desk passes them on.
    """

    @dataclass
    class Said(Message):
        """An event of the apply."""

        event: events.Event

    @dataclass
    class Ended(Message):
        """The apply is over. ``problem`` says why it broke off."""

        problem: IommutuiError | None

    def __init__(self, desk: Desk, machine: Machine, scanner: Scanner) -> None:
        self._desk = desk
        self._machine = machine
        self._scanner = scanner
        self._job: Job | None = None
        """The running job."""
        self._progress: ProgressScreen | None = None
        self._countdown: CountdownScreen | None = None
        self._finished: events.Finished | None = None
        self._asked_back = False
        """The user asked to revert it, so it is no failure."""

    # -- reviews

    def review(self, *, revert: bool = False, journal: str | None = None) -> Opened:
        """The review of what is staged, or of reverting the last apply or this journal.

        It waits for a running scan, because a review based on the state before the last rebind would be refused as
        drift. It does not open if the user has moved on by then.
        """
        open_it = partial(self._reverting, journal) if revert else self._planned
        if not self._scanner.looking:
            return open_it()

        async def when_looked() -> None:
            await self._scanner.up_to_date(lambda: self._desk.say("Waiting until the machine has been scanned."))
            if self._desk.is_active:
                await carried_out(self._desk, open_it)

        self._desk.run_worker(when_looked(), group="review")
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
        return self._desk.ask(ReviewScreen(review), self._start)

    def recover(self, left: CutOff) -> None:
        """Reports that an apply was interrupted, and offers to revert it."""
        self._desk.log_line(left.words, "warn")
        text = f"{left.words} {left.remedy_words} Until then nothing else is applied."
        if left.journal is None:
            self._desk.say(text, "warning")
            return
        dialog = ConfirmScreen("An apply was interrupted", text, "Review the revert", "Later")
        self._desk.ask(dialog, lambda _: self.review(revert=True, journal=left.journal))

    # -- the job

    def _start(self, job: Job) -> None:
        try:
            self._begin(job)
        except IommutuiError as error:
            self._desk.log_line(error.what, "bad")
            self._desk.say(f"{error.what} {error.remedy}".strip(), "error")
            return
        self._job, self._finished, self._asked_back = job, None, False
        verb = "Reverting" if job.revert else "Applying"
        self._desk.update(self._desk.state._replace(phase=Phase.APPLYING))
        self._desk.log_line(f"{verb}: {len(job.plan.steps)} writes, rules {job.model.name}", "strong")
        self._progress = ProgressScreen(verb, job.plan, real=self._machine.source.real)
        self._desk.app.push_screen(self._progress)

    def _begin(self, job: Job) -> None:
        """Starts the job; hands the terminal over for a password. Raises IommutuiError if that is impossible."""
        applier = self._machine.applier
        try:
            with self._desk.app.suspend() if applier.needs_terminal else nullcontext():
                applier.begin(job)
        except SuspendNotSupported:
            what = "This terminal cannot be handed over for a password."
            raise IommutuiError(what, "Start iommutui as root to apply.") from None
        self._desk.run_worker(partial(self._work, job), thread=True, group="apply", exit_on_error=False)

    def _work(self, job: Job) -> None:
        problem: IommutuiError | None = None
        try:
            for event in self._machine.applier.events(job):
                self._desk.post_message(self.Said(event))
        except IommutuiError as error:
            problem = error
        except WorkerCancelled:
            raise
        except Exception as error:  # shown, whatever it is
            what = f"Applying failed: {type(error).__name__}: {error}"
            problem = IommutuiError(what, "'iommutui journal' shows how far it got.")
        self._desk.post_message(self.Ended(problem))

    def said(self, event: events.Event) -> None:
        """An event of the apply."""
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
            self._desk.app.push_screen(self._countdown, self._answered)
        words = event_words(event)
        if words is not None:
            self._desk.log_line(*words)

    def _answered(self, keep: bool | None) -> None:
        if keep is not None:
            self._asked_back = not keep
            self._machine.applier.keep() if keep else self._machine.applier.undo()

    def _end_countdown(self) -> None:
        """It is over with any event that is not one of its own."""
        countdown, self._countdown = self._countdown, None
        if countdown is not None and countdown.is_attached and countdown.is_active:
            countdown.dismiss(None)

    def ended(self, problem: IommutuiError | None) -> None:
        """The apply is over."""
        self._end_countdown()
        job, finished, progress = self._job, self._finished, self._progress
        self._job = self._progress = None
        state = self._desk.state._replace(phase=Phase.READY)
        exit = finished.exit if finished is not None and problem is None else None
        if exit is Exit.DONE and job is not None and finished is not None:
            self._desk.update(ended(state, job.plan, revert=job.revert))
            more = "" if job.revert else " R reverts it; V exports it for the VM, P makes it persist."
            self._desk.say(finished.summary + more)
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
