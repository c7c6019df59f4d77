"""Write cpio archives in the "newc" format, which the kernel unpacks as an initramfs."""

import stat
from pathlib import Path, PurePosixPath

HEADER_SIZE = 110
TRAILER = "TRAILER!!!"


def _padded(data: bytes, before: int = 0) -> bytes:
    return data + bytes(-(before + len(data)) % 4)


class Cpio:
    """Collects members. All of them belong to root, and missing parent directories are added."""

    def __init__(self) -> None:
        """Start an empty archive."""
        self._parts: list[bytes] = []
        self._directories = {"", "."}

    def directory(self, path: str) -> None:
        """Add a directory unless it exists."""
        name = path.strip("/")
        if name not in self._directories:
            self._parents(name)
            self._directories.add(name)
            self._member(name, stat.S_IFDIR | 0o755)

    def file(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Add a regular file."""
        self._parents(path)
        self._member(path.strip("/"), stat.S_IFREG | mode, data)

    def symlink(self, path: str, target: str) -> None:
        """Add a symbolic link."""
        self._parents(path)
        self._member(path.strip("/"), stat.S_IFLNK | 0o777, target.encode())

    def character_device(self, path: str, major: int, minor: int) -> None:
        """Add a character device."""
        self._parents(path)
        self._member(path.strip("/"), stat.S_IFCHR | 0o600, device=(major, minor))

    def tree(self, source: Path, below: str) -> None:
        """Add everything in the directory ``source``, placed under ``below``."""
        self.directory(below)
        for path in sorted(source.iterdir()):
            name = f"{below}/{path.name}"
            if path.is_symlink():
                self.symlink(name, str(path.readlink()))
            elif path.is_dir():
                self.tree(path, name)
            else:
                self.file(name, path.read_bytes(), stat.S_IMODE(path.stat().st_mode))

    def to_bytes(self) -> bytes:
        """Return the finished archive."""
        return b"".join(self._parts) + self._encode(0, TRAILER, 0, b"", (0, 0))

    def _parents(self, path: str) -> None:
        self.directory(str(PurePosixPath(path.strip("/")).parent))

    def _member(self, name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> None:
        self._parts.append(self._encode(len(self._parts) + 1, name, mode, data, device))

    @staticmethod
    def _encode(inode: int, name: str, mode: int, data: bytes, device: tuple[int, int]) -> bytes:
        text = name.encode() + b"\0"
        owner, group, links, when, on_device, checksum = 0, 0, 1, 0, (0, 0), 0
        numbers = (inode, mode, owner, group, links, when, len(data), *on_device, *device, len(text), checksum)
        header = b"070701" + b"".join(b"%08x" % number for number in numbers)
        return header + _padded(text, HEADER_SIZE) + _padded(data)
