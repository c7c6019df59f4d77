"""From the review to the applying room and back: the screen asks, another process writes."""

from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

from textual import on
from textual.app import SuspendNotSupported
from textual.screen import Screen
from textual.worker import WorkerCancelled

from iommutui.core.errors import Exit, IommutuiError
from iommutui.core.hazards import cuts_a_lifeline
from iommutui.tui.commands.applying import nothing_to_revert
from iommutui.tui.machine import Job, Machine
from iommutui.tui.messages import ApplyEnded, Applying
from iommutui.tui.planview import WITHIN, Review
from iommutui.tui.state import AppState, Key, Phase, Problem, logged

if TYPE_CHECKING:
    from iommutui.apply.events import Event, Finished
    from iommutui.tui.machine import CutOff
    from iommutui.tui.screens.countdown import CountdownScreen
    from iommutui.tui.screens.progress import ProgressScreen


class Writing(Screen[None]):
    """The part of the desk that applies and reverts."""

    machine: Machine
    _job: Job | None = None
    _progress: "ProgressScreen | None" = None
    _finished: "Finished | None" = None
    _countdown: "CountdownScreen | None" = None
    _asked_back = False
    """The person has asked to have it taken back, so that this is what they want, and no failure."""

    if TYPE_CHECKING:

        @property
        def state(self) -> AppState: ...
        def update(self, state: AppState) -> None: ...
        def say(self, text: str, severity: str = "information") -> None: ...
        def rescan(self) -> None: ...
        @property
        def looking(self) -> bool: ...
        async def looked(self) -> None: ...
        def now(self) -> str: ...

    # -- reviews

    def review(self) -> tuple[Review, Job] | None:
        """The review of what is staged, computed over the whole machine."""
        state = self.state
        if state.host is None:
            return None
        from iommutui.core.plan.planner import plan_intents  # as in tui.preview

        plan = plan_intents(state.host, state.intents, state.model)
        job = Job(plan, state.intents, state.model)
        within = WITHIN if cuts_a_lifeline(plan.hazards) else None
        return Review("Review: apply", plan, real=state.source.real, within=within), job

    def offer_recovery(self, left: "CutOff") -> None:
        """Says that an apply was cut off, and offers the way back."""
        from iommutui.tui.screens.confirm import ConfirmScreen
        from iommutui.tui.screens.dialogs import open_review

        self.update(logged(self.state, self.now(), left.words, "warn"))

        def answered(back: bool | None) -> None:
            if back:
                open_review(self, partial(self.review_of_revert, left.journal))

        text = f"{left.words} {left.way_out} Until then nothing else is applied."
        if left.journal is None:
            self.say(text, "warning")
            return
        self.app.push_screen(ConfirmScreen("An apply was cut off", text, "Review the way back", "Later"), answered)

    def review_of_revert(self, journal: str | None = None) -> tuple[Review, Job] | None:
        """The review of taking back what was applied last, or this journal; says why where that cannot be."""
        state = self.state
        if state.host is None:
            return None
        try:
            back = self.machine.way_back(state.host, state.model, journal)
        except IommutuiError as error:
            self.say(f"{error.what} {error.remedy}".strip(), "warning")
            return None
        if back is None:
            self.say(nothing_to_revert(state), "warning")
            return None
        if back.left_alone:
            self.say(back.left_alone, "warning")
        job = Job(back.plan, (), state.model, revert=True, journal=back.journal)
        within = WITHIN if cuts_a_lifeline(back.plan.hazards) else None
        title = "Review: revert the last apply"
        return Review(title, back.plan, revert=True, real=state.source.real, within=within), job

    # -- the job

    def start_job(self, job: Job) -> None:
        """Begins to apply a plan that was reviewed."""
        from iommutui.tui.screens.progress import ProgressScreen

        applier = self.machine.applier
        terminal: AbstractContextManager[object] = nullcontext()
        try:
            if applier.needs_terminal:
                terminal = self.app.suspend()
            with terminal:
                applier.begin(job)
        except SuspendNotSupported:
            self._not_begun("This terminal cannot be handed over for a password.", "Start iommutui as root to apply.")
            return
        except IommutuiError as error:
            self._not_begun(error.what, error.remedy)
            return
        self._job = job
        self._finished = None
        self._asked_back = False
        verb = "Reverting" if job.revert else "Applying"
        state = self.state._replace(phase=Phase.APPLYING)
        words = f"{verb}: {len(job.plan.steps)} writes, model {job.model.name}"
        self.update(logged(state, self.now(), words, "strong"))
        self._progress = ProgressScreen(verb, job.plan, real=state.source.real)
        self.app.push_screen(self._progress)
        self.run_worker(lambda: self._work(job), thread=True, group="apply", exit_on_error=False)

    def _not_begun(self, what: str, remedy: str) -> None:
        self.update(logged(self.state, self.now(), what, "bad"))
        self.say(f"{what} {remedy}".strip(), "error")

    def _work(self, job: Job) -> None:
        problem: Problem | None = None
        try:
            for event in self.machine.applier.events(job):
                self.post_message(Applying(event))
        except IommutuiError as error:
            problem = Problem(error.what, error.remedy)
        except WorkerCancelled:
            raise
        except Exception as error:  # shown, whatever it is
            what = f"Applying broke off: {type(error).__name__}: {error}"
            problem = Problem(what, "'iommutui journal' tells how far it came.")
        self.post_message(ApplyEnded(problem))

    @on(Applying)
    def _applying(self, message: Applying) -> None:
        from iommutui.apply.events import Finished
        from iommutui.tui.eventwords import log_words

        event = message.event
        if isinstance(event, Finished):
            self._finished = event
        if self._progress is not None:
            self._progress.show_event(event)
        self._count(event)
        words = log_words(event)
        if words is not None:
            self.update(logged(self.state, self.now(), *words))

    def _count(self, event: "Event") -> None:
        """A countdown begins with its first event, and is over with any other one."""
        from iommutui.apply.events import Counting

        if isinstance(event, Counting):
            if self._countdown is None:
                from iommutui.tui.screens.countdown import CountdownScreen

                self._countdown = CountdownScreen(event, real=self.state.source.real)
                self.app.push_screen(self._countdown, self._answered)
            else:
                self._countdown.count(event)
        elif self._countdown is not None:
            self._end_countdown()

    def _answered(self, keep: bool | None) -> None:
        if keep is not None:
            self._asked_back = not keep
            applier = self.machine.applier
            applier.keep() if keep else applier.undo()

    def _end_countdown(self) -> None:
        countdown, self._countdown = self._countdown, None
        if countdown is not None and countdown.is_attached and countdown.is_active:
            countdown.dismiss(None)

    @on(ApplyEnded)
    def _apply_ended(self, message: ApplyEnded) -> None:
        self._end_countdown()
        job, finished, progress = self._job, self._finished, self._progress
        self._job, self._progress = None, None
        state = self.state._replace(phase=Phase.READY)
        done = message.problem is None and finished is not None and finished.exit is Exit.DONE
        if done and job is not None and finished is not None:
            applies = max(0, state.applies - 1) if job.revert else state.applies + bool(job.plan.steps)
            state = state._replace(applies=applies, applied=True, cursor=self._changed_row(job, state))
            if not job.revert:
                state = state._replace(intents=(), undo=(), redo=())
            self.update(state)
            way_back = "" if job.revert else " R takes it back."
            self.say(finished.summary + way_back)
            if progress is not None:
                progress.finish()
        elif self._asked_back and finished is not None and finished.exit is Exit.ROLLED_BACK:
            self.update(state._replace(applied=True))
            self.say("Taken back, as you asked. Everything is as it was before.")
            if progress is not None:
                progress.finish()
        else:
            problem = message.problem or Problem(finished.summary if finished is not None else "Applying broke off.")
            if finished is None or problem.what != finished.summary:  # which is in the log already
                state = logged(state, self.now(), problem.what, "bad")
            self.update(state)
            self.say(problem.what, "error")
            if progress is not None:
                progress.show_problem(problem)
        self.rescan()

    def _changed_row(self, job: Job, state: AppState) -> Key | None:
        """The first device that was moved, unless the cursor is on one of them or on their group already."""
        moved = [step.device for step in job.plan.steps]
        cursor = state.cursor
        if not moved or state.host is None:
            return cursor
        groups = {device.group for a in moved if (device := state.host.devices.get(a)) is not None}
        if cursor is not None and (cursor.device in moved or (cursor.device is None and cursor.group in groups)):
            return cursor
        first = state.host.devices.get(moved[0])
        return Key(first.group, first.address) if first is not None else cursor
