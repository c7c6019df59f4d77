"""The kernel's own output: its log, paths of sysfs, and lines about the machine around listings."""

import re

from iommutui.core.address import Address, parse_pci
from iommutui.sources.listings.base import FULL, Facts, Importer, Read, Record
from iommutui.sources.listings.text import Text

_ENTRY = re.compile(
    rf"(?P<device>ing device )?(?P<address>{FULL})(?:(?(device) to|:? Adding to iommu) group (?P<group>\d{{1,9}})"
    r"|(?P<gone>(?(device) from|:? Removing from)) (?:iommu )?group"
    r"|: \[(?P<vendor>[0-9a-f]{4}):(?P<product>[0-9a-f]{4})\]"
    r" type (?P<header>[0-9a-f]{2}) class(?: (?:0x)?(?P<code>[0-9a-f]{6}))?"
    r"|: PCI bridge to \[bus (?P<bus>[0-9a-f]{2}))"
    r"|[Cc]ommand line: (?P<cmdline>\S.*?)\s*$"
    r"|Linux version (?P<kernel>\d\S{0,100})"
)
_BOOT = re.compile(r"Linux version \d|(?<!Kernel )[Cc]ommand line: ")


def _read_log(text: Text, at: int) -> Read:
    """The log of one boot, with any other text between its lines.

    Functions are named with ids, class and header type while they are enumerated (``pci_setup_device``), and once more
    when they are added to a group. The group of a function that was removed is unknown, until it comes back.
    """
    records: list[Record] = []
    groups: dict[Address, Facts] = {}
    named = False
    while at < len(text.lines) and text.kinds[at] in (LOG.name, None):
        for entry in _ENTRY.finditer(text.lines[at]) if text.kinds[at] == LOG.name else ():
            address = parse_pci(entry["address"] or "")
            record = Record(at, at + 1, address, {}, what="" if address else "the kernel")
            before = groups.get(address, {}).get("group") if address and entry["group"] else None
            other = before is not None and before != int(entry["group"])
            if named and (other or _BOOT.search(entry[0])):
                return records, max(at, records[-1].end)
            if address is None:
                field = "cmdline" if entry["cmdline"] else "kernel"
                record = record._replace(machine=(field, entry[field]))
            elif entry["group"]:
                groups[address] = record.facts
                record.facts["group"] = int(entry["group"])
            elif entry["gone"]:
                groups.pop(address, {}).pop("group", None)
            elif entry["bus"]:
                record = record._replace(below=entry["bus"])
            else:
                record.facts["vendor_id"], record.facts["device_id"] = entry["vendor"], entry["product"]
                record.facts["header_type"] = int(entry["header"], 16) & 0x7F
                if entry["code"]:
                    record.facts["class_code"] = entry["code"]
            records.append(record)
            named = named or address is not None
        at += 1
    return records, at


LOG = Importer(
    name="dmesg",
    example="[    0.476185] pci 0000:00:01.0: Adding to iommu group 0",
    # From colon to colon: every address and nearly every line of interest has one in front.
    opens=r"(?:[^:\n]*+:){0,9}?(?:[01][0-9a-fA-F]\.[0-7]"
    r"(?::? (?:Adding to|Removing from|to group|from (?:iommu )?group) |: PCI bridge to |: \[[0-9a-f:]{9}\] type )"
    r"|(?<=ommand line:) \S| ?(?:\[[^\]\n]{0,40}\] )?Linux version \d)",
    read=_read_log,
    needs=("iommu group", "to group", " type ", "ommand line: ", "Linux version "),
)

_PAIR = re.compile(
    rf"iommu_groups/(\d{{1,9}})/devices/({FULL})|({FULL})/iommu_group\b.*?iommu_groups/(\d{{1,9}})"
    rf"|({FULL}) \(IOMMU group (\d{{1,9}})\)"
)
_PLACE = re.compile(r"iommu_groups(?:/(\d{1,9})(?:/devices)?)?/?:?\s*$")
_BRANCH = re.compile(r"[\s│|]*[├└|`+]?[─-]+ ?(\d{1,9})/?\s*$")
_NAMES = re.compile(
    rf"(?:[\s│├└─|`+-]|devices|[a-z-]{{10}}\S?\s.*?\s(?={FULL}))*({FULL})(?:\s+->\s.*|((?:\s+{FULL})*))\s*$"
)
_NOTHING = re.compile(r"[\s│|├└─`+-]*(?:devices|reserved_regions|type|name|[^\W\d]+ \d+|d[rwx-]{9}.* \.\.?)?\s*$")


