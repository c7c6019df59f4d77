"""The README's picture as PNG, for pages that do not show SVG. It identifies the SVG that it was made from."""

import struct
import zlib
from hashlib import sha256
from pathlib import Path

import resvg_py

_HEADER = 33
"""Bytes of the signature and of the first chunk; other chunks may follow."""

_KEYWORD = b"Source-SHA256\0"


def png_of(svg: str) -> bytes:
    """The picture, in the fonts of the machine that draws it; a text chunk has the digest of its source."""
    drawn = bytes(resvg_py.svg_to_bytes(svg_string=svg))
    text = b"tEXt" + _KEYWORD + _digest(svg)
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    return drawn[:_HEADER] + chunk + drawn[_HEADER:]


def is_of(path: Path, svg: str) -> bool:
    """Whether the file was made from this SVG. Its pixels may differ: another machine has other fonts."""
    return path.exists() and _KEYWORD + _digest(svg) in path.read_bytes()[: 2 * _HEADER + 100]


def _digest(svg: str) -> bytes:
    return sha256(svg.encode()).hexdigest().encode()
