"""This machine. It is read here, and written to only by a separate process that is root."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import IO

from iommutui.apply.boots import before_this_boot, boot_id, remember
from iommutui.apply.elevation import Applying, own_program, root_program
from iommutui.apply.events import Event, Refused
from iommutui.apply.journal import journal_dir
from iommutui.apply.recovery import find_revert, interrupted_words, open_journals, remedy_words, what_reverts
from iommutui.apply.request import Request, request_of
from iommutui.core.drivers import KNOWN, DriverTable
from iommutui.core.errors import IommutuiError, NotPermittedError
from iommutui.core.host import Host
from iommutui.core.models import Model
from iommutui.sources import load
from iommutui.sources.live import Unavailable, watch
from iommutui.sources.processes import claims_now, session_address
from iommutui.tui.machines.base import CutOff, Job, Machine, Watch, WayBack
from iommutui.tui.state import Source, SourceKind


class LiveMachine(Machine):
    """Reads sysfs; hands plans to the applying process. Implements `Machine`, which says what its methods do."""

    def __init__(self, kernel: str | None, table: DriverTable = KNOWN) -> None:
        self._kernel = kernel
        self._table = table
        writer = root_program()
        self.source = Source(SourceKind.LIVE, kernel or "", writer)
        self.applier = ProcessApplier(own_program(), writer)

    def scan(self) -> Host:
        return load(None, kernel=self._kernel, session=session_address(), driver_table=self._table)

    def claims(self, host: Host) -> Host:
        """From the processes that have nodes of VFIO open."""
        return claims_now(host)

    def watch(self, changed: Callable[[], None]) -> Watch:
        """The kernel's own events through udev."""
        found = watch(changed)
        if isinstance(found, Unavailable):
            return Watch(lambda: None, f"{found.why} {found.remedy} Until then press r to rescan.")
        return Watch(found.stop)

    def way_back(self, host: Host, model: Model, journal: str | None = None) -> WayBack | None:
        """From the newest journal that is still in effect."""
        found = find_revert(journal_dir(), journal, host, model, boot_id())
        return WayBack(found.plan, found.journal.id, found.left_alone_words)

    def cut_off(self) -> CutOff | None:
        directory = journal_dir()
        if not directory.is_dir():
            return None
        for journal in open_journals(directory, boot_id()):
            words = interrupted_words(journal)
            return CutOff(what_reverts(journal), words[0].upper() + words[1:], remedy_words(journal))
        return None

    def before_boot(self, host: Host) -> Host | None:
        try:
            remember(host)
            return before_this_boot()
        except (IommutuiError, OSError):
            return None


class ProcessApplier:
    """Starts ``iommutui apply --stdin`` as root, sends it a request, reads what it says."""

    _applying: Applying
    _talk: IO[bytes]

    def __init__(self, program: Sequence[str], writer: str | None) -> None:
        self._program = program
        self._writer = writer
        self.needs_terminal = bool(writer)  # sudo, pkexec and run0 may ask for a password

    def begin(self, job: Job) -> None:
        """Starts the process; if a password may be asked for, waits for the first output after it."""
        # A file, because nobody reads the output while the screen is up, and a full pipe would block the process.
        self._talk = tempfile.TemporaryFile()  # noqa: SIM115 - open until the process has ended
        answered = job.keep_within is not None
        self._applying = Applying(request(job), self._program, self._writer, self._talk, answered=answered)

    def keep(self) -> None:
        self._applying.keep()

    def undo(self) -> None:
        self._applying.undo()

    def events(self, job: Job) -> Iterator[Event]:
        """Its events, until it ends. Raises IommutuiError with its own message if it refused, or wrote no event."""
        try:
            for event in self._applying.events():
                if isinstance(event, Refused):
                    raise IommutuiError(event.what, event.remedy)
                yield event
        except NotPermittedError as error:
            with self._talk as talk:
                talk.seek(0)
                said = talk.read(4000).decode(errors="replace").strip().removeprefix("iommutui: ")
            raise IommutuiError(said or error.what, error.remedy) from None


def request(job: Job) -> Request:
    """The request to carry out a job; the journal says what a revert restores."""
    reverts = job.journal if job.revert else None
    return request_of(job.plan, job.intents, accepted=job.accepted, keep_within=job.keep_within, reverts=reverts)
