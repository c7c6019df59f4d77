"""What an importer is, and what it hands over. The importers stand beside this, one format a module."""

from collections.abc import Callable
from typing import NamedTuple, TypedDict

from iommutui.core.address import Address
from iommutui.sources.listings.lines import Lines

NOTHING: frozenset[str] = frozenset()
DRIVER = frozenset({"driver"})
GROUP = frozenset({"group"})
UNTOLD = frozenset({"untold"})
"""The listing tells drivers, and of this function that it does not know."""


class Facts(TypedDict, total=False):
    """Fields of a `Device`, as far as they are told."""

    vendor_id: str
    device_id: str
    subsystem_vendor_id: str
    subsystem_device_id: str
    class_code: str
    revision: str
    header_type: int
    multifunction: bool
    pcie_type: int
    modalias: str
    driver: str | None
    driver_override: str
    group: int
    parent: Address | None
    physfn: Address
    iommu: str
    vendor_name: str | None
    device_name: str | None
    class_name: str | None


class Sighting(NamedTuple):
    """What one place of a text says of a function."""

    line: int
    address: Address
    facts: Facts
    tells: frozenset[str] = NOTHING
    """``driver``, ``group``: this listing tells them, so that where it says nothing there is no driver, no group."""
    below: str | None = None
    """The bus behind a bridge: ``0000:01``."""
    way: str = ""
    """The way to it by slots alone, ``0000:00:01.0/00.0``, where its bus is not shown (``lspci -P``)."""

    def function(self) -> str:
        """What tells it from other functions of its listing."""
        return self.way or self.address


class Taken(NamedTuple):
    """Lines ``first`` up to ``end``, and what they were taken for."""

    first: int
    end: int
    what: str


class Piece(NamedTuple):
    """What an importer has read from a line on: everything up to ``end``."""

    end: int
    sightings: tuple[Sighting, ...] = ()
    taken: tuple[Taken, ...] = ()
    tells: frozenset[str] = NOTHING
    """As of a sighting, for all of them."""
    kernel: str | None = None
    cmdline: str | None = None
    cpu_vendor: str | None = None
    hides: bool = False
    """The format leaves members of groups out (Proxmox: bridges and memory)."""


class Text(NamedTuple):
    """The lines of a text, and for each the importer whose record it may begin."""

    lines: Lines
    kinds: list[str | None]


class Importer(NamedTuple):
    """One entry of the registry."""

    name: str
    example: str
    """How such a listing looks, for the message that nothing was found."""
    opens: str
    """A regular expression that matches at the start of the first line of it."""
    score: int
    """How sure that makes it, from 1 to 9: where several match a line, the highest has it."""
    read: Callable[[Text, int], Piece]
    """Reads one record, line or block, from such a line on. Never raises, whatever follows."""
    needs: tuple[str, ...] = ()
    """Every text with such a listing holds one of these, so that another is not looked through for it."""
    once: bool = False
    """A listing names a function once: where one comes again, another listing has begun; and what it tells of some
    functions (drivers, groups) it would tell of all."""


BOUNDARY = "boundary"
"""The kind of a line that ends what is above it: a shell's prompt, a code fence, a heading."""

BOUNDARIES = r"\s*(?:```|~~~)|\S{0,60}@\S{0,60}[^\n]{0,80}?[$#>%] ?|[$%] \S|(?:#+|\*\*) ?[A-Z][^:]*$"
