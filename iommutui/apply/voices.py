"""Who may keep what was applied: the program that asked for it, and root at any other terminal."""

import os
import select
import stat
import time
from pathlib import Path

from iommutui.apply.keeping import Word
from iommutui.apply.session import SIZE_LIMIT

KEEP, UNDO = b"keep", b"undo"
"""The words of the program that asked, each on a line of its own."""

_LOOK = 0.2
"""Seconds between two looks for a note."""


class Asker:
    """The standard input of the applying process: a request, and a word while a countdown goes on."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor
        self._held = b""

    def request(self) -> str:
        """The first line if it is a whole object, else everything up to the end, as far as a request may go."""
        while b"\n" not in self._held and len(self._held) <= SIZE_LIMIT and self._read():
            pass
        line, newline, rest = self._held.partition(b"\n")
        if newline and line.strip().endswith(b"}"):
            self._held = rest
            return line.decode(errors="replace")
        while len(self._held) <= SIZE_LIMIT and self._read():
            pass
        text, self._held = self._held, b""
        return text.decode(errors="replace")

    def forget(self) -> None:
        """Whatever has been said so far was not about what comes now."""
        while self._descriptor is not None and select.select([self._descriptor], [], [], 0)[0] and self._read():
            pass
        self._held = b""

    def wait(self, seconds: float) -> bytes | None:
        """Waits at most so long; a line, or None where no whole one has come. Who has gone says nothing any more."""
        if b"\n" not in self._held:
            if self._descriptor is None:
                time.sleep(seconds)
                return None
            if select.select([self._descriptor], [], [], seconds)[0]:
                self._read()
        line, newline, rest = self._held.partition(b"\n")
        if not newline:
            self._held = self._held[-SIZE_LIMIT:]
            return None
        self._held = rest
        return line.strip()

    def _read(self) -> bool:
        """Reads what there is, and waits for something if need be; False at the end."""
        try:
            part = os.read(self._descriptor, 1 << 16) if self._descriptor is not None else b""
        except OSError:
            part = b""
        self._held += part
        if not part:
            self._descriptor = None
        return bool(part)


class Listener:
    """Implements `iommutui.apply.keeping.Voices`: the asker, and notes in the journal directory."""

    def __init__(self, directory: Path, asker: Asker) -> None:
        self._directory = directory
        self._asker = asker
        self._note: Path | None = None

    def begin(self, journal_id: str) -> None:
        """From here on words count."""
        self._note = note_of(self._directory, journal_id)
        self._asker.forget()

    def wait(self, seconds: float) -> Word | None:
        """Looks for a note several times while it waits for the asker."""
        end = time.monotonic() + seconds
        while True:
            if self._note is not None and _is_note(self._note):
                return Word(keep=True, by="'iommutui keep'")
            left = end - time.monotonic()
            if left <= 0:
                return None
            said = self._asker.wait(min(left, _LOOK))
            if said in (KEEP, UNDO):
                return Word(keep=said == KEEP, by="the program that asked for it")

    def end(self) -> None:
        """The note has been read, or came too late."""
        if self._note is not None:
            self._note.unlink(missing_ok=True)


def note_of(directory: Path, journal_id: str) -> Path:
    """The file whose being there keeps the journal. The directory is one that nobody else may write to."""
    return directory / f"{journal_id}.keep"


def leave_note(directory: Path, journal_id: str) -> None:
    """Keeps what a countdown is about to take back. FileExistsError is as good; OSError says why it cannot be left."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    os.close(os.open(note_of(directory, journal_id), flags, mode=0o600))


def take_note_back(directory: Path, journal_id: str) -> None:
    """What nobody has taken notice of does not stay behind."""
    note_of(directory, journal_id).unlink(missing_ok=True)


def _is_note(path: Path) -> bool:
    try:
        facts = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(facts.st_mode) and facts.st_uid in (0, os.geteuid())
