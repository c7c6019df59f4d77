"""Files in other programs' directories, written as one change: each atomically, all or none.

The old content is on disk before the first write, so a change interrupted by a failure or a power cut can be reverted.
Only files that iommutui made are replaced or removed: their text says so, or the record of the last change lists them,
unchanged since. The change ends with the distribution's command that rebuilds the initramfs: it takes a minute, and
may hang.
"""

import difflib
import hashlib
import json
import os
import select
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from iommutui.apply.boots import boot_id
from iommutui.apply.child import ENVIRONMENT
from iommutui.apply.journal import sync_directory
from iommutui.apply.persistence.mechanisms import File, Mechanism, by_name
from iommutui.apply.validation import parse, to_line
from iommutui.core.errors import Exit, IommutuiError, RefusedError

MARKER = "Made by iommutui"

Run = Callable[[tuple[str, ...]], Iterator[str]]
"""Runs a command and yields its lines. Raises IommutuiError if it fails."""


class ChangeError(IommutuiError):
    """The change failed, and its exit code says whether everything is as it was before."""

    def __init__(self, what: str, exit_code: Exit, remedy: str = "") -> None:
        super().__init__(what, remedy)
        self.exit_code = exit_code


class Record(NamedTuple):
    """The last change: whether it is finished, the files before it, and the files after it."""

    finished: bool
    before: tuple[File, ...] = ()
    made: dict[str, str] = {}  # noqa: RUF012 - never changed in place
    """SHA-256 of every file of ours, by path."""
    mechanism: str = ""
    """The name of the mechanism that the files are for."""
    boot: str | None = None
    """The ``boot_id`` that it was made in."""


class Change(NamedTuple):
    """One path, as it is and as planned."""

    before: File
    after: File