def _read_paths(text: Text, at: int) -> Read:
    """Lines up to the first that is neither a path nor a name in the directory named above it.

    The output of ``find``, ``ls``, ``tree`` and ``readlink``: groups and addresses, and nothing else.
    """
    records: list[Record] = []
    group: int | None = None
    end = at
    for line in text.lines[at:]:
        members: list[tuple[str, str | int]] = []
        if pairs := _PAIR.findall(line):
            members = [(b or c or e, a or d or f) for a, b, c, d, e, f in pairs]
        elif (place := _PLACE.search(line)) is not None and text.kinds[end] == PATHS.name:
            group = int(place[1]) if place[1] else None
        elif (branch := _BRANCH.match(line)) is not None:
            group = int(branch[1])
        elif group is not None and (names := _NAMES.match(line)) is not None:
            members = [(address, group) for address in (names[1], *(names[2] or "").split())]
        elif not _NOTHING.match(line):
            break
        records += [Record(end, end + 1, parse_pci(address), {"group": int(number)}) for address, number in members]
        if line.strip() and not members:
            records.append(Record(end, end + 1, what="a directory" if group is None else f"group {group}"))
        end += 1
    return records, max(end, at + 1)


PATHS = Importer(
    name="paths",
    example="/sys/kernel/iommu_groups/9/devices/0000:00:14.2",
    opens=r"[^\n]{0,300}?iommu_groups(?:/\d{1,9}(?:/devices)?)?(?:/[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:|/?:?\s*$)"
    rf"|[^\n]{{0,80}}?{FULL} \(IOMMU group \d",
    read=_read_paths,
    needs=("iommu_groups", "(IOMMU group "),
)

_LABEL = r"(?:[-*] )?\**"
"""What may stand before a label: the marks of a list, or of bold text."""
_COMMAND = rf"{_LABEL}(?:Kernel )?[Cc]ommand line:\**:? *"
_TOLD = (
    r"(?=[ \t]*(?:[-*\d]|Linux|Host|[Kk]ernel(?! [dm])|[Vv]endor|Processor|CPU|[Cc]ommand|BOOT_|initrd|r[ow]|quiet))"
    r"\s*(?:"
    rf"(?:Linux (?!version)\S{{1,64}} |{_LABEL}(?:Host )?[Kk]ernel(?: release| [Vv]ersion)?\**[ \t]*"
    r"(?::\**[ \t]*`?(?:x86_64 )?(?:Linux )?|`?(?=\S++[ \t]*(?:$|[(#]|x86_64|aarch64|SMP))))"
    r"(?P<kernel>\d++\.\d[^\s`,?]*+)(?! ->)|(?P<bare>\d+\.\d+\.\d+[-+.~\w]*)\s*$"
    rf"|{_LABEL}(?:vendor_id|Vendor ID|Processor|CPU)\s*:\**\s*`?"
    r"(?P<cpu_vendor>(?:Genuine|Authentic|Hygon|ARM|Centaur)\w*)`?\s*$"
    rf"|{_COMMAND}`(?P<quoted>\S[^`]*)"
    rf"|(?:{_COMMAND}`?)?(?P<cmdline>(?:BOOT_IMAGE=|initrd=\S|root=\S|(?:ro|rw|quiet) \S*=)[^`]*))"
)
_MACHINE = re.compile(_TOLD)


def _read_machine(text: Text, at: int) -> Read:
    """One line of the text that people paste around a listing. A bare number is a release below ``uname -r`` only."""
    found = _MACHINE.match(text.lines[at])
    if found is None or (found["bare"] and (at == 0 or "uname" not in text.lines[at - 1])):
        return [], at + 1
    field = {"bare": "kernel", "quoted": "cmdline"}.get(found.lastgroup or "", found.lastgroup or "")
    told = (field, found[found.lastgroup or 0].strip())
    return [Record(at, at + 1, what="the machine itself", machine=told)], at + 1


SYSTEM = Importer(
    name="system",
    example="Linux host 6.8.0-49-generic (uname -a), BOOT_IMAGE=/boot/vmlinuz root=... (cat /proc/cmdline)",
    opens=_TOLD,
    read=_read_machine,
)
