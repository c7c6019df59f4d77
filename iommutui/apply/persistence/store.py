"""Files of other programs' directories, written as one change: each atomically, all of them or none.

What was there before is on disk before the first write, so that a change that is cut off, by a failure or a power cut,
can be reverted. Only files that iommutui made are replaced or removed: their text says so, or the record
of the last change has them, unchanged since.
"""

import difflib
import hashlib
import json
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from iommutui.apply.journal.directory import sync_directory
from iommutui.apply.persistence.mechanisms import File, Mechanism, by_name
from iommutui.apply.validation import parse, to_line
from iommutui.core.errors import Exit, IommutuiError, RefusedError

MARKER = "Made by iommutui"
SIZE_LIMIT = 1 << 20
"""No file that is replaced or removed is longer, in bytes: none of ours is."""


class RestoredError(IommutuiError):
    """The change failed, and everything is as it was before."""

    exit_code = Exit.ROLLED_BACK


class NotRestoredError(IommutuiError):
    """The change failed, and so did putting things back."""

    exit_code = Exit.NOT_ROLLED_BACK


class Before(NamedTuple):
    """What was at a path. ``text`` of None: nothing."""

    path: str
    text: str | None
    mode: int


class Record(NamedTuple):
    """The last change: whether it is finished, what was there before it, and what it left."""

    finished: bool
    before: tuple[Before, ...] = ()
    made: dict[str, str] = {}  # noqa: RUF012 - never changed in place
    """SHA-256 of every file of ours, by path."""
    mechanism: str = ""
    """The name of the one that the files are for."""


class Change(NamedTuple):
    """One path, as it is and as it is to be; None where there is no file."""

    path: str
    before: str | None
    after: str | None
    before_mode: int
    mode: int


