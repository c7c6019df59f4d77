"""A journal's header, and journals on disk."""

from pathlib import Path

from iommutui.apply.journal.format import SCHEMA, Header, JournalWriter, Planned
from iommutui.apply.journal.reader import Damaged, Journal, read_journals
from iommutui.core.plan.drift import DeviceFacts
from iommutui.core.plan.intents import Goal
from tests.apply.machines import GPU

HEADER = Header(
    SCHEMA,
    "20261122T104501-1a2b",
    "2026-11-22T10:45:01+00:00",
    "6.12.0",
    "dma-owner",
    (Goal(GPU, "vfio-pci", "vfio-pci", "vfio-pci"),),
    (),
    (Planned("override", GPU, "vfio-pci"),),
    (DeviceFacts(GPU, "10de:2204 class 030000", "nvidia", None, 14),),
)


def written(directory: Path, *lines: object, header: Header = HEADER) -> Path:
    with JournalWriter.open_new(directory, header) as journal:
        for line in lines:
            journal.append(line)  # type: ignore[arg-type]
    return journal.path


def list_journals(directory: Path) -> list[Journal]:
    """Every journal that can be read, the oldest first."""
    return list(read_journals(directory).readable)


def list_damaged(directory: Path) -> list[Damaged]:
    """Every journal that cannot be read, the oldest first."""
    return [journal for journal in read_journals(directory).every if isinstance(journal, Damaged)]


def load(directory: Path, wanted: str | None = None) -> Journal:
    """The journal with this id or prefix, or the newest that may have left changes."""
    journals = read_journals(directory)
    if wanted is not None:
        return journals.find(wanted)
    return [journal for journal in journals.readable if journal.changed_something][-1]
