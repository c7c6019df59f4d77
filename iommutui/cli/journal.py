"""``iommutui journal``: what was applied to this machine."""

import argparse
import os
from pathlib import Path
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

    directory = readable_journals()
    entries = [load(directory, options.id)] if options.id else list_entries(directory)
    if options.json:
        write_json({"schema": SCHEMA, "journals": [_document(entry) for entry in entries]})
        return Exit.DONE
    if not entries:
        complain(f"Nothing has been applied yet; journals would be in {directory}.")
    lines: list[str] = []
    for entry in entries:
        lines += _lines(entry, whole=options.id is not None)
    write_lines([clean(line) for line in lines])
    return Exit.DONE


def readable_journals() -> Path:
    """The journals to look at: those of root, where the machine's applies are, also for a user who has none."""
    from iommutui.apply.state import SYSTEM_STATE, journal_dir

    own = journal_dir()
    system = SYSTEM_STATE / "journal"
    if "IOMMUTUI_STATE_DIR" not in os.environ and not own.exists() and os.access(system, os.R_OK | os.X_OK):
        return system
    return own


def _state(entry: "Entry") -> str:
    if entry.open:
        return "not finished: it is going on, or it was cut off; 'iommutui revert' takes it back"
    if entry.reverts is not None:
        return f"took {entry.reverts} back" if entry.exit is Exit.DONE else f"tried to take {entry.reverts} back"
    if entry.reverted_by is not None:
        return f"taken back by {entry.reverted_by}"
    if entry.exit is Exit.DONE:
        return "in effect"
    return "failed, and rolled back" if entry.exit is Exit.ROLLED_BACK else "failed, and not wholly rolled back"


def _lines(entry: "Entry", *, whole: bool) -> list[str]:
    moves = ", ".join(f"{goal.device} → {goal.driver or 'free'}" for goal in entry.goals)
    lines = [f"{entry.id}  {entry.started}  {_state(entry)}", f"  {moves}"]
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
    if entry.summary:
        lines.append(f"  {entry.summary}")
    return lines


def _document(entry: "Entry") -> dict[str, Any]:
    from iommutui.apply.plain import to_plain

    document = to_plain(entry)
    assert isinstance(document, dict)
    return {**document, "open": entry.open, "in_effect": entry.in_effect}
