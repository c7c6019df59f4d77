"""How much of a machine is read."""

from enum import Enum


class Depth(Enum):
    """``LISTING`` is what the plain listing needs; ``FULL`` adds what fits each device, details and reserved regions."""

    LISTING = "listing"
    FULL = "full"
