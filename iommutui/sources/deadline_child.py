"""The child of `iommutui.sources.deadline_reader`: reads files one after the other and says what each holds, at once.

Paths come on standard input, each ended by NUL. Standard output gets an empty record as soon as the child runs, and
one record a path in the same order: ``=CONTENT``, ``-`` (absent) or ``!ERRNO``, each ended by NUL. Run as a file,
without the package, so that it starts as quickly as it can.
"""

import errno
import os


def record(path: bytes) -> bytes:
    """What the file holds; never more than a page, and never a NUL."""
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


def main() -> None:
    """Reads until the paths end or nobody listens any more."""
    paths = b""
    while part := os.read(0, 1 << 20):
        paths += part
    try:
        os.write(1, b"\0")
        for path in paths.split(b"\0")[:-1]:
            os.write(1, record(path) + b"\0")
    except BrokenPipeError:
        pass


if __name__ == "__main__":
    main()
    os._exit(0)
