"""Decides which importer reads which lines of a text."""

import re
from collections import Counter
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple

from iommutui.core.address import Address
from iommutui.core.errors import SourceError
from iommutui.core.printable import printable
from iommutui.sources.listings.base import BOUNDARY, STDERR, UNTOLD, Importer, Record
from iommutui.sources.listings.text import BDF, IDS, Text

LIMIT = 1 << 24
"""Characters of the longest text that is read."""

_PATIENCE = 1000
"""How often an importer may find nothing when it is asked to read, before it is asked no more about this text."""

_BOUNDARIES = r"\s*(?:```|~~~)|\s*\S{0,60}@\S{0,60}[^\n]{0,80}?[$#>%] ?|[$%] \S|# [a-z]|(?:#+|\*\*) ?[A-Z][^:]*$"
_PROMPT = re.compile(r"\s*\[?[\w.-]{1,60}@([\w-]{1,60})[\w.-]*[: ][^\n@]{0,80}?[$#%>](?: |$)")
"""A shell's prompt, with the name of the machine."""

_FUNCTION = re.compile(BDF)
_SIGN = rf"(?<![0-9a-fA-F:.]){BDF}(?![0-9a-fA-F.])|{IDS}|(?i:\biommu|\bpci bridge|\bvga compatible)"
"""What lines of listings have in them."""

_TREE = r"(?m)^[ \t|+\\-]{0,60}-\[[0-9a-f]{4}:[0-9a-f]{2}"

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
"""What our own report of an excerpt says."""

_REMEDY = (
    "'iommutui snapshot --script' prints a script that records everything; "
    "'lspci -nnkv' is the most complete single listing."
)


class Excerpt(StrEnum):
    """What of a listing was picked out."""

    WHOLE = "whole"
    FUNCTIONS = "functions"
    """Some functions with all of their lines: others may be missing, also from their groups."""
    LINES = "lines"
    """Some lines: nothing follows from what is not there."""


class Section(NamedTuple):
    """One listing: in a format that names each function once, the uninterrupted output of one command."""

    name: str
    """Of the text."""
    importer: Importer
    records: list[Record]
    host: str = ""
    """The name of the machine in the prompt above it."""
    picked: Excerpt = Excerpt.WHOLE

    def functions(self) -> list[Record]:
        """The records of functions."""
        return [record for record in self.records if record.address is not None]


class Reading(NamedTuple):
    """A text and its records."""

    name: str
    text: Text
    sections: list[Section]

    def ignored(self) -> int:
        """How many lines that are not blank were ignored."""
        records = [record for section in self.sections for record in section.records]
        taken = {line for record in records for line in range(record.line, record.end)}
        return sum(1 for n, line in enumerate(self.text.lines) if n not in taken and line.strip())

    def explained(self) -> list[str]:
        """Every line that is not blank, with how it was read."""
        taken: dict[int, list[str]] = {}
        for section in self.sections:
            for record in section.records:
                group = record.facts.get("group")
                words = record.what or f"{record.address}{'' if group is None else f' in group {group}'}"
                for line in range(record.line, record.end):
                    taken.setdefault(line, []).append(f"{section.importer.name}: {words}")
        lines = ((n, line.strip()) for n, line in enumerate(self.text.lines))
        return [
            f"{self.name}:{n + 1}: {', '.join(taken.get(n, ['ignored']))}: {line[:100]}" for n, line in lines if line
        ]


def parse_text(content: str, name: str, importers: tuple[Importer, ...]) -> Reading:
    """Reads a text: finds for each line the importer that may start there, then lets it read."""
    if len(content) > LIMIT:
        raise SourceError(
            f"{name} is larger than {LIMIT >> 20} MiB, which is too large for a listing of one machine.",
            "Cut out what lspci, the groups' script or the kernel's log printed.",
        )
    text = Text(content)
    able = {each.name: each for each in importers if not each.needs or any(word in text.whole for word in each.needs)}
    text.kinds = _kinds(text, able)
    sections = _sections(text, name, able)
    for section in sections:
        if section.importer.once:
            _complete(section, text)
        for record in section.functions():
            if record.facts.get("driver") == UNTOLD:
                del record.facts["driver"]
    return Reading(name, text, sections)


def _kinds(text: Text, importers: dict[str, Importer]) -> list[str | None]:
    """For each line the importer whose record may begin there, or a boundary."""
    opens = [f"(?P<{name}>{importer.opens})" for name, importer in importers.items()]
    match = re.compile("|".join([*opens, f"(?P<{BOUNDARY}>{_BOUNDARIES})"])).match
    kinds = [None if found is None else found.lastgroup for found in map(match, text.lines)]
    for n, (line, following) in enumerate(pairwise(text.lines), 1):
        if kinds[n] is not None and line == following and _FUNCTION.search(line) is not None:
            kinds[n] = None  # the same line, copied twice
    return kinds


