"""Archives of a recorded machine, and compressed listings. Nothing of it is trusted: neither names, links nor sizes."""

import bz2
import io
import lzma
import os
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

from iommutui.core.errors import SourceError

_MOST = 1 << 26
"""Bytes that are unpacked, of all members together."""
_MEMBERS = 400_000
_ATTRIBUTE = 1 << 22
"""Bytes of the largest member that is of use, which is ``modules.alias``."""

_ERRORS = (tarfile.TarError, OSError, EOFError, zlib.error, lzma.LZMAError, ValueError)
_REMEDY = "Make the archive again, or give the directory that it was made of."


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


@contextmanager
def unpacked(data: bytes, name: str) -> Iterator[str]:
    """The directory in an archive that holds a recorded machine, for as long as it is looked at."""
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
            continue  # a link out of the archive, or a device node: no attribute is one


def _root(place: str, name: str) -> str:
    for root, folders, _ in os.walk(place):
        if "sys" in folders and os.path.isdir(f"{root}/sys/bus/pci"):
            return root
        if os.path.isdir(f"{root}/bus/pci"):
            return root
        if root.count("/") - place.count("/") > 3:
            folders.clear()
    raise SourceError(f"There is no sys/bus/pci in {name}.", _REMEDY)
