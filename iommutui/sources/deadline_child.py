"""The child of `iommutui.sources.deadline_reader`: reads files and reports the content of each as soon as it is read.

Paths come on standard input, each ended by NUL. Standard output gets an empty record as soon as the child runs, and
one record per path in any order: its number from 0 and a blank, then ``=CONTENT``, ``-`` (absent) or ``!ERRNO``, each
ended by NUL. Run as a file, without the package, so that it starts as quickly as it can.
"""

import errno
import os
import threading
from collections.abc import Iterator

WORKERS = 16
"""Directories whose files are read at the same time, so that as many may be silent without holding up the others."""

_writing = threading.Lock()


def answer(path: bytes) -> bytes:
    """The file's content: at most a page, and without NUL."""
    try:
        file = os.open(path, os.O_RDONLY)
        try:
            return b"=" + os.read(file, 4096).replace(b"\0", b"")
        finally:
            os.close(file)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return b"-"
        return b"!" + errno.errorcode.get(error.errno or 0, "EIO").encode()


def work(directories: Iterator[dict[int, bytes]]) -> None:
    """Reads one directory after another; it ends with an error if the reader is gone."""
    for files in directories:
        for number, path in files.items():
            record = b"%d %s\0" % (number, answer(path))
            with _writing:
                os.write(1, record)


def main() -> None:
    """A worker takes all files of a device, because waiting for one means waiting for all."""
    paths = b""
    while part := os.read(0, 1 << 20):
        paths += part
    directories: dict[bytes, dict[int, bytes]] = {}
    for number, path in enumerate(paths.split(b"\0")[:-1]):
        directories.setdefault(os.path.dirname(path), {})[number] = path
    os.write(1, b"\0")
    waiting = iter(list(directories.values()))
    workers = [threading.Thread(target=work, args=(waiting,)) for _ in range(min(WORKERS, len(directories)))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


if __name__ == "__main__":
    main()
    os._exit(0)
