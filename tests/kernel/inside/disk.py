"""Use the NVMe disk of the topology ``gpu``: a mounted file system, swap."""

import fcntl
import os
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

DISK = "0000:03:00.0"
NODE = "/dev/nvme0n1"
BLKBSZSET = 0x4008_1271


def run(*words: str) -> None:
    """Run a program that has to succeed."""
    subprocess.run(words, check=True, capture_output=True)


@contextmanager
def written(image: Path, block_size: int) -> Iterator[None]:
    """Give the disk the content of an image until this ends.

    The disk has no storage, so its content is what Linux has cached: as long as a process has the disk open and
    nobody changes the size of its blocks.
    """
    held = os.open(NODE, os.O_RDWR)
    try:
        fcntl.ioctl(held, BLKBSZSET, struct.pack("q", block_size))
        os.pwrite(held, image.read_bytes(), 0)
        yield
    finally:
        os.close(held)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A file of a few MiB."""
    path = tmp_path / "image"
    path.write_bytes(bytes(4 << 20))
    return path


@pytest.fixture
def mounted(tmp_path: Path, image: Path) -> Iterator[Path]:
    """A mounted file system on the disk."""
    run("mke2fs", "-q", "-F", "-b", "1024", "-O", "^has_journal", str(image))
    point = tmp_path / "my files"
    point.mkdir()
    with written(image, 1024):
        run("mount", "-t", "ext4", "-o", "ro", NODE, str(point))
        yield point
        run("umount", str(point))


@pytest.fixture
def swap(image: Path) -> Iterator[None]:
    """Swap on the disk."""
    run("mkswap", str(image))
    with written(image, 4096):
        run("swapon", NODE)
        yield
        run("swapoff", NODE)
