"""Kernel releases, as far as rules depend on them."""

import re
from typing import NamedTuple

_RELEASE = re.compile(r"(\d+)\.(\d+)")


class Version(NamedTuple):
    """Major and minor number of a release: ``6.1.0-56-amd64`` -> ``Version(6, 1)``."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


def parse_release(release: str | None) -> Version | None:
    """The version in what ``uname -r`` prints, or None where there is none."""
    match = _RELEASE.match(release or "")
    return Version(int(match.group(1)), int(match.group(2))) if match else None
