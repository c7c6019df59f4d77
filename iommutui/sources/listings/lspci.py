"""``lspci`` in its line formats: ``-nn``, ``-k``, ``-v`` to ``-vvv``, ``-n``, ``-mm``, ``-PP``, with ``-x`` dumps.

``00:01.0 PCI bridge [0604]: Intel Corporation 6th-10th Gen Core Processor (x16) [8086:1901] (rev 07)`` is the line
that names a function, and the one that everybody copies (pciutils 3.13, ``show_terse``). Below it are groups with
``-v`` from pciutils 3.7 on, and drivers with ``-k`` or ``-v`` (``show_kernel``, ``show_verbose``).
"""

import re

from iommutui.core.address import Address, domain_of, parse_pci
from iommutui.core.drivers import KNOWN
from iommutui.core.pci_classes import class_code
from iommutui.sources.listings.base import (
    BOUNDARY,
    UNTOLD,
    Facts,
    Importer,
    Read,
    Record,
    driver_of,
    facts_of,
    of_config,
)
from iommutui.sources.listings.text import BDF, IDS, Text

NAME = "lspci"

_PATH = rf"{BDF}(?:/(?:[0-9a-fA-F]{{2}}:)?[01][0-9a-fA-F]\.[0-7])*"
"""An address, or the way to it: ``00:01.0/01:00.0`` (``-PP``). ``00:01.0/00.0`` (``-P``) does not show the bus."""

_MARKS = rf"[\s*#`|>'\"•+-]*+(?:Group Device:\s*|IOMMU Group \*\s)?(?:{IDS}\s+)?(?:\[R(?:ESET)?\]\s*|\(\d+\)\s*)?"
"""What scripts put before an address: marks of lists, its ids, of what can be reset, or the number of the group."""

_LINE = re.compile(rf"{_MARKS}({_PATH})[ \t,]+(?:- )?(?:Class )?(\S.*)")
_IDS = re.compile(IDS)
_WITH_IDS = re.compile(rf"(.*){IDS}(.*)")
_TAIL = re.compile(r"\((rev|prog-if) ([0-9a-fA-F]{2})\b")
_DRIVER = re.compile(r"\b(?:Driver|[Kk]ernel driver in use): *(\S+)")
_GROUP = re.compile(r"\b(?:IOMMU|iommu)[ _][Gg]roup[ =:#]*(\d{1,9})\b")
_WITH_CLASS = re.compile(r"([^\[]*)\[([0-9a-fA-F]{4})\](?::[ \t]*|[ \t]+(?=\S))(.*)")
_NUMERIC = re.compile(r"([0-9a-fA-F]{4}):[ \t]*([0-9a-fA-F]{4}):([0-9a-fA-F]{4})\b")
_BROKEN = re.compile(r"\[[0-9a-fA-F]{0,4}:?\s*$")
_OPEN = re.compile(r"\((?:rev|prog-if)[^()]*$")
_AFTER_IDS = re.compile(r"[\s`*|]*(?:\((?:rev|prog-if) .{0,60})?$")
_SNIPPED = r"\W*(?:\.\.\.|…|snip|cut|truncated)\W*$"
"""What people put where they have left lines out."""

