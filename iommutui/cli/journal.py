"""``iommutui journal``: what was applied to this machine."""

import argparse
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

from iommutui import sources
from iommutui.apply.boots import boot_id
from iommutui.apply.journal import at_work, journal_dir
from iommutui.apply.journal.reader import Damaged, Journal, JournaledWrite, read_journals
from iommutui.apply.recovery import JournalState, Standing, interrupted_words, remedy_words, standing, state_of
from iommutui.apply.steps import step_words
from iommutui.apply.validation import to_object
from iommutui.cli.options import refuse_recorded
from iommutui.cli.output import complain, write_json, write_lines
from iommutui.cli.parser import Options
from iommutui.cli.persist import persisted, persisted_lines
from iommutui.core.errors import Exit
from iommutui.core.host import Host
from iommutui.core.wording import changes_words, goal_words


class _Shown(NamedTuple):
    """A journal, what it means now, and the present state of its devices."""

    journal: Journal
    state: JournalState
    now: Standing

    @property
    def in_effect(self) -> bool:
        """Whether a revert would restore something."""
        if self.state is JournalState.CHANGED:
            return bool(self.now.as_left)
        return self.state in (JournalState.IN_EFFECT, JournalState.INCOMPLETE)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "id", nargs="?", metavar="ID", help="show one journal write by write: its id, or the beginning of one"
    )


def run(options: Options) -> int:
    """Lists journals, the newest last, or shows one."""
    refuse_recorded(options, "journal")
    directory, boot = journal_dir(), boot_id(sources.HERE)
    journals = read_journals(directory)
    ours = [journal for journal in journals.readable if journal.of_boot(boot)]
    host = sources.load(depth=sources.Depth.LISTING) if journals.readable else Host({}, {})
    going_on = at_work(directory)

    def shown_of(journal: Journal | Damaged) -> _Shown | Damaged:
        if isinstance(journal, Damaged):
            return journal
        state = state_of(journal, ours, host, boot, going_on=going_on)
        return _Shown(journal, state, standing(journal, host, ours))

    shown = [shown_of(each) for each in ([journals.find_any(options.id)] if options.id else journals.every)]
    lasting = [] if options.id else persisted(options)
    if options.json:
        write_json({"journals": [_document(each) for each in shown], "persisted": lasting})
        return Exit.DONE
    if not shown:
        complain(f"Nothing has been applied yet; journals would be in {directory}.")
    lines: list[str] = []
    for each in shown:
        lines += _lines(each, whole=bool(options.id)) if isinstance(each, _Shown) else _damaged_lines(each)
    write_lines((*lines, *persisted_lines(lasting)))
    return Exit.DONE


def _damaged_lines(journal: Damaged) -> list[str]:
    lines = [f"{journal.id}  DAMAGED: {journal.why}"]
    return [*lines, f"  'iommutui keep {journal.id}' closes it."] if journal.open else lines


_STATES = {
    JournalState.GOING_ON: "going on",
    JournalState.WAITING: "waits to be confirmed",
    JournalState.CUT_OFF: "INTERRUPTED: {interrupted}",
    JournalState.REVERTED: "reverted by {by}",
    JournalState.REVERT: "revert of {of}",
    JournalState.REBOOTED: "undone by a reboot",
    JournalState.UNCHANGED: "failed, and rolled back",
    JournalState.IN_EFFECT: "in effect",
    JournalState.CHANGED: "changed since by something else: {changed}",
    JournalState.INCOMPLETE: "INCOMPLETE: it failed or was interrupted, and was not wholly rolled back",
}


def _state(shown: _Shown) -> str:
    journal = shown.journal
    if shown.state is JournalState.UNCHANGED and journal.within is not None:
        return "not confirmed, and reverted"
    return _STATES[shown.state].format(
        interrupted=interrupted_words(journal),
        by=journal.reverted_by,
        of=journal.reverts,
        changed=changes_words(shown.now.changed),
    )