class Store:
    """The files below ``root``, and the record of the last change in ``state``."""

    def __init__(self, root: Path, state: Path) -> None:
        self._root = root
        self._record = state / "persist.json"

    def record(self) -> Record:
        """The last change; a finished one without files where there was none."""
        try:
            text = self._record.read_bytes()
        except FileNotFoundError:
            return Record(True)
        except OSError as error:
            raise IommutuiError(f"{self._record} cannot be read: {error.strerror}.") from None
        return parse(Record, text, f"The record {self._record}")

    def read(self, path: str) -> str | None:
        """The text of a file, or None where there is none. RefusedError for what is no plain file of ours."""
        return self._before(path).text

    def changes(self, wanted: Iterable[File], known: Iterable[str] = ()) -> list[Change]:
        """What it takes that exactly these files are there and no others of ours. RefusedError: one is not ours.

        ``known`` are paths at which files of ours may be that the record does not have.
        """
        record = self.record()
        files = {file.path: file for file in wanted}
        found = []
        for path in dict.fromkeys((*files, *record.made, *known)):
            before, file = self._before(path), files.get(path)
            after = file.text if file is not None else None
            mode = file.mode if file is not None else before.mode
            if before.text is not None and MARKER not in before.text and record.made.get(path) != _sum(before.text):
                raise RefusedError(
                    f"{path} was not made by iommutui, or was changed since.", "Move it out of the way, and try again."
                )
            if (before.text, before.mode) != (after, mode):
                found.append(Change(path, before.text, after, before.mode, mode))
        return found

    def undo(self) -> list[Change]:
        """What it takes to restore what was there before the last change."""
        found = []
        for old in self.record().before:
            now = self._before(old.path)
            if now != old:
                found.append(Change(old.path, now.text, old.text, now.mode, old.mode))
        return found

    def carry_out(self, changes: list[Change], made: Iterable[File], mechanism: Mechanism, run: "Run") -> Iterator[str]:
        """Writes the changes and rebuilds the initramfs; lines of progress. RestoredError once all is reverted."""
        before = tuple(Before(change.path, change.before, change.before_mode) for change in changes)
        self._keep(Record(False, before, self.record().made, mechanism.name))
        try:
            for change in changes:
                yield f"{'remove' if change.after is None else 'write'} {change.path}"
                self._put(change.path, change.after, change.mode)
            yield from _rebuild(mechanism, run)
        except (OSError, IommutuiError) as error:
            yield f"failed: {_said(error)}"
            yield from self.revert(run)
            raise RestoredError(f"{_said(error)} The files are as they were before.") from None
        self._keep(Record(True, before, {file.path: _sum(file.text) for file in made}, mechanism.name))

    def revert(self, run: "Run") -> Iterator[str]:
        """Restores what was there before the last change, and rebuilds the initramfs."""
        record = self.record()
        try:
            self._keep(record._replace(finished=False))
            for before in record.before:
                yield f"{'remove' if before.text is None else 'restore'} {before.path}"
                self._put(before.path, before.text, before.mode)
            yield from _rebuild(by_name(record.mechanism), run)
        except (OSError, IommutuiError) as error:
            raise NotRestoredError(
                f"{_said(error)} Not everything is as it was before.",
                "'iommutui unpersist --last' tries again. Until then boot with iommutui.persist=0.",
            ) from None
        made = {b.path: _sum(b.text) for b in record.before if b.text is not None}
        left = {path: value for path, value in record.made.items() if self._before(path).text is not None}
        self._keep(Record(True, (), {**left, **made}, record.mechanism))

    def _before(self, path: str) -> Before:
        place = self._place(path)
        try:
            facts = os.lstat(place)
        except (FileNotFoundError, NotADirectoryError):
            return Before(path, None, 0)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > SIZE_LIMIT:
            raise RefusedError(f"{path} is not a file that iommutui made.", "Move it out of the way, and try again.")
        return Before(path, place.read_text("utf-8", "backslashreplace"), stat.S_IMODE(facts.st_mode))

    def _put(self, path: str, text: str | None, mode: int) -> None:
        """The file at once as a whole, on disk when this returns; its directory is made where it is missing."""
        place = self._place(path)
        for stale in place.parent.glob(f".{place.name}.????????"):
            stale.unlink()  # a power cut left it
        if text is None:
            with suppress(FileNotFoundError):
                os.unlink(place)
                sync_directory(place.parent)
            if "iommutui" in place.parent.name:
                with suppress(OSError):
                    place.parent.rmdir()
            return
        place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        new = place.parent / f".{place.name}.{secrets.token_hex(4)}"
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            os.replace(new, place)
        except OSError:
            with suppress(OSError):
                os.unlink(new)
            raise
        sync_directory(place.parent)

    def _place(self, path: str) -> Path:
        return self._root / path.lstrip("/")

    def _keep(self, record: Record) -> None:
        self._record.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        new = self._record.with_suffix(".new")
        with open(new, "wb") as file:
            file.write(to_line(record))
            file.flush()
            os.fchmod(file.fileno(), 0o644)  # whoever looks at the machine may see what persists
            os.fsync(file.fileno())
        os.replace(new, self._record)
        sync_directory(self._record.parent)


Run = Callable[[tuple[str, ...]], Iterator[str]]
"""Runs a command and yields its lines; IommutuiError where it fails."""


def _said(error: OSError | IommutuiError) -> str:
    said = error.what if isinstance(error, IommutuiError) else f"{error.filename}: {error.strerror}"
    return f"{said.rstrip('.')}."


def _rebuild(mechanism: Mechanism, run: Run) -> Iterator[str]:
    return run(mechanism.rebuild) if mechanism.rebuild else iter(())


def diff_of(changes: Iterable[Change]) -> list[str]:
    """The changes as a person reviews them."""
    lines: list[str] = []
    for change in changes:
        old, new = ((text or "").splitlines() for text in (change.before, change.after))
        from_file, to_file = ("/dev/null" if t is None else change.path for t in (change.before, change.after))
        lines += difflib.unified_diff(old, new, from_file, to_file, lineterm="")
    return lines


def digest_of(changes: Iterable[Change]) -> str:
    """What stands for these changes and no others, to compare what was shown with what would be written."""
    return _sum(json.dumps([list(change) for change in changes]))


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
