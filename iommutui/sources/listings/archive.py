"""Recorded machines in one file, and compressed listings. Nothing in it is trusted: no name, link or size.

A recorded tree comes as a tar archive, or as the output of the capture script (``capture.sh``), which is turned into
an archive. It is unpacked, and scanned like the machine itself.
"""

import bz2
import io
import lzma
import os
import re
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from iommutui.core.errors import SourceError
from iommutui.sources.listings.text import Text

_MOST = 1 << 26
"""The most bytes that are unpacked from all members together."""
_MEMBERS = 400_000
_ATTRIBUTE = 1 << 22
"""Bytes of the largest member that is of use, which is ``modules.alias``."""

_ERRORS = (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError, ValueError)
_REMEDY = "Make the archive again, or give the directory that it was made of."

_CAPTURE = re.compile(r"^iommutui-capture (\d+)\s*$", re.MULTILINE)
_DIRECTORY = re.compile(r"\[((?:sys|proc|lib|usr|run)(?:/[^/\0]+)*)\]$")
_ENTRY = re.compile(r"((?:[\w.:+@-]+/)*[\w.:+@-]+)(=|>|/$|%\d{1,4}:)(.*)$")
_BYTES = re.compile(r"(?:[0-9a-f]{2}){1,64}")
_CONFIG = 4096


def plain(data: bytes, name: str) -> bytes:
    """The content of a compressed file (gzip, bzip2, xz); any other as it is."""
    for magic, make in (
        (b"\x1f\x8b", lambda: zlib.decompressobj(wbits=31)),
        (b"BZh", bz2.BZ2Decompressor),
        (b"\xfd7zXZ\x00", lzma.LZMADecompressor),
    ):
        if data.startswith(magic):
            try:
                content: bytes = make().decompress(data, _MOST + 1)
            except _ERRORS:
                raise SourceError(f"{name} is compressed, and damaged.", "Copy it again.") from None
            if len(content) > _MOST:
                raise SourceError(f"{name} unpacks to more than {_MOST >> 20} MiB.", _REMEDY)
            return content
    return data


def is_tar(data: bytes) -> bool:
    """Whether it is an archive, compressed or not: by its content."""
    try:
        return tarfile.is_tarfile(io.BytesIO(data))
    except _ERRORS:
        return False


def tar_of_capture(content: str, name: str) -> bytes | None:
    """An archive from the output of the capture script, after any text above it; None for any other text."""
    if "iommutui-capture " not in content or _CAPTURE.search(content) is None:
        return None
    text = Text(content)
    start = _CAPTURE.search(text.whole)
    if start is None or start[1] != "1":
        raise SourceError(f"{name} was printed by another version of the script.", "Update iommutui.")
    folder = ""
    files: dict[str, bytearray] = {}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for line in text.lines[text.line_at(start.start()) + 1 :]:
            if (directory := _DIRECTORY.match(line)) is not None:
                folder = directory[1]
                archive.addfile(_member(folder, tarfile.DIRTYPE))
            elif folder and (entry := _ENTRY.match(line)) is not None:
                path, kind, rest = f"{folder}/{entry[1]}", entry[2], entry[3]
                if kind == ">":
                    archive.addfile(_member(path, tarfile.SYMTYPE, linkname=rest))
                elif kind == "/":
                    archive.addfile(_member(path, tarfile.DIRTYPE))
                elif kind == "=":
                    files.setdefault(path, bytearray()).extend(f"{rest}\n".encode())
                elif _BYTES.fullmatch(rest) and (offset := int(kind[1:-1])) < _CONFIG:
                    before = files.setdefault(path, bytearray()).ljust(offset, b"\0")
                    files[path] = before[:offset] + bytes.fromhex(rest) + before[offset + len(rest) // 2 :]
        for path, data in files.items():
            archive.addfile(_member(path, tarfile.REGTYPE, size=len(data)), io.BytesIO(data))
    return packed.getvalue()


def _member(path: str, kind: bytes, size: int = 0, linkname: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(path)
    member.type, member.size, member.linkname = kind, size, linkname
    return member


@contextmanager
def unpacked(data: bytes, name: str) -> Iterator[str]:
    """The directory in an archive that holds a recorded machine, while it is in use."""
    with TemporaryDirectory(prefix="iommutui-") as place:
        try:
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                _extract(archive, place, name)
        except _ERRORS as error:
            raise SourceError(f"{name} cannot be unpacked: {error}.", _REMEDY) from None
        yield _root(place, name)


def _extract(archive: tarfile.TarFile, place: str, name: str) -> None:
    left = _MOST
    for count, member in enumerate(archive):
        left -= member.size if member.isreg() else 0
        if left < 0 or count > _MEMBERS:
            raise SourceError(
                f"{name} is larger than a machine's sysfs can be.", "Record only sys/bus/pci and the like."
            )
        if member.isreg() and member.size > _ATTRIBUTE:
            continue
        member.mode = 0o755 if member.isdir() else 0o644
        try:
            archive.extract(member, place, filter="data", set_attrs=False)
        except (tarfile.FilterError, FileExistsError, NotADirectoryError, IsADirectoryError):
            continue  # a link out of the archive, or a device node: not an attribute


def _root(place: str, name: str) -> str:
    for root, folders, _ in os.walk(place):
        if os.path.isdir(f"{root}/sys/bus/pci") or os.path.isdir(f"{root}/bus/pci"):
            return root
        if root.count("/") - place.count("/") > 3:
            folders.clear()
    raise SourceError(f"There is no sys/bus/pci in {name}.", _REMEDY)
