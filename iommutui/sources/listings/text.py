"""Turns pasted bytes into clean lines, undoing the marks of terminals, editors, mail programs and forums."""

import codecs
import html
import quopri
import re
from bisect import bisect_right
from functools import cached_property
from itertools import accumulate, pairwise
from textwrap import dedent

BDF = r"(?:[0-9a-fA-F]{4,8}:)?[0-9a-fA-F]{2}:[01][0-9a-fA-F]\.[0-7]"
"""An address, with or without its domain."""

IDS = r"\[([0-9a-fA-F]{4}):([0-9a-fA-F]{4})\]"

_BYTE_ORDER = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

_ANSI = re.compile(r"\x1b(?:\[[0-9;:?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
_CLEAN: dict[int, int | str | None] = {
    **dict.fromkeys((*range(9), *range(0x0E, 0x20), 0x7F, 0xAD, *range(0x200B, 0x2010), 0x2060, 0xFEFF)),
    **dict.fromkeys((0x0B, 0x0C, 0x85, 0xA0, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x3000), " "),
    **str.maketrans("\u201c\u201d\u201e\u2018\u2019\u201a\u2010\u2011\u2012\u2013", "\"\"\"'''----"),
}
"""Invisible characters are removed; blanks, and the quotation marks and hyphens of word processors, are plain ones."""
_QUOTED = re.compile(r"[ \t]*(?:>[ \t]?)+(?=[^\s>])|[ \t]*>[> ]*(?=[ \t]|$)")
_PRINTABLE = re.compile(r"=(?:3D|C[23]=|E2=)")
_EQUALS = re.compile(r"=(?![0-9A-F]{2}|\n)")
_ENCODED = re.compile(r"^content-transfer-encoding:[ \t]*quoted-printable", re.IGNORECASE | re.MULTILINE)
"""Quoted-printable: a head says so, or there are more codes than other signs of equality."""
_BBCODE = r"\[/?(?i:code|quote|spoiler)\b[^\]\n]{0,80}\]"
_BLOCKS = rf"(?:(?:</?(?:br|div|li|ol|p|pre|table|tr|ul)\b[^<>\n]{{0,200}}>|{_BBCODE})[ \t]*)+"
_BLOCKS_FIRST = re.compile(f"^{_BLOCKS}", re.MULTILINE)
_BLOCKS_BETWEEN = re.compile(f"{_BLOCKS}\n?")
_TAG = re.compile(r"</?(?:a|b|code|em|font|i|span|strong|td)\b[^<>\n]{0,200}>")
_ENTITY = re.compile(r"&(?:[a-z]{2,8}|#\d{2,5});")
_BOLD = re.compile(r"(?<![^\s(|>-])\*\*([^\s*/](?:[^\n*]*[^\s*])?)\*\*(?![\w/])")
_ESCAPED = re.compile(r"\\([\[\]()_*#`<>~|.-])")
_FUNCTION = r"(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7] [A-Z][^\n\[:]{2,60} \[[0-9a-f]{4}\]: "
_RUN_TOGETHER, _WITH_GROUP_BEHIND = (
    re.compile(rf"({IDS}(?: \(rev [0-9a-f]{{2}}\))?)(?:[ \t]|\\[nt])*(?={_FUNCTION}|IOMMU [Gg]roup \d{end})")
    for end in ("", r"{1,9}:?[ \t]+\S")
)
_GROUP_ALONE = re.compile(r"^[^\w\n]*IOMMU [Gg]roup \d{1,9}:?[ \t]*$", re.MULTILINE)
"""Lines that run together; a group at the end of a line is its own where no line is the heading of one."""
_GLUED = re.compile(rf"IOMMU (?<=\w.{{6}})(?=[Gg]roup +\d{{1,9}}:? +{_FUNCTION})")
"""A line that begins where the one before breaks off."""
_HEADING = re.compile(rf"(IOMMU [Gg]roup +\d+:)[ \t]+(?={_FUNCTION})")
_NUMBER = re.compile(
    r" *([1-9]\d{0,5})(?:[:.|)] ?|\t|(?= ))(?![01][0-9a-f]\.[0-7]| ?(?:[0-9a-f]{2} ){4}|(?<=\d{4}:)[0-9a-f]{2}:)"
)
"""The number of a line, and not a bus, the offset of a dump, or a domain."""
_WRAPPED_GROUP = re.compile(r"IOMMU((?: group)?)[ \t]*\n[ \t]*(?=(?:group )?\d{1,9}[ \t]*$)", re.MULTILINE)
"""The end of the flags of ``lspci -v``, broken within its last words."""
_SAMPLE = 500
"""Lines of which none has a number, if most of the text have none."""
_ENDS = 4
"""How many different ends the longest lines have where they have been cut: lines of functions, and others."""
_HEAD = re.compile(rf"\W*{BDF}\s|\W*IOMMU Group")
_LONGEST = 1 << 14
"""The most characters of a line that is read; only structured formats have longer ones, and are read as a whole."""


def decode(data: bytes) -> str:
    """The decoded text: by its byte order mark, else UTF-16 by its zeros, UTF-8, or Windows-1252."""
    for mark, encoding in _BYTE_ORDER:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    head = data[:4096]
    if head.count(0) > len(head) // 4:
        return data.decode("utf-16-be" if head[::2].count(0) > head[1::2].count(0) else "utf-16-le", "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        # A stray byte, as in names from hardware, or a cut line does not make it another encoding.
        wrong = data.decode("utf-8", "replace")
        many = wrong.count("\ufffd") > 20 + len(data) // 1000 or error.start == 0
        return data.decode("cp1252", "replace") if many else wrong


def _unwrapped(text: str) -> str:
    """The text without what mail (quoted-printable), web pages or Markdown put around characters and lines."""
    if _ENCODED.search(text) or len(_PRINTABLE.findall(text)) > len(_EQUALS.findall(text)):
        text = quopri.decodestring(text.encode("utf-8", "replace")).decode("utf-8", "replace")
    if any(mark in text for mark in ("</", "<br", "<pre", "[/")):
        text = _TAG.sub("", _BLOCKS_BETWEEN.sub("\n", _BLOCKS_FIRST.sub("", text)))
    if "<device>" not in text and _ENTITY.search(text) is not None:
        text = html.unescape(text)
    text = _BOLD.sub(r"\1", text) if "**" in text else text
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text


def _behind(marks: list[re.Match[str] | None], lines: list[str]) -> list[str]:
    """What is behind the marks at the beginning of lines."""
    return [line if mark is None else line[mark.end() :] for line, mark in zip(lines, marks, strict=True)]


def _unnumbered(lines: list[str]) -> list[str]:
    """Without the numbers that an editor, ``cat -n`` or ``grep -n`` put before each line: most have one, and rise."""
    if not any(map(_NUMBER.match, lines[:_SAMPLE])):
        return lines
    found = list(map(_NUMBER.match, lines))
    numbers = [int(each[1]) for each in found if each is not None]
    few = len(numbers) < max(3, sum(map(bool, lines)) // 2)
    return lines if few or any(one >= other for one, other in pairwise(numbers)) else _behind(found, lines)


class Text:
    """A text, line by line, numbered from 0 here and from 1 for people."""

    def __init__(self, content: str) -> None:
        whole = _unwrapped(content.replace("\r\n", "\n").replace("\r", "\n"))
        whole = _ANSI.sub("", whole).translate(_CLEAN)
        ended = whole.endswith("\n")
        lines = whole.removesuffix("\n").split("\n")
        if ">" in whole:
            lines = _behind(list(map(_QUOTED.match, lines)), lines)
        whole = "\n".join(_unnumbered(lines))
        if whole[:1].isspace():
            whole = dedent(whole)
        if _RUN_TOGETHER.search(whole) is not None:
            together = _RUN_TOGETHER if _GROUP_ALONE.search(whole) is not None else _WITH_GROUP_BEHIND
            whole = _HEADING.sub(r"\1\n", together.sub(r"\1\n", whole))
        if "IOMMU" in whole:
            whole = _GLUED.sub("\nIOMMU ", _WRAPPED_GROUP.sub(r"\nIOMMU\1 ", whole))
        self.whole = whole
        self.lines = [line[:_LONGEST] for line in whole.split("\n")] if whole else []
        longest = max(map(len, self.lines), default=0)
        equal = {line for line in self.lines if len(line) == longest}
        heads = sum(1 for line in equal if _HEAD.match(line) is not None)
        cropped = min(heads, len(equal) - heads) > 1 and len({line[-6:] for line in equal}) >= _ENDS
        self.columns = longest if cropped else 0
        """The length at which lines have been cut, as by the width of a terminal; 0 if they have not been."""
        self.cut = {n for n, line in enumerate(self.lines) if cropped and len(line) == longest}
        """Lines whose end may be missing: they were cut, or the text ends within them."""
        if not ended:
            self.cut.add(len(self.lines) - 1)
        self.kinds: list[str | None] = [None] * len(self.lines)
        """For each line the importer whose record it may begin."""

    @cached_property
    def starts(self) -> list[int]:
        """Where in the text each line begins."""
        return [0, *accumulate(len(line) + 1 for line in self.whole.split("\n"))]

    def line_at(self, position: int) -> int:
        """The line that a place in the text is on."""
        return min(bisect_right(self.starts, position), len(self.lines)) - 1
