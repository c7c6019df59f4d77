"""What is said of a text in which no importer finds a function."""

import re

from iommutui.core.errors import SourceError
from iommutui.core.printable import printable
from iommutui.sources.listings.base import Importer
from iommutui.sources.listings.functions import BDF
from iommutui.sources.listings.reading import Reading

_SIGNS = (
    rf"(?<![0-9a-fA-F:.]){BDF}(?![0-9a-fA-F.])",
    r"\[[0-9a-fA-F]{4}:[0-9a-fA-F]{4}\]",
    r"(?i)\biommu\b",
    r"(?i)\b(?:pci|vga|usb|ethernet) (?:bridge|controller|compatible)",
)
"""What lines of listings have in them, the most specific first."""

_TREE = r"^[ \t|+\\-]{0,60}-\[[0-9a-f]{4}:[0-9a-f]{2}"

REMEDY = "'iommutui snapshot --script' prints a script that records everything; 'lspci -nnkv' shows the most by itself."


def nothing_found(reading: Reading, importers: tuple[Importer, ...]) -> SourceError:
    """What was looked for, and the line that came closest."""
    lines = reading.text.lines.all
    if not any(line.strip() for line in lines):
        return SourceError(f"{reading.name} is empty.", REMEDY)
    if (found := re.search(_TREE, reading.text.lines.text, re.MULTILINE)) is not None:
        line = reading.text.lines.line_at(found.start())
        words = "This is 'lspci -t', which does not name functions by their addresses."
        return SourceError(f"{reading.name}, line {line + 1}: {words}", REMEDY)
    close = " No line looks like one of these."
    signs = (re.search(sign, reading.text.lines.text) for sign in _SIGNS)
    if (sign := next((found for found in signs if found is not None), None)) is not None:
        line = reading.text.lines.line_at(sign.start())
        close = f" Line {line + 1} came closest: {printable(lines[line].strip()[:100])!r}."
    looked = "; ".join(f"{importer.name} ({importer.example})" for importer in importers if importer.name != "system")
    return SourceError(f"{reading.name} names no PCI device. Known formats: {looked}.{close}", REMEDY)