_DETAIL = re.compile(
    r"[ \t]*(?:Subsystem:\s+.*?(?P<subsystem>[0-9a-fA-F]{4}:[0-9a-fA-F]{4})\]?\s*$"
    r"|[Kk]ernel\s+driver\s+in\s+use\s*:\s*(?P<driver>[^\s,]+)"
    r"|Driver override:\s*(?P<driver_override>\S+)"
    r"|Kernel\s+modules:(?!.* in use)\s*(?P<modules>\S+)"
    r"|(?:Flags:.*?\b|(?![A-Z][a-z])[^:]*, )?IOMMU\s+group:?\s+(?P<group>\d{1,9})\b"
    r"|Bus:\s*primary=[0-9a-f]{2},\s*secondary=(?P<below>[0-9a-f]{2})"
    r"|Capabilities:.*?Express\s+\(v\d+\)\s+(?P<port>Root Port|Upstream Port|Downstream Port|Root Complex Event)"
    rf"|(?P<dump>00: [0-9a-fA-F]{{2}} ))|(?P<snipped>{_SNIPPED})"
)
_ONCE = ("subsystem", "group", "driver", "modules")
"""Details that a function has once; the first of them is printed before the others."""
_LABELLED = re.compile(r"\s*(?:(?!IOM+U Group)[A-Z\[][^:\[\n]{0,40}(?::(?:\s|$)| at )|[0-9a-f]{2,3}: |# )")
"""How a detail begins: with what it tells, or as a comment."""
_CLASS_NAME = re.compile(r"(?:[^\s,]+ ){0,2}[^\s,]+|[^,]* (?:controller|device|bridge|storage|interface)")
"""A class that is in no table of ours."""
_CLASS = re.compile(r"\[[0-9a-fA-F]{4}\]: ")
_NUMBERED = re.compile(r"(?!VC\d)(?=.*(?:\d|[Gg]rou?p)).*:\s*$")
_FLAGS_END = re.compile(r"\s*IOMMU group \d{1,9}\s*$")
_ABOUT_DRIVER = ("in use", "IN USE", "driver", "Driver:", "drivr", "reiber", "ilote", "ernel")
_ABOUT_GROUP = ("group", "GROUP", "IOMMU g", "IOMMUg", ", IO", ",\n")
"""A line with one of these that is none of the above was about the driver, or may have told the group: damaged."""
_PORT_TYPES = {"Root Port": 4, "Upstream Port": 5, "Downstream Port": 6, "Root Complex Event": 10}

_ROW = re.compile(r"\s*([0-9a-fA-F]{2,3}): ((?:[0-9a-fA-F]{2}[ \t]?){16})\s*$")


def read(text: Text, at: int, start: int = 0) -> Read:
    """The function that a line names from its column ``start`` on, with the details below it."""
    lines, kinds = text.lines, text.kinds
    match = _LINE.match(lines[at], start)
    address, parent = _place_of(match[3]) if match is not None else (None, None)
    if match is None or address is None:
        return [], at + 1
    vendor, device, _, words = match.groups()
    facts = _facts_in(words, vendor, device)
    first = at + 1
    if "vendor_id" not in facts or _OPEN.search(words):
        words, first = _joined(text, at, words)
        facts = _facts_in(words, vendor, device) if first > at + 1 else facts
    if parent is not None:
        facts["parent"] = parent
    stop = first
    while stop < len(lines) and lines[stop].strip() and (kinds[stop] is None or _ends_flags(lines, stop, first)):
        stop += 1
    cut = not text.cut.isdisjoint(range(at, stop)) or _goes_on(text, stop)
    record = Record(at, first, address, facts, cut=cut)
    record = _with_details(record, text, stop) if stop > first else record
    return [record], record.end


def _read_line(text: Text, at: int) -> Read:
    """The function on a line that nothing announces; without ids and a class, a long one is somebody's sentence."""
    records, end = read(text, at)
    for record in records:
        class_name = record.facts.get("class_name") or ""
        if {"vendor_id", "class_code"}.isdisjoint(record.facts) and not _CLASS_NAME.fullmatch(class_name):
            return [], at + 1
    return records, end


def _place_of(path: str) -> tuple[Address | None, Address | None]:
    """The address at the end of a path, and that of its parent; the domain is only in the first of a path."""
    top, *rest = path.split("/")
    first = parse_pci(top)
    if first is None or not rest:
        return first, None
    *_, parent, address = (first, *(parse_pci(f"{domain_of(first)}:{each}") for each in rest))
    return address, parent


