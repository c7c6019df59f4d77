"""What people paste around a listing: the kernel's release, its command line, the processor's maker."""

import re

from iommutui.sources.listings.base import Importer, Piece, Taken, Text

NAME = "system"

_LABEL = r"(?:[-*] )?\**"
"""What may stand before a label: the marks of a list, or of bold text."""
_KERNEL = rf"(?:Linux (?!version)\S{{1,64}} |{_LABEL}(?:Host )?[Kk]ernel(?: release| version)?:?\**:? *`?)"
_COMMAND = rf"{_LABEL}(?:Kernel )?[Cc]ommand line:\**:? *"
_MAKER = rf"{_LABEL}(?:vendor_id|Vendor ID|Processor|CPU)\s*:\**\s*`?((?:Genuine|Authentic|Hygon|ARM|Centaur)\w*)`?\s*$"

_RELEASE = re.compile(rf"\s*{_KERNEL}?(\d+\.\d+[^\s`,]*)")
_CMDLINE = re.compile(rf"\s*(?:{_COMMAND}`?)?([^`]*?)`?\s*$")
_VENDOR = re.compile(rf"\s*{_MAKER}")


def read(text: Text, at: int) -> Piece:
    """The one line. A bare number is a kernel's release below ``uname -r`` only."""
    line = text.lines.all[at]
    taken = (Taken(at, at + 1, "system: the machine itself"),)
    if (vendor := _VENDOR.match(line)) is not None:
        return Piece(at + 1, taken=taken, cpu_vendor=vendor[1])
    if (release := _RELEASE.match(line)) is not None:
        bare = release.start(1) == len(line) - len(line.lstrip())
        asked = not bare or (at > 0 and "uname" in text.lines.all[at - 1])
        return Piece(at + 1, taken=taken if asked else (), kernel=release[1] if asked else None)
    cmdline = _CMDLINE.match(line)
    return Piece(at + 1, taken=taken, cmdline=cmdline[1].strip() if cmdline is not None else None)


IMPORTER = Importer(
    name=NAME,
    example="Linux host 6.8.0-49-generic (uname -a), BOOT_IMAGE=/boot/vmlinuz root=... (cat /proc/cmdline)",
    opens=rf"(?=[ \t]*[-*LKkHCcBirqvVP\d])\s*(?:{_KERNEL}\d+\.\d|\d+\.\d+\.\d+[-+.~\w]*\s*$|{_COMMAND}`\S|{_MAKER}"
    rf"|(?:{_COMMAND}`?)?(?:BOOT_IMAGE=|initrd=\S|root=\S|(?:ro|rw|quiet) \S*=))",
    score=4,
    read=read,
    needs=("Linux ", "ernel", "oot=", "BOOT_IMAGE=", "initrd=", "endor", "Processor", "uname"),
)
