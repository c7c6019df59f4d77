"""A pasted error message: several lines, log prefixes, quotes, wrapping, numbers for errnos.

Patterns are compared with the text in lower case, without spaces and quotes, so that no wrapping matters.
"""

import re
from errno import errorcode
from functools import cache
from os import strerror
from typing import NamedTuple

from iommutui.core.address import Address, parse_pci

_NUMBERS = (1, 2, 5, 11, 12, 13, 14, 16, 17, 19, 22, 25, 28, 30, 34)
_PHRASES = {errorcode[number]: strerror(number).lower() for number in _NUMBERS}
"""The words of the errnos that these messages end with, by name."""

_SYMBOL = re.compile(rf"\b(?:{'|'.join(_PHRASES)})\b")
_BEFORE = r"errno[ =]|os error |os ?\{ ?code: ?|error[ :]*-|= ?-|error\(|ret(?:urned|val)?[ :=]*-"
_NUMBER = re.compile(rf"(?:{_BEFORE})(\d{{1,2}})\b")
_STAMPS = r"\[ *\d+\.\d{6}\]|\w{3} +\d+ \d\d:\d\d:\d\d [\w.-]+ [\w./-]+(?:\[\d+\])?:|\d{4}-\d\d-\d\d[t ][\d:.,]+\S*|>"
_PREFIX = re.compile(rf"\s*(?:(?:{_STAMPS})\s*)*")
_QUOTES = str.maketrans("", "", "'\"`\\\u2018\u2019\u201c\u201d\u00b4")

_PCI = r"(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7]"
_ADDRESS = re.compile(rf"(?<![\w:.])(?:{_PCI}|pci_[0-9a-f]{{4}}_[0-9a-f_]{{6}}[0-7])(?![0-9a-f]|/{_PCI})")
_XML = re.compile(r"domain=0x([0-9a-f]{4}) bus=0x([0-9a-f]{2}) slot=0x([01][0-9a-f]) function=0x([0-7])")
_SLOT = re.compile(r"\bpci:([0-9a-f]{4,8}:[0-9a-f]{2}:[01][0-9a-f])(?![.\w])")
_GROUP = re.compile(r"(?:group:? +(?:id )?|/dev/vfio/(?:noiommu-)?|iommu_groups/|opengroup\(.{1,150}, ?)(\d+)\b")
_FILE = re.compile(r"(?<![\w-])([\w-]{1,60})/(?:bind|unbind|new_id|remove_id)\b")
_DRIVER = re.compile(r"(?:to|with|by|kernel) driver:? ([\w-]+)|\bto (vfio-pci|pci-stub)\b")


class Paste(NamedTuple):
    """A pasted text and the names found in it. Positions are those of ``squeezed``."""

    plain: str
    """One line in lower case, without prefixes and quotes; each errno is followed by its phrase."""
    squeezed: str
    """The same without spaces."""
    addresses: tuple[tuple[int, Address], ...]
    group: int | None
    driver: str | None
    """The driver whose file or name is in the text."""

    def address_at(self, start: int, end: int) -> Address | None:
        """The address that a message between these positions is about: in it, else the last before, else the next."""
        inside = [address for place, address in self.addresses if start <= place < end]
        before = [address for place, address in self.addresses if place < start]
        after = [address for place, address in self.addresses if place >= end]
        return next(iter([*inside, *reversed(before), *after]), None)

    def errno_at(self, start: int) -> str | None:
        """The first errno from a position on; else the first of all."""
        for text in (self.squeezed[start:], self.squeezed):
            found = [(place, name) for name, phrase in _PHRASES.items() if (place := text.find(squeeze(phrase))) >= 0]
            if found:
                return min(found)[1]
        return None


LIMIT = 100_000
"""How many characters of a text are read, from its end: a whole log would take seconds, and errors come last."""


def read(text: str) -> Paste:
    """The names found in a text."""
    text = _SYMBOL.sub(lambda found: f"{found[0]} {_PHRASES[found[0]]}", text[-LIMIT:]).lower().translate(_QUOTES)
    joined = " ".join(" ".join(_PREFIX.sub("", line, count=1) for line in text.splitlines()).split())
    plain = _NUMBER.sub(lambda found: f"{found[0]} {_PHRASES.get(errorcode.get(int(found[1]), ''), '')}", joined)
    found = [(match.start(), parse_pci(match[0])) for match in _ADDRESS.finditer(plain)]
    found += [(m.start(), parse_pci(f"{m[1]}:{m[2]}:{m[3]}.{m[4]}")) for m in _XML.finditer(plain)]
    found += [(match.start(), parse_pci(f"{match[1]}.0")) for match in _SLOT.finditer(plain)]
    addresses, count, last = [], 0, 0
    for place, address in sorted((place, address) for place, address in found if address is not None):
        count, last = count + len(squeeze(plain[last:place])), place
        addresses.append((count, address))
    group, named = _GROUP.search(plain), _DRIVER.search(plain)
    file = next((match[1] for match in _FILE.finditer(plain) if match[1] != "driver"), None)
    driver = file or (named[1] or named[2] if named else None)
    return Paste(plain, squeeze(plain), tuple(addresses), int(group[1]) if group else None, driver)


def squeeze(text: str) -> str:
    """Lower case, without spaces and quotes."""
    return "".join(text.lower().translate(_QUOTES).split())


_ANY_ERRNO = "|".join(re.escape(squeeze(phrase)) for phrase in _PHRASES.values())
_TOKENS = {"*": r".{0,200}?", "#": r"(?:0x)?[0-9a-f]{1,20}", "@": _PCI, "!": f"(?:{_ANY_ERRNO})"}


@cache
def pattern(text: str) -> tuple[re.Pattern[str], int]:
    """A pattern of a table, and how specific it is: the number of its literal characters.

    ``*`` stands for up to 200 characters, ``#`` for a number, ``@`` for a PCI address, ``!`` for any errno in words,
    ``<name>`` for a word to keep.
    """
    parts = [part for part in re.split(r"([*#@!]|<\w+>)", text) if part]
    named = [rf"(?=[\d.-]*[a-z_])(?P{part}[\w.-]{{1,40}}?)" if re.fullmatch(r"<\w+>", part) else "" for part in parts]
    built = [_TOKENS.get(part) or name or re.escape(squeeze(part)) for part, name in zip(parts, named, strict=True)]
    literal = sum(len(squeeze(p)) for p, name in zip(parts, named, strict=True) if not name and p not in _TOKENS)
    return re.compile("".join(built)), literal