class Store:
    """The files below ``root``, and the record of the last change in ``state``, the directory of all state."""

    def __init__(self, root: Path, state: Path) -> None:
        self.root, self.state = root, state
        self._record = state / "persist.json"

    def record(self) -> Record:
        """The last change; a finished one without files if there was none."""
        try:
            text = self._record.read_bytes()
        except FileNotFoundError:
            return Record(True)
        except OSError as error:
            raise IommutuiError(f"{self._record} cannot be read: {error.strerror}.") from None
        return parse(Record, text, f"The record {self._record}")

    def read(self, path: str) -> File:
        """The file as it is. Raises RefusedError if it is not a regular file of ours."""
        place = self._place(path)
        try:
            facts = os.lstat(place)
        except (FileNotFoundError, NotADirectoryError):
            return File(path, None, 0)
        if not stat.S_ISREG(facts.st_mode):
            raise RefusedError(f"{path} was not made by iommutui.", "Move it out of the way, and try again.")
        return File(path, place.read_text("utf-8", "backslashreplace"), stat.S_IMODE(facts.st_mode))

    def changes(self, wanted: Iterable[File], known: Iterable[str] = ()) -> list[Change]:
        """The changes after which exactly these files of ours exist. RefusedError: one is not ours.

        ``known`` are paths of files of ours that the record may lack.
        """
        made = self.record().made
        files = {file.path: file for file in wanted}
        found = []
        for path in dict.fromkeys((*files, *made, *known)):
            before = self.read(path)
            if before.text is not None and MARKER not in before.text and made.get(path) != _sum(before.text):
                raise RefusedError(
                    f"{path} was not made by iommutui, or was changed since.", "Move it out of the way, and try again."
                )
            after = files.get(path, File(path, None, before.mode))
            if before != after:
                found.append(Change(before, after))
        return found

    def undo(self) -> list[Change]:
        """The changes that restore the files before the last change."""
        changes = [Change(self.read(old.path), old) for old in self.record().before]
        return [change for change in changes if change.before != change.after]

    def carry_out(self, changes: list[Change], made: Iterable[File], mechanism: Mechanism, run: Run) -> Iterator[str]:
        """Writes the changes and rebuilds the initramfs; lines of progress. Raises ChangeError if it failed."""
        before = tuple(change.before for change in changes)
        record = Record(False, before, self.record().made, mechanism.name, boot_id(str(self.root)))
        self._keep(record)
        try:
            yield from self._write((change.after for change in changes), mechanism, run)
        except (OSError, IommutuiError) as error:
            yield f"failed: {_said(error)}"
            yield from self.revert(run)
            raise ChangeError(f"{_said(error)} The files are unchanged.", Exit.ROLLED_BACK) from None
        self._keep(record._replace(finished=True, made={file.path: _sum(file.text or "") for file in made}))

    def revert(self, run: Run) -> Iterator[str]:
        """Restores the files before the last change, and rebuilds the initramfs."""
        record = self.record()
        try:
            self._keep(record._replace(finished=False))
            yield from self._write(record.before, by_name(record.mechanism), run)
        except (OSError, IommutuiError) as error:
            raise ChangeError(
                f"{_said(error)} Not everything was restored.",
                Exit.NOT_ROLLED_BACK,
                "'iommutui unpersist --last' tries again. Until then boot with iommutui.persist=0.",
            ) from None
        made = {**record.made, **{file.path: _sum(file.text or "") for file in record.before}}
        left = {path: value for path, value in made.items() if self.read(path).text is not None}
        self._keep(Record(True, (), left, record.mechanism, boot_id(str(self.root))))

    def _write(self, files: Iterable[File], mechanism: Mechanism, run: Run) -> Iterator[str]:
        for file in files:
            yield f"{'remove' if file.text is None else 'write'} {file.path}"
            self._put(file)
        command = mechanism.command(self.root)
        if command:
            yield from run(command)

    def _put(self, file: File) -> None:
        """Writes the file atomically and durably; its directory is created if it is missing."""
        place = self._place(file.path)
        if file.text is not None:
            place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            _replace(place, file.text.encode(), file.mode)
            return
        _unfinished(place).unlink(missing_ok=True)
        with suppress(FileNotFoundError):
            os.unlink(place)
            sync_directory(place.parent)
        if "iommutui" in place.parent.name:
            with suppress(OSError):
                place.parent.rmdir()

    def _place(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def _keep(self, record: Record) -> None:
        self._record.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        # Every user may see what persists.
        _replace(self._record, to_line(record), 0o644)


def _unfinished(place: Path) -> Path:
    """The file until it is complete; a power cut may leave it."""
    return place.with_name(f".{place.name}.new")


def _replace(place: Path, content: bytes, mode: int) -> None:
    new = _unfinished(place)
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(new, place)
    except OSError:
        with suppress(OSError):
            os.unlink(new)
        raise
    sync_directory(place.parent)


def _said(error: OSError | IommutuiError) -> str:
    said = error.what if isinstance(error, IommutuiError) else f"{error.filename}: {error.strerror}"
    return f"{said.rstrip('.')}."


def diff_of(changes: Iterable[Change]) -> list[str]:
    """The changes as shown for review."""
    lines: list[str] = []
    for change in changes:
        old, new = ((file.text or "").splitlines() for file in change)
        from_file, to_file = ("/dev/null" if file.text is None else file.path for file in change)
        lines += difflib.unified_diff(old, new, from_file, to_file, lineterm="")
    return lines


def digest_of(changes: Iterable[Change]) -> str:
    """A digest of these changes, to compare those shown with those to be written."""
    return _sum(json.dumps(list(changes)))


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


LONGEST = 1800.0
"""Seconds after which the command is given up."""


def run_command(command: tuple[str, ...], longest: float = LONGEST) -> Iterator[str]:
    """Runs the command and yields its lines as they come.

    Raises IommutuiError if it does not start, fails, or takes longer than ``longest`` seconds.

    It has its own session, so it survives the end of the terminal. It does not wait for a child that is stuck in the
    kernel.
    """
    words = " ".join(command)
    yield f"run {words}"
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True, env=ENVIRONMENT, cwd="/",
        )  # fmt: skip
    except OSError as error:
        raise IommutuiError(f"{words} does not start: {error.strerror}.") from None
    assert process.stdout is not None
    ends = time.monotonic() + longest
    rest = b""
    with process.stdout as output:
        watched = [output]
        while process.poll() is None or select.select(watched, [], [], 0)[0]:
            if time.monotonic() > ends:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                raise IommutuiError(f"{words} has not ended after {longest:.0f} seconds, and was killed.")
            if select.select(watched, [], [], 0.5)[0]:
                part = os.read(output.fileno(), 1 << 12)
                watched = watched if part else []
                *lines, rest = (rest + part).split(b"\n")
                yield from map(_shown, lines)
    if rest:
        yield _shown(rest)
    if process.returncode:
        raise IommutuiError(f"{words} ended with code {process.returncode}.")


def _shown(line: bytes) -> str:
    return f"  {line.decode('utf-8', 'backslashreplace')}"
