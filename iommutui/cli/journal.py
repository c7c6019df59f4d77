"""``iommutui journal``: what was applied to this machine."""

import argparse
from typing import Any, NamedTuple

from iommutui import sources
from iommutui.apply.boots import boot_id
from iommutui.apply.journal import at_work, journal_dir
from iommutui.apply.journal.reader import Damaged, Journal, JournaledWrite, read_journals
from iommutui.apply.recovery import JournalState, interrupted_words, remedy_words, standing, state_of
from iommutui.apply.steps import step_words
from iommutui.apply.validation import to_object
from iommutui.cli.options import refuse_recorded
from iommutui.cli.output import complain, write_json, write_lines
from iommutui.cli.parser import Options
from iommutui.cli.persist import persisted, persisted_documents, persisted_lines
from iommutui.core.errors import Exit
from iommutui.core.plan.drift import Change
from iommutui.core.wording import changes_words, goal_words


class _Shown(NamedTuple):
    """A journal, its present state, and later changes by something else."""

    journal: Journal
    state: JournalState
    changed: tuple[Change, ...]


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
    host = sources.load(depth=sources.Depth.LISTING) if journals.readable else None
    going_on = at_work(directory)

    def shown_of(journal: Journal | Damaged) -> _Shown | Damaged:
        if isinstance(journal, Damaged):
            return journal
        assert host is not None
        state = state_of(journal, ours, host, boot, going_on=going_on)
        return _Shown(journal, state, standing(journal, host, ours).changed if state == "changed" else ())

    shown = [shown_of(each) for each in ([journals.find_any(options.id)] if options.id else journals.every)]
    lasting = [] if options.id else persisted(options)
    if options.json:
        write_json({"journals": [_document(each) for each in shown], "persisted": persisted_documents(lasting)})
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


def _state(shown: _Shown) -> str:
    journal = shown.journal
    match shown.state:
        case "going-on":
            return "going on"
        case "waiting":
            return "waits to be confirmed"
        case "cut-off":
            return f"INTERRUPTED: {interrupted_words(journal)}"
        case "reverted":
            return f"reverted by {journal.reverted_by}"
        case "revert":
            return f"{'reverted' if journal.exit is Exit.DONE else 'tried to revert'} {journal.header.reverts}"
        case "undone-by-reboot":
            return "undone by a reboot" if not journal.open else "interrupted, and undone by a reboot"
        case "changed":
            return f"changed since by something else: {changes_words(shown.changed)}"
        case "in-effect":
            return f"in effect, confirmed by {journal.kept_by}" if journal.kept_by is not None else "in effect"
        case "not-rolled-back":
            interrupted = journal.kept_by is not None
            return "interrupted, and left as it was" if interrupted else "FAILED, and not wholly rolled back"
    if journal.exit is Exit.PERMISSION:
        return "not permitted, nothing was changed"
    return "failed, and rolled back" if journal.within is None else "not confirmed, and reverted"


def _remedy(shown: _Shown) -> str:
    """What can be done about it now; empty if nothing can."""
    if shown.state == "waiting":
        return f"'iommutui keep {shown.journal.id}' confirms it."
    if shown.state == "cut-off":
        return remedy_words(shown.journal)
    if shown.state == "changed":
        devices = {change.subject for change in shown.changed}
        if devices == {facts.device for facts in shown.journal.header.before}:
            return ""
        return f"'iommutui revert {shown.journal.id}' reverts the rest."
    in_effect = shown.state in ("in-effect", "not-rolled-back")
    return f"'iommutui revert {shown.journal.id}' reverts it." if in_effect else ""


def _local_time(started: str) -> str:
    """The time of a journal in the time zone of this machine: ``2026-11-22 16:03:46``."""
    from datetime import datetime

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
    elif journal.end is not None and journal.exit is not Exit.DONE and journal.kept_by is None:
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
    lines += ["", "  Writes:"] if journal.steps else ["", "  Nothing was written."]
    turned = False
    for step in journal.steps:
        if step.restoring and not turned:
            turned = True
            lines += ["", f"  Rolled back: {journal.why}." if journal.why else "  Rolled back."]
        lines.append(f"  {step.number:3}. {_write_words(step)}")
    if journal.within is not None:
        kept = f"confirmed by {journal.kept_by}" if journal.kept_by is not None else "not confirmed"
        lines += ["", f"  To be confirmed within {journal.within:g} s: {kept}"]
    return [*lines, "", f"  {journal.end.summary}"] if journal.end is not None else lines


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
            "in_effect": shown.state in ("in-effect", "not-rolled-back", "changed") and bool(_remedy(shown)),
            "changed": shown.changed,
            "planned": journal.header.steps,
            "summary": end.summary if end is not None else "",
            "left": end.left if end is not None else (),
            "after": end.after if end is not None else (),
        }
    )
