"""``iommutui journal``: what was applied to this machine."""

import argparse
from typing import TYPE_CHECKING, Any

from iommutui.apply.words import write_words
from iommutui.cli.documents import SCHEMA
from iommutui.cli.output import clean, complain, write_json, write_lines
from iommutui.cli.parser import Options, add_json, add_source
from iommutui.core.errors import Exit

if TYPE_CHECKING:
    from iommutui.apply.entries import Done, Entry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``journal [ID] [--json]``."""
    parser.add_argument(
        "id", nargs="?", metavar="ID", help="show one journal, write by write; its id or the beginning of it"
    )
    add_json(parser)
    add_source(parser)


def run(options: Options) -> int:
    """Lists journals, the newest last, or shows one."""
    from iommutui.apply.entries import list_entries, load
    from iommutui.apply.recovery import at_work
    from iommutui.apply.state import machine_journal_dir
    from iommutui.cli.persist import persisted, persisted_lines
    from iommutui.cli.recorded import refuse_recorded

    refuse_recorded(options, "journal")
    directory = machine_journal_dir()
    entries = [load(directory, options.id)] if options.id else list_entries(directory)
    lasting = [] if options.id else persisted(options)
    if options.json:
        devices = [{**entry._asdict(), **status._asdict()} for entry, status in lasting]
        write_json({"schema": SCHEMA, "journals": [_document(entry) for entry in entries], "persisted": devices})
        return Exit.DONE
    if not entries:
        complain(f"Nothing has been applied yet; journals would be in {directory}.")
    going_on = at_work(directory)
    lines: list[str] = []
    for entry in entries:
        lines += _lines(entry, whole=options.id is not None, going_on=going_on)
    lines += persisted_lines(lasting)
    write_lines([clean(line) for line in lines])
    return Exit.DONE


def _state(entry: "Entry", *, going_on: bool) -> str:
    if entry.open:
        if not going_on:
            from iommutui.apply.recovery import left_open_words

            return f"CUT OFF: {left_open_words(entry)}"
        if entry.within is not None and entry.why is None and entry.kept_by is None:
            return "waits to be kept"
        return "going on"
    if entry.reverts is not None:
        return f"took {entry.reverts} back" if entry.exit is Exit.DONE else f"tried to take {entry.reverts} back"
    if entry.reverted_by is not None:
        return f"taken back by {entry.reverted_by}"
    if entry.exit is Exit.DONE:
        return f"in effect, kept by {entry.kept_by}" if entry.kept_by is not None else "in effect"
    if entry.kept_by is not None:
        return "cut off, and left as it was"
    if entry.exit is Exit.PERMISSION:
        return "not permitted, nothing was changed"
    if entry.exit is Exit.ROLLED_BACK:
        return "failed, and rolled back" if entry.within is None else "not kept, and taken back"
    return "FAILED, and not wholly rolled back"


def _remedy(entry: "Entry", *, going_on: bool) -> str:
    """What can be done about it now; empty where that is nothing."""
    if entry.open and going_on:
        return f"'iommutui keep {entry.id}' keeps it." if entry.within is not None and entry.why is None else ""
    if entry.open:
        from iommutui.apply.recovery import way_out

        return "" if entry.reverted_by is not None else way_out(entry)
    return f"'iommutui revert {entry.id}' takes it back." if entry.in_effect else ""


def when(started: str) -> str:
    """The time of a journal as the clock on the wall shows it: ``2026-11-22 16:03:46``."""
    from datetime import datetime

    try:
        return datetime.fromisoformat(started).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError):
        return started


def _lines(entry: "Entry", *, whole: bool, going_on: bool) -> list[str]:
    from iommutui.core.wording import goal_words

    before = {facts.device: facts for facts in entry.before}
    lines = [f"{entry.id}  {when(entry.started)}  {_state(entry, going_on=going_on)}"]
    for goal in entry.goals:
        was = before.get(goal.device)
        now = f"{was.driver or 'free'} → " if was is not None else "stays at "
        lines.append(f"  {goal.device}  {now}{goal_words(goal)}")
    if whole:
        lines += _details(entry)
    elif entry.exit not in (None, Exit.DONE) and entry.kept_by is None:
        lines.append(f"  {entry.summary}")
    remedy = _remedy(entry, going_on=going_on)
    return [*lines, f"  {remedy}"] if remedy else lines


def _details(entry: "Entry") -> list[str]:
    """Everything that is known of it, write by write."""
    lines = ["", f"  Kernel {entry.kernel or 'not known'}, model {entry.model}"]
    lines += [
        f"  Before: {facts.device} on {facts.driver or 'no driver'}, override {facts.override or 'none'}"
        for facts in entry.before
    ]
    lines += [f"  Accepted: {acceptance}" for acceptance in entry.accepted]
    if entry.modules:
        lines.append(f"  Modules to load first: {', '.join(entry.modules)}")
    lines += ["", "  Writes:"] if entry.steps else ["", "  Nothing was written."]
    turned = False
    for step in entry.steps:
        if step.restoring and not turned:
            turned = True
            lines += ["", f"  Taken back because {entry.why}:" if entry.why else "  Taken back:"]
        lines.append(f"  {step.number:3}. {_step_words(step)}")
    if entry.within is not None:
        kept = f"kept by {entry.kept_by}" if entry.kept_by is not None else "not kept"
        lines += ["", f"  To be kept within {entry.within:g} s: {kept}"]
    if entry.summary:
        lines += ["", f"  {entry.summary}"]
    return lines


def _step_words(step: "Done") -> str:
    """``unbinding 0000:01:00.0 from nvidia: ok, 0.21 s``."""
    what = write_words(step.op, step.device, step.value)
    if step.result is None:
        return f"{what}: not known, the apply was cut off before it returned"
    late = ", after nobody waited for it any more" if step.late else ""
    note = f" ({step.note})" if step.note else ""
    return f"{what}: {step.result}{note}, {step.seconds:.2f} s{late}"


def _document(entry: "Entry") -> dict[str, Any]:
    from iommutui.apply.plain import to_plain

    document = to_plain(entry)
    assert isinstance(document, dict)
    return {**document, "open": entry.open, "in_effect": entry.in_effect}
