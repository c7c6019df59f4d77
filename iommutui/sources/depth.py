"""How much of a machine is read."""

from enum import Enum


class Depth(Enum):
    """``LISTING`` is what the plain listing needs; ``FULL`` adds what fits a device, details, and facts of groups."""

    LISTING = "listing"
    FULL = "full"
