"""What is missing of a listing because a filter left it out, as the command above it shows, or our own report says."""

import re
from enum import StrEnum

from iommutui.sources.listings.base import STDERR


class Excerpt(StrEnum):
    """What of a listing was picked out."""

    WHOLE = "whole"
    FUNCTIONS = "functions"
    """Some functions with all of their lines: others may be missing, also from their groups."""
    LINES = "lines"
    """Some lines: nothing follows from what is not there."""


_PICKS = re.compile(
    r"(?P<lines>(?:\blspci\b|\.sh\b|\biommu[\w-]*|\bdone\b).*\|&?\s*(?:\w+=\S+ |sudo |command |/\S*/|\\)*"
    r"(?:[ef]?grep|rg|ag|ack|awk|sed|perl|findstr|(?:head|tail)(?! -(?:n ?)?(?:[+-]|\d{3})))\b"
    r"(?! +(?:-\w*v|-?\w* ?[\"']?(?:iommu|group|\.[\"']?\s*$|''|\"\"))).*$|\b[ef]?grep\b.*\blspci\b)"
    r"|(?P<functions>\blspci\b[^|]* -[A-Za-z]*[ds] ?[\"']?[0-9a-fA-F:])",
    re.IGNORECASE,
)
"""A command that shows some lines of its input, or ``lspci`` with a filter; nearly every line has IOMMU or group."""
_SCRIPT_ENDS = re.compile(r"\s*(?:done|fi|\})[;\s]*$")
_ABOVE = 2
"""How many lines above a listing may be the command: between them, somebody may say what follows."""
_REPORTED = re.compile(r"^- Not known: .*\bdevices \(|# It is not known what else is in group", re.MULTILINE)


def picked_by_command(above: list[str]) -> Excerpt:
    """What the command picked out that is in the last of the lines above a listing."""
    lines = [line for line in above if re.search(r"\w", line) and not line.lstrip().startswith(("```", *STDERR))]
    commands = [] if lines and _SCRIPT_ENDS.match(lines[-1]) else lines[-_ABOVE:]
    found = next(filter(None, map(_PICKS.search, commands)), None)
    return Excerpt.WHOLE if found is None else Excerpt(found.lastgroup or "")


def is_between_matches(lines: list[str]) -> bool:
    """Whether lines between two listings are what ``grep -A`` puts between matches: ``--``."""
    return [line for line in lines if line.strip()] == ["--"]


def is_reported(text: str) -> bool:
    """Whether a text is our own report of an excerpt."""
    return "ot known" in text and _REPORTED.search(text) is not None
