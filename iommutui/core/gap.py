"""What may exist but is not known, and why."""

from typing import NamedTuple

NOT_LISTED = "not-listed"
"""The gap of what a pasted listing does not show."""


class Gap(NamedTuple):
    """An attribute that may exist but is not known here."""

    attribute: str
    why: str
    """An errno name (``EACCES``), ``timeout`` (the kernel did not answer), ``not-recorded``, ``malformed`` (no kernel
    writes this), ``asleep`` (reading would wake the device), ``not-collected`` (nobody looked), ``not-listed`` (a
    pasted listing does not tell it) or ``unbinding`` (the ``driver`` link is gone, and the driver has not let go of the
    device yet)."""


UNBINDING = "unbinding"


_WORDS = {
    "EACCES": "it can be read by root only",
    "EPERM": "it can be read by root only",
    "timeout": "the kernel did not answer in time",
    "not-recorded": "it was not recorded",
    "not-collected": "it was not collected",
    NOT_LISTED: "the listing does not show it",
    "malformed": "it does not hold what a kernel writes there",
    UNBINDING: "an unbind of it has not returned yet",
    "asleep": "the device is powered down, and reading it would wake it",
}


def gap_words(why: str) -> str:
    """Why an attribute is not known, in words."""
    return _WORDS.get(why, f"reading it failed with {why}")
