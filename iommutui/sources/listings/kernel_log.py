"""The kernel's log: ``pci 0000:00:01.0: Adding to iommu group 0``; before 5.1 ``Adding device ... to group 5``.

Functions are named with ids, class and header type while they are enumerated (``pci_setup_device``). A log may hold
several boots, each with groups of its own; what was removed later is listed as it was.
"""

import re

from iommutui.core.address import parse_pci
from iommutui.sources.listings.base import Facts, Importer, Piece, Sighting, Taken, Text

NAME = "kernel log"

_ANY = r"[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[01][0-9a-fA-F]\.[0-7]"
_LINE = re.compile(
    rf"(?P<address>{_ANY})(?::? (?:Adding to iommu|to) group (?P<group>\d{{1,9}})"
    r"|:? (?P<gone>Removing from|from) (?:iommu )?group"
    r"|: \[(?P<vendor>[0-9a-f]{4}):(?P<product>[0-9a-f]{4})\]"
    r" type (?P<header>[0-9a-f]{2}) class (?:0x)?(?P<code>[0-9a-f]{6})"
    r"|: PCI bridge to \[bus (?P<bus>[0-9a-f]{2}))"
    r"|[Cc]ommand line: (?P<cmdline>\S.*?)\s*$"
    r"|Linux version (?P<version>\d\S{0,100})"
)
_BOOT = re.compile(r"Linux version \d|(?<!Kernel )[Cc]ommand line: ")


def read(text: Text, at: int) -> Piece:
    """The log of one boot, with whatever else stands between its lines."""
    lines, kinds = text.lines.all, text.kinds
    found: list[Sighting] = []
    groups: dict[str, Sighting] = {}
    removed: set[str] = set()
    taken: list[Taken] = []
    kernel = cmdline = None
    end = at
    while end < len(lines) and kinds[end] in (NAME, None):
        match = _LINE.search(lines[end]) if kinds[end] == NAME else None
        if match is not None:
            kind, address = match.lastgroup, parse_pci(match["address"] or "")
            group = int(match["group"] or -1)
            before = groups.get(address or "")
            other = group >= 0 and before is not None and before.facts["group"] != group and address not in removed
            if (found or groups) and (other or _BOOT.search(lines[end])):
                break
            if address is None:
                cmdline, kernel = cmdline or match["cmdline"], kernel or match["version"]
            elif kind == "group":
                groups[address] = Sighting(end, address, {"group": group})
            elif kind == "gone":
                removed.add(address)
            elif kind == "bus":
                found.append(Sighting(end, address, {}, below=f"{address.partition(':')[0]}:{match['bus']}"))
            else:
                found.append(Sighting(end, address, _enumerated(match)))
            taken.append(Taken(end, end + 1, f"kernel log: {address or 'the kernel'}"))
        end += 1
    return Piece(max(end, at + 1), (*found, *groups.values()), tuple(taken), kernel=kernel, cmdline=cmdline)


def _enumerated(match: re.Match[str]) -> Facts:
    kind = int(match["header"], 16) & 0x7F
    return {
        "vendor_id": match["vendor"],
        "device_id": match["product"],
        "class_code": match["code"],
        "header_type": kind,
    }


IMPORTER = Importer(
    name=NAME,
    example="[    0.476185] pci 0000:00:01.0: Adding to iommu group 0",
    # From colon to colon: every address and nearly every line of interest has one in front.
    opens=r"(?:[^:\n]*+:){0,9}?(?:[01][0-9a-fA-F]\.[0-7]"
    r"(?::? (?:Adding to|Removing from|to group|from (?:iommu )?group) |: PCI bridge to |: \[[0-9a-f:]{9}\] type )"
    r"|(?<=ommand line:) \S| ?(?:\[[^\]\n]{0,40}\] )?Linux version \d)",
    score=3,
    read=read,
    needs=("iommu group", "to group", " type ", "ommand line: ", "Linux version "),
)
