"""What happens while a plan is carried out, as lines of text or of JSON."""

import json
import sys

from iommutui.apply.events import (
    Compensating,
    Counting,
    Event,
    Finished,
    Kept,
    ModuleLoaded,
    Notice,
    Refused,
    Started,
    StepBegun,
    StepDone,
    StepWaiting,
    to_json,
)
from iommutui.cli.output import clean, text_of
from iommutui.cli.review import shell_line
from iommutui.core.errors import Exit
from iommutui.core.reasons import OK
from iommutui.core.wording import change_words

_PHASES = {"override": "overrides", "unbind": "leaving drivers", "probe": "coming to drivers"}


class EventPrinter:
    """Prints events."""

    def __init__(self, *, as_json: bool, goes_back: bool = False) -> None:
        """``goes_back``: what is done can be reverted, and the end says how."""
        self._as_json = as_json
        self._goes_back = goes_back
        self._journal = ""
        self._phase = ("", 0)

    def show(self, event: Event) -> None:
        """Prints an event, and waits until that is done. OSError where nobody can read it any more."""
        sys.stdout.write(self.text(event))
        sys.stdout.flush()

    def text(self, event: Event) -> str:
        """What is printed of an event."""
        if isinstance(event, Started):
            self._journal = event.journal_id
        if self._as_json:
            return json.dumps(to_json(event)) + "\n"
        return text_of([clean(line) for line in self._lines(event)])

    def _lines(self, event: Event) -> list[str]:
        match event:
            case Started(journal_id=journal) if journal:
                return ["", f"Journal {journal}."]
            case Notice(what=what):
                return [f"Note: {what}"]
            case ModuleLoaded(module=module):
                return [f"Loaded {module}."]
            case StepDone(step=step, result=result, note=note):
                answer = "ok" if result == OK else f"FAILED with {result}"
                return [f"  {event.number}. {shell_line(step)}   {answer}{f' ({note})' if note else ''}"]
            case StepWaiting(step=step, seconds=seconds, holders=holders):
                held = f"; held by {'; '.join(holders)}" if holders else ""
                return [f"     waiting for {step.device or step.value} since {seconds:.0f} s{held}"]
            case Counting():
                return self._countdown(event)
            case Kept(by=by):
                return [f"Confirmed by {by}."]
            case Compensating(why=why):
                self._phase = ("", 0)
                return [f"Rolling back: {why}"]
            case Finished(exit=Exit.DONE, summary=summary) if self._journal and self._goes_back:
                return [summary, f"'iommutui revert {self._journal}' reverts it."]
            case Finished(summary=summary, left=left):
                return [summary, *(f"  {change_words(change)}" for change in left)]
            case StepBegun(step=step) if step.op != self._phase[0]:
                self._phase = (step.op, self._phase[1] + 1)
                return [f"Phase {self._phase[1]}: {_PHASES.get(step.op, step.op)}"]
            case StepBegun() | Started() | Refused():
                return []

    def _countdown(self, event: Counting) -> list[str]:
        """At the beginning, every ten seconds, and each of the last five."""
        left = round(event.seconds)
        if event.seconds >= event.within - 0.5:
            return [
                "",
                f"Done. Reverts automatically in {left} s unless you confirm:",
                f"  type 'keep' and Enter here, or run 'iommutui keep {self._journal}' at any other terminal.",
                "  'undo' reverts now.",
            ]
        return [f"  {left} s left"] if left <= 5 or left % 10 == 0 else []
