"""What an importer is, and what it hands over. The importers stand beside this, each one entry of ``IMPORTERS``."""

from collections.abc import Callable
from typing import NamedTuple

from iommutui.core.address import Address
from iommutui.sources.listings.facts import Facts
from iommutui.sources.listings.text import Text


class Record(NamedTuple):
    """What the lines from ``line`` up to ``end`` were taken for: a function with its facts, or something else."""

    line: int
    end: int
    address: Address | None = None
    facts: Facts = {}  # noqa: RUF012 - only that of a function is filled, and those have one of their own
    below: str | None = None
    """The bus behind a bridge: ``0000:01``."""
    way: str = ""
    """The way to it by slots alone, ``0000:00:01.0/00.0``, where its bus is not shown (``lspci -P``)."""
    what: str = ""
    """What lines that name no function are."""
    machine: tuple[str, str] | None = None
    """A field of the `Host` that they tell, and its value: ``kernel``, ``cmdline`` or ``cpu_vendor``."""

    def words(self) -> str:
        """What it was taken for, for people."""
        group = self.facts.get("group")
        return self.what or (f"{self.address}" if group is None else f"{self.address} in group {group}")


Read = tuple[list[Record], int]
"""What was read from a line on, and the line to go on at."""


class Importer(NamedTuple):
    """One entry of the registry."""

    name: str
    example: str
    """How such a listing looks, for the message that nothing was found."""
    opens: str
    """A regular expression that matches at the start of the first line of it."""
    score: int
    """How sure that makes it, from 1 to 9: where several match a line, the highest has it."""
    read: Callable[[Text, int], Read]
    """Reads one function, line or block, from such a line on. Never raises, whatever follows."""
    needs: tuple[str, ...] = ()
    """Every text with such a listing holds one of these, so that another is not looked through for it."""
    once: bool = False
    """A listing names a function once: where one comes again, another listing has begun; and what it tells of some
    functions (drivers, groups) it would tell of all."""
    hides: bool = False
    """Such a listing may leave out bridges, and does where it names none (Proxmox)."""


BOUNDARY = "boundary"
"""The kind of a line that ends what is above it: a shell's prompt, a code fence, a heading."""