def _facts_in(words: str, vendor: str | None, device: str | None) -> Facts:
    """The facts after an address; ``vendor`` and ``device`` if they come before it."""
    if words[0] == '"':
        return _columns(words)
    facts: Facts = {}
    tail = ""
    if words.count("]: ") > 1 and len(_CLASS.findall(words)) > 1:  # the beginnings of two lines
        words = words[: words.index("]: ") + 3]
    if (found := _WITH_IDS.match(words)) is not None:
        words, vendor, device, tail = found.groups()
        if (before := _IDS.search(words)) is not None:  # two lines that have run together
            words, vendor, device, tail = words[: before.start()], None, None, ""
    elif (end := _TAIL.search(words) or _DRIVER.search(words)) is not None:
        words, tail = words[: end.start()], words[end.start() :]
    more = dict(_TAIL.findall(tail)) if tail else {}
    if "rev" in more:
        facts["revision"] = more["rev"].lower()
    if tail and (driver := _DRIVER.search(tail)) is not None:
        facts["driver"] = driver_of(driver[1])
    if tail and (group := _GROUP.search(tail)) is not None:
        facts["group"] = int(group[1])
    if (named := _WITH_CLASS.match(words)) is not None:
        class_name, code, name = named.groups()
    elif (numeric := _NUMERIC.match(words)) is not None:
        code, vendor, device = numeric.groups()
        class_name = name = ""
    else:
        class_name, _, name = words.partition(": " if ": " in words else "  ")
        if not name:
            class_name, name = "", words
        code = class_code(class_name)
    if class_name:
        facts["class_name"] = class_name.rstrip()
    if vendor and device:
        facts["vendor_id"], facts["device_id"] = vendor.lower(), device.lower()
    if code:
        facts["class_code"] = (code + more.get("prog-if", "")).lower()
    if name := name.strip().rstrip("`*| "):
        facts["device_name"] = name
    return facts


def _columns(words: str) -> Facts:
    """``-mm``: ``"VGA compatible controller [0300]" "Intel Corporation [8086]" "HD Graphics [1912]" -r06 -p00``."""
    names = ("class", "vendor", "device", "subsystem_vendor", "subsystem_device")
    options = dict(re.findall(r" -([rp])([0-9a-f]{2})\b", words))
    columns = dict(zip(names, re.findall(r'"([^"]*)"', words), strict=False))
    return facts_of({**columns, "rev": options.get("r"), "progif": options.get("p")})


def _joined(text: Text, at: int, words: str) -> tuple[str, int]:
    """The words of a line without ids, joined with the next lines if a mail program wrapped it, and where those end.

    A line is continued only if that yields its missing ids: ``... NVIDIA Corporation`` and below it
    ``GP106 [10de:1c02]``.
    """
    whole = words
    for end, more in enumerate(text.lines[at + 1 : at + 4], at + 1):
        if text.kinds[end] is not None or not more.strip() or _LABELLED.match(more):
            break
        # A line is broken at a blank, or within brackets too long for it.
        whole = whole.rstrip() + ("" if _BROKEN.search(whole) else " ") + more.strip()
        if (found := _WITH_IDS.match(whole)) is not None:
            if _OPEN.search(whole):
                continue
            return (whole, end + 1) if _AFTER_IDS.match(found[4]) else (words, at + 1)
    return words, at + 1


def _is_detail(line: str) -> bool:
    """Whether it is indented, or begins as a detail does."""
    return line[0].isspace() or _LABELLED.match(line) is not None