def _remedy(shown: _Shown) -> str:
    """What can be done about it now; empty if nothing can."""
    if shown.state is JournalState.WAITING:
        return f"'iommutui keep {shown.journal.id}' confirms it."
    if shown.state is JournalState.CUT_OFF:
        return remedy_words(shown.journal)
    what = "the rest" if shown.state is JournalState.CHANGED else "it"
    return f"'iommutui revert {shown.journal.id}' reverts {what}." if shown.in_effect else ""


def _local_time(started: str) -> str:
    """The time of a journal in the time zone of this machine: ``2026-11-22 16:03:46``."""
    try:
        return datetime.fromisoformat(started).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError):
        return started


def _lines(shown: _Shown, *, whole: bool) -> list[str]:
    journal = shown.journal
    before = {facts.device: facts for facts in journal.header.before}
    lines = [f"{journal.id}  {_local_time(journal.header.started)}  {_state(shown)}"]
    for goal in journal.header.goals:
        was = before.get(goal.device)
        now = f"{was.driver or 'free'} → " if was is not None else "stays at "
        lines.append(f"  {goal.device}  {now}{goal_words(goal)}")
    if journal.damage:
        lines.append(f"  DAMAGED: {journal.damage}; the rest is unknown.")
    if whole:
        lines += _details(journal)
    if journal.end is not None and (whole or journal.exit is not Exit.DONE):
        lines.append(f"  {journal.end.summary}")
    remedy = _remedy(shown)
    return [*lines, f"  {remedy}"] if remedy else lines


def _details(journal: Journal) -> list[str]:
    """Everything known about it, write by write."""
    header = journal.header
    lines = ["", f"  Kernel {header.kernel or 'not known'}, model {header.model}, boot {header.boot or 'not known'}"]
    for title, every in (("Before", header.before), ("After", journal.end.after if journal.end is not None else ())):
        lines += [
            f"  {title}: {facts.device} on {facts.driver or 'no driver'}, override {facts.override or 'none'}"
            for facts in every
        ]
    lines += [f"  Accepted: {acceptance}" for acceptance in header.accepted]
    if header.modules:
        lines.append(f"  Modules to load first: {', '.join(header.modules)}")
    lines += [""] if journal.steps else ["", "  Nothing was written."]
    for restoring, steps in groupby(journal.steps, lambda step: step.restoring):
        lines.append(f"  Rolled back: {journal.why}." if restoring else "  Writes:")
        lines += [*(f"  {step.number:3}. {_write_words(step)}" for step in steps), ""]
    if journal.within is not None:
        kept = f"confirmed by {journal.kept_by}" if journal.kept_by is not None else "not confirmed"
        lines.append(f"  To be confirmed within {journal.within:g} s: {kept}")
    return lines


def _write_words(step: JournaledWrite) -> str:
    """``unbinding 0000:01:00.0 from nvidia: ok, 0.21 s``."""
    what = step_words(step)
    if step.result is None:
        return f"{what}: not known, the apply was interrupted before it returned"
    late = ", after iommutui had stopped waiting for it" if step.late else ""
    note = f" ({step.note})" if step.note else ""
    return f"{what}: {step.result}{note}, {step.seconds:.2f} s{late}"


_HEADER = ("started", "boot", "kernel", "model", "goals", "modules", "before", "reverts", "accepted")
_OF_JOURNAL = ("id", "open", "steps", "why", "exit", "within", "kept_by", "reverted_by", "damage")


def _document(shown: _Shown | Damaged) -> dict[str, Any]:
    if isinstance(shown, Damaged):
        return {"id": shown.id, "state": "damaged", "damage": shown.why, "open": shown.open, "in_effect": False}
    journal, end = shown.journal, shown.journal.end
    return to_object(
        {
            **{name: getattr(journal, name) for name in _OF_JOURNAL},
            **{name: getattr(journal.header, name) for name in _HEADER},
            "state": shown.state,
            "in_effect": shown.in_effect,
            "changed": shown.now.changed if shown.state is JournalState.CHANGED else (),
            "planned": journal.header.steps,
            "summary": end.summary if end is not None else "",
            "left": end.left if end is not None else (),
            "after": end.after if end is not None else (),
        }
    )
