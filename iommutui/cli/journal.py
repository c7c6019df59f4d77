"""``iommutui journal``: what was applied to this machine."""

import argparse
from typing import TYPE_CHECKING, Any

from iommutui.cli.documents import SCHEMA
from iommutui.cli.output import clean, complain, write_json, write_lines
from iommutui.cli.parser import add_json, add_source
from iommutui.core.errors import Exit

if TYPE_CHECKING:
    from iommutui.apply.entries import Entry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``journal [ID] [--json]``."""
    parser.add_argument("id", nargs="?", help="show one journal, write by write; its id or the beginning of it")
    add_json(parser)
    add_source(parser)


def run(options: argparse.Namespace) -> int:
    """Lists journals, the newest last, or shows one."""
    from iommutui.apply.entries import list_entries, load
    from iommutui.apply.recovery import at_work
    from iommutui.apply.state import machine_journal_dir

    directory = machine_journal_dir()
    entries = [load(directory, options.id)] if options.id else list_entries(directory)
    if options.json:
        write_json({"schema": SCHEMA, "journals": [_document(entry) for entry in entries]})
        return Exit.DONE
    if not entries:
        complain(f"Nothing has been applied yet; journals would be in {directory}.")
    going_on = at_work(directory)
    lines: list[str] = []
    for entry in entries:
        lines += _lines(entry, whole=options.id is not None, going_on=going_on)
    write_lines([clean(line) for line in lines])
    return Exit.DONE


def _state(entry: "Entry", *, going_on: bool) -> str:
    if entry.open:
        if not going_on:
            from iommutui.apply.recovery import left_open_words, way_out

            return f"not finished: {left_open_words(entry)} {way_out(entry)}"
        if entry.within is not None and entry.why is None and entry.kept_by is None:
            return f"waits to be kept: 'iommutui keep {entry.id}'"
        return "going on"
    if entry.reverts is not None:
        return f"took {entry.reverts} back" if entry.exit is Exit.DONE else f"tried to take {entry.reverts} back"
    if entry.reverted_by is not None:
        return f"taken back by {entry.reverted_by}"
    if entry.exit is Exit.DONE:
        return "in effect"
    if entry.kept_by is not None:
        return "cut off, and left as it was"
    if entry.exit is Exit.ROLLED_BACK:
        return "failed, and rolled back" if entry.within is None else "not kept, and taken back"
    return "failed, and not wholly rolled back"


def _lines(entry: "Entry", *, whole: bool, going_on: bool) -> list[str]:
    moves = ", ".join(f"{goal.device} → {goal.driver or 'free'}" for goal in entry.goals)
    lines = [f"{entry.id}  {entry.started}  {_state(entry, going_on=going_on)}", f"  {moves}"]
    if not whole:
        return lines
    lines += [
        f"  before: {facts.device} on {facts.driver or 'no driver'}, override {facts.override or 'none'}"
        for facts in entry.before
    ]
    for step in entry.steps:
        value = f" {step.value}" if step.value is not None else ""
        back = " (taking back)" if step.restoring else ""
        result = step.result or "not known"
        lines.append(f"  {step.number}. {step.op} {step.device}{value}: {result}{back}")
    lines += [f"  accepted: {acceptance}" for acceptance in entry.accepted]
    if entry.summary:
        lines.append(f"  {entry.summary}")
    return lines


def _document(entry: "Entry") -> dict[str, Any]:
    from iommutui.apply.plain import to_plain

    document = to_plain(entry)
    assert isinstance(document, dict)
    return {**document, "open": entry.open, "in_effect": entry.in_effect}