def _with_details(record: Record, text: Text, stop: int) -> Record:
    """A function with the facts from the lines below it, up to ``stop``."""
    first, facts = record.end, record.facts
    details = text.lines[first:stop]
    own = _own(details)
    told: set[str] = set()
    below = None
    for at, found in enumerate(own):
        kind = found.lastgroup if found is not None else None
        if found is None or kind is None:
            continue
        said = found[kind]
        told.add(kind)
        if kind == "subsystem":
            facts["subsystem_vendor_id"], facts["subsystem_device_id"] = said.lower().split(":")
        elif kind == "driver":
            facts["driver"] = UNTOLD if first + at in text.cut and _may_go_on(said, text) else driver_of(said)
        elif kind == "driver_override":
            facts["driver_override"] = said
        elif kind == "group" and first + at not in text.cut:
            facts["group"] = int(said)
        elif kind == "below":
            below = said
            facts["header_type"] = 2 if facts.get("class_code", "").startswith("0607") else 1
        elif kind == "port":
            facts["pcie_type"] = _PORT_TYPES[said]
        elif kind == "dump":
            dump, bus = of_config(_dumped(details[at:]))
            below = below or bus
            # Words take precedence over a dump, except for the class, which a dump shows in full.
            facts.update({**dump, **facts, "class_code": dump["class_code"]} if dump else {})
    damaged = "\n".join([line for line, found in zip(details, own, strict=False) if found is None] + [""])
    if "driver" not in told and any(word in damaged for word in _ABOUT_DRIVER):
        facts["driver"] = UNTOLD
    elif "modules" in told:
        facts.setdefault("driver", None)
    lost = "group" not in told and any(word in damaged for word in _ABOUT_GROUP)
    end = first + len(own)
    while end > first and not (_is_detail(text.lines[end - 1]) or text.lines[end - 2].rstrip().endswith(",")):
        end -= 1  # what people write below a listing, and damaged lines
    return record._replace(
        end=end,
        below=below,
        cut=record.cut or lost or "snipped" in told or len(own) < len(details),
    )


def _own(details: list[str]) -> list[re.Match[str] | None]:
    """What the lines below a function tell, up to those of another one, or of another group, whose own is damaged."""
    found: list[re.Match[str] | None] = []
    seen: set[str] = set()
    for line in details:
        match = _DETAIL.match(line)
        found.append(match)
        if match is None:
            if not line[0].isspace() and _is_heading(line):
                return found[:-1]
        elif (kind := match.lastgroup) in _ONCE:
            if kind in seen or (kind == _ONCE[0] and seen):
                return found[:-1]
            seen.add(kind)
    return found


def _may_go_on(driver: str, text: Text) -> bool:
    """Whether a driver's name at the end of a line that is cut may be the beginning of another."""
    return text.columns > 0 or any(name.startswith(driver) and name != driver for name in KNOWN)


def _goes_on(text: Text, stop: int) -> bool:
    """Whether lines of a function are missing: somebody says so, or details that name no function follow."""
    following = text.lines[stop : stop + 2]
    told = [found.lastgroup for found in map(_DETAIL.match, following) if found is not None]
    if "snipped" in told or text.kinds[stop : stop + 2] not in ([None, None], [BOUNDARY, None]):
        return "snipped" in told
    return bool(told) or (following[1][:1].isspace() and following[1].strip() != "")


def _is_heading(line: str) -> bool:
    """Whether a line that is not indented begins something else: as headings of groups do, or with a class."""
    return _NUMBERED.match(line) is not None or (_CLASS.search(line) is not None and not _is_detail(line))


def _ends_flags(lines: list[str], at: int, first: int) -> bool:
    """Whether a line below ``first`` is the end of the flags of ``lspci -v``, and not a heading."""
    return at > first and lines[at - 1].rstrip().endswith(",") and _FLAGS_END.match(lines[at]) is not None


def _dumped(lines: list[str]) -> bytes:
    """Configuration space as ``-x`` to ``-xxxx`` print it: ``00: 86 80 01 19 ...``."""
    data = bytearray()
    for row in map(_ROW.match, lines):
        if row is None or int(row[1], 16) != len(data):
            break
        data += bytes.fromhex(row[2])
    return bytes(data)


IMPORTER = Importer(
    name=NAME,
    example="01:00.0 VGA compatible controller [0300]: NVIDIA Corporation ... [10de:2204]",
    opens=rf'{_MARKS}{_PATH}[ \t]+(?:"|(?:- )?[A-Z0-9][^\n]{{0,120}}?(?:: ?\S|\[[0-9a-f]{{4}}\](?: \S|: *$)))'
    rf"|\s*{IDS}\s+(?:\[R\]\s+)?{BDF}\s",
    read=_read_line,
    once=True,
    ascends=True,
)
