"""``iommutui keep``: confirms an apply. It works from any terminal, even if the screen is gone."""

import argparse
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from iommutui import sources
from iommutui.apply.boots import boot_id
from iommutui.apply.confirmation import leave_note, note_of
from iommutui.apply.elevation import as_root, own_program, root_program
from iommutui.apply.journal import at_work, journal_dir
from iommutui.apply.journal.reader import Damaged, Journal, read_journals
from iommutui.apply.recovery import leave_as_it_is, unfinished, what_reverts
from iommutui.cli.options import refuse_recorded
from iommutui.cli.output import complain, write_lines
from iommutui.cli.parser import Options
from iommutui.core.errors import Exit, IommutuiError, RefusedError

_INTERVAL = 0.1
"""Seconds between two checks of the journal, until the applying process has taken note."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    words = "a journal's id, or the beginning of one (default: the apply that waits to be confirmed)"
    parser.add_argument("id", nargs="?", metavar="ID", help=words)


def run(options: Options) -> int:
    """Confirms what a countdown would revert, or accepts the state that an interrupted apply left."""
    refuse_recorded(options, "keep")
    directory = journal_dir()
    journal = _wanted(directory, options.id)
    try:
        return _confirm(directory, journal) if at_work(directory) else _leave(directory, journal)
    except PermissionError:
        return _as_root(journal)
    except OSError as error:
        raise IommutuiError(f"The journal cannot be confirmed: {error.strerror}.") from None


def _wanted(directory: Path, words: str | None) -> Journal | Damaged:
    """The chosen journal, which has not ended."""
    if words is not None:
        journal = read_journals(directory).find_any(words)
        if not journal.open:
            raise RefusedError(
                f"The apply {journal.id} has ended: there is nothing to confirm.", "'iommutui journal' says how."
            )
        return journal
    found = unfinished(directory, boot_id(sources.HERE))
    if not found:
        raise IommutuiError("No apply waits to be confirmed.", "'iommutui journal' lists what was applied.")
    return found[-1]


def _confirm(directory: Path, journal: Journal | Damaged) -> int:
    """Leaves a note for the applying process, and waits until its journal records the outcome."""
    if isinstance(journal, Damaged) or journal.within is None:
        raise RefusedError(
            f"The apply {journal.id} is still running: there is nothing to confirm yet.",
            "It waits for confirmation at its end, if --keep-within was given.",
        )
    with suppress(FileExistsError):  # somebody else has confirmed it too
        leave_note(directory, journal.id)
    while at_work(directory) and read_journals(directory).find(journal.id).waiting:
        time.sleep(_INTERVAL)
    now = read_journals(directory).find(journal.id)
    if now.kept_by is None:
        note_of(directory, journal.id).unlink(missing_ok=True)
        if now.waiting:
            return _leave(directory, now)  # it died meanwhile
        raise RefusedError(f"It is too late: the apply {journal.id} is being reverted.")
    write_lines([f"Confirmed: {journal.id} stays in effect."])
    return Exit.DONE


def _leave(directory: Path, journal: Journal | Damaged) -> int:
    """Ends the journal of a process that is gone."""
    leave_as_it_is(directory, journal.id, by="'iommutui keep', after it had been interrupted")
    reverted = what_reverts(journal)
    still = f"; 'iommutui revert {reverted}' still reverts it" if reverted is not None else ""
    write_lines([f"{journal.id} is left as it is{still}."])
    return Exit.DONE


def _as_root(journal: Journal | Damaged) -> int:
    command = as_root(["keep", journal.id], own_program(), root_program())
    code = subprocess.run(command, check=False).returncode
    if code not in {*Exit}:
        complain("Nothing was confirmed.")
        return Exit.PERMISSION
    return code