def _sections(text: Text, name: str, importers: dict[str, Importer]) -> list[Section]:
    reported = "ot known" in text.whole and _REPORTED.search(text.whole) is not None
    sections: list[Section] = []
    seen: set[Address] = set()
    vain: Counter[str] = Counter()
    at = read = 0
    host = ""
    for start, kind in enumerate(text.kinds):
        if kind == BOUNDARY:
            prompt = _PROMPT.match(text.lines[start])
            host = host if prompt is None else prompt[1].lower()
            continue
        if kind is None or start < at or vain[kind] > _PATIENCE:
            continue
        importer = importers[kind]
        records, at = importer.read(text, start)
        if not records:
            vain[kind] += 1
            continue
        functions = [record.address for record in records if record.address is not None]
        last = sections[-1].records[-1].address if sections else None
        between = [line for line in text.lines[read:start] if line.strip()]
        if (
            not sections
            or between
            or (sections[-1].importer, sections[-1].host) != (importer, host)
            or not importer.once
            or not seen.isdisjoint(functions)
            or (importer.ascends and last is not None and functions[0] < last)
        ):
            picked = _picked(between)
            if sections and [line.strip() for line in between] == ["--"]:  # what grep puts between matches
                picked = Excerpt.LINES
                sections[-1] = sections[-1]._replace(picked=picked)
            bridges = any(record.facts.get("class_code", "").startswith("06") for record in records)
            if picked is Excerpt.WHOLE and (reported or (importer.hides and not bridges)):
                picked = Excerpt.FUNCTIONS
            sections.append(Section(name, importer, [], host, picked))
            seen.clear()
        seen.update(functions)
        sections[-1].records.extend(records)
        read = at
    return sections


def _picked(above: list[str]) -> Excerpt:
    """What the command picked out that is in the last of the lines above a listing."""
    lines = [line for line in above if re.search(r"\w", line) and not line.lstrip().startswith(("```", *STDERR))]
    commands = [] if lines and _SCRIPT_ENDS.match(lines[-1]) else lines[-_ABOVE:]
    found = next(filter(None, map(_PICKS.search, commands)), None)
    return Excerpt.WHOLE if found is None else Excerpt(found.lastgroup or "")


def _complete(section: Section, text: Text) -> None:
    """A fact that a listing shows for some functions, it shows for all: the others have no driver, or no group.

    Nothing follows for a line cut off before its ids, or a function with lines missing; nor for the last line of a
    text, if all other functions have lines below them; nor if only some lines of the listing were picked out.
    """
    records = section.functions()
    every = [record.facts for record in records]
    picked = section.picked is Excerpt.LINES
    bare = [record for record in records if record.end == record.line + 1]
    last = len(text.lines) if len(bare) == 1 < len(records) else 0
    drivers = any(facts.get("driver", UNTOLD) != UNTOLD for facts in every)
    groups = any("group" in facts for facts in every)
    ids = any("vendor_id" in facts for facts in every)
    for record in records:
        facts = record.facts
        whole = not (record.cut or picked or record.line + 1 == last) and ("vendor_id" in facts or not ids)
        if drivers and whole:
            facts.setdefault("driver", None)
        if groups and whole:
            facts.setdefault("group", None)
        if picked and facts.get("driver", UNTOLD) is None:
            del facts["driver"]


def nothing_found(reading: Reading, importers: tuple[Importer, ...]) -> SourceError:
    """The expected formats, and the line that came closest."""
    text = reading.text
    if not text.whole.strip():
        return SourceError(f"{reading.name} is empty.", _REMEDY)
    if (found := re.search(_TREE, text.whole)) is not None:
        words = "This is 'lspci -t', which does not name functions by their addresses."
        return SourceError(f"{reading.name}, line {text.line_at(found.start()) + 1}: {words}", _REMEDY)
    close = " No line looks like one of these."
    if (found := re.search(_SIGN, text.whole)) is not None:
        line = text.line_at(found.start())
        close = f" Line {line + 1} came closest: {printable(text.lines[line].strip()[:100])!r}."
    looked = "; ".join(
        f"{importer.name} ({importer.example})" for importer in reversed(importers) if importer.name != "system"
    )
    return SourceError(f"{reading.name} names no PCI device. Known formats: {looked}.{close}", _REMEDY)
