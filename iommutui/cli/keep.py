"""``iommutui keep``: what was applied may stay. It works from any terminal, also where the screen has gone."""

import argparse
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from iommutui.cli.output import complain, write_lines
from iommutui.cli.parser import Options, add_source
from iommutui.core.errors import Exit, IommutuiError, NotPermittedError, RefusedError

if TYPE_CHECKING:
    from iommutui.apply.entries import Entry

_LOOK = 0.1
"""Seconds between two looks at the journal, while the applying process takes note."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``keep [ID]``."""
    parser.add_argument(
        "id", nargs="?", metavar="ID", help="a journal's id or its beginning (default: the one that waits)"
    )
    add_source(parser)


def run(options: Options) -> int:
    """Keeps what a countdown is about to take back, or what an apply that was cut off has left."""
    from iommutui.apply.recovery import at_work
    from iommutui.apply.state import machine_journal_dir
    from iommutui.cli.recorded import refuse_recorded

    refuse_recorded(options, "keep")
    directory = machine_journal_dir()
    entry = _wanted(directory, options.id)
    try:
        if at_work(directory):
            return _keep_in_time(directory, entry)
        return _leave(directory, entry)
    except PermissionError:
        return _as_root(entry)


def _wanted(directory: Path, words: str | None) -> "Entry":
    """The journal without an end that is meant."""
    from iommutui.apply.entries import load
    from iommutui.apply.recovery import unfinished

    if words is not None:
        entry = load(directory, words)
        if not entry.open:
            raise RefusedError(
                f"The apply {entry.id} has ended: there is nothing to keep.", "'iommutui journal' says how."
            )
        return entry
    found = unfinished(directory)
    if not found:
        raise IommutuiError("Nothing waits to be kept.", "'iommutui journal' lists what was applied.")
    return found[-1]


def _keep_in_time(directory: Path, entry: "Entry") -> int:
    """Leaves a note for the applying process, and waits until its journal says what came of it."""
    from iommutui.apply.entries import load
    from iommutui.apply.recovery import at_work
    from iommutui.apply.voices import leave_note, take_note_back

    if entry.within is None:
        raise RefusedError(
            f"The apply {entry.id} is at work, and has nothing to keep yet.",
            "It waits to be kept only at its end, and only where --keep-within asks for that.",
        )
    try:
        leave_note(directory, entry.id)
    except FileExistsError:
        pass  # somebody else has said the same
    except PermissionError:
        raise
    except OSError as error:
        raise IommutuiError(f"The applying process cannot be told: {error.strerror}.") from None
    while at_work(directory):
        now = load(directory, entry.id)
        if not (now.open and now.why is None and now.kept_by is None):
            break
        time.sleep(_LOOK)
    now = load(directory, entry.id)
    if now.kept_by is None:
        take_note_back(directory, entry.id)
        if now.open and now.why is None:
            return _leave(directory, now)  # it died meanwhile
        raise RefusedError(f"It is too late: the apply {entry.id} is taken back. {now.summary}".strip())
    write_lines([f"Kept: {entry.id} stays in effect."])
    return Exit.DONE


def _leave(directory: Path, entry: "Entry") -> int:
    """Ends the journal of a process that is gone."""
    from iommutui.apply.journal import leave_as_it_is

    leave_as_it_is(directory, entry.id, by="'iommutui keep', after it had been cut off")
    write_lines([f"{entry.id} is left as it is; 'iommutui revert {entry.reverts or entry.id}' still takes it back."])
    return Exit.DONE


def _as_root(entry: "Entry") -> int:
    from iommutui.apply.elevate import as_root, own_program, root_program

    command = as_root(["keep", entry.id], own_program(), root_program())
    try:
        code = subprocess.run(command, check=False).returncode
    except OSError as error:
        raise NotPermittedError(f"{command[0]} does not start: {error.strerror}.") from None
    if code not in {*Exit}:
        complain("Nothing was kept.")
        return Exit.PERMISSION
    return code
