"""The parts of a kernel's release and command line that rules depend on."""

from typing import NamedTuple


class Version(NamedTuple):
    """Major and minor number of a release: ``6.1.0-56-amd64`` -> ``Version(6, 1)``."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


def parse_release(release: str | None) -> Version | None:
    """The version in what ``uname -r`` prints, or None if there is none."""
    major, _, rest = (release or "").partition(".")
    minor = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    return Version(int(major), int(minor)) if major.isdecimal() and minor else None


def parameter(cmdline: str | None, name: str) -> str | None:
    """The last value that the command line gives a parameter, whose name is written with ``_`` for ``-``."""
    words = [word.partition("=") for word in (cmdline or "").split()]
    return next((value for key, _, value in reversed(words) if key.replace("-", "_") == name), None)
