"""Debian packages of any suite, fetched by apt without touching the machine's own apt state."""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from .cache import cache_dir
from .errors import HarnessError

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SUITES_WITH_SECURITY = frozenset({"bullseye", "bookworm", "trixie"})

Result = TypeVar("Result")


@dataclass(frozen=True)
class Source:
    """One archive that the machine's apt is configured to use."""

    uri: str
    suites: tuple[str, ...]


def parse_one_line_sources(text: str) -> list[Source]:
    """Read the ``deb URI SUITE COMPONENT...`` format."""
    found = []
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[[^]]*\]\s*)?(\S+)\s+(\S+)", line)
        if match:
            found.append(Source(match[1], (match[2],)))
    return found


def parse_deb822_sources(text: str) -> list[Source]:
    """Read the stanza format of ``*.sources`` files."""
    found = []
    text = re.sub(r"^#.*\n?", "", text, flags=re.M)
    for stanza in re.split(r"\n\s*\n", text):
        folded = re.sub(r"\n[ \t]+", " ", stanza)
        fields = {key.lower(): value.split() for key, value in re.findall(r"^([\w-]+):(.*)$", folded, re.M)}
        if "deb" in fields.get("types", []) and fields.get("enabled", ["yes"]) != ["no"]:
            found += [Source(uri, tuple(fields.get("suites", []))) for uri in fields.get("uris", [])]
    return found


def configured_sources(etc: Path = Path("/etc/apt")) -> list[Source]:
    """Return the archives that the machine's apt reads packages from."""
    found = []
    for path in sorted(etc.glob("sources.list.d/*.sources")):
        found += parse_deb822_sources(path.read_text())
    for path in [etc / "sources.list", *sorted(etc.glob("sources.list.d/*.list"))]:
        if path.is_file():
            found += parse_one_line_sources(path.read_text())
    return found


def host_codename(os_release: Path = Path("/etc/os-release")) -> str:
    """Return the release name of this machine, such as ``bookworm``."""
    text = os_release.read_text() if os_release.is_file() else ""
    match = re.search(r'^VERSION_CODENAME="?([\w.-]+)', text, re.M)
    return match[1] if match else "sid"


def sources_for(suite: str, sources: Iterable[Source], codename: str) -> str:
    """Write a sources.list for ``suite``, with the mirrors that ``sources`` names for ``codename``."""
    known = list(sources)
    security = [s for s in known if f"{codename}-security" in s.suites]
    plain = [s for s in known if codename in s.suites] or [s for s in known if s not in security]
    if not plain:
        raise HarnessError("no Debian archive in the apt sources of this machine")
    signed = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
    lines = [f"deb {signed}{plain[0].uri} {suite} main"]
    if security and suite in SUITES_WITH_SECURITY:
        lines.append(f"deb {signed}{security[0].uri} {suite}-security main")
    return "\n".join(lines) + "\n"


def parse_depends(record: str) -> list[str]:
    """Return the package names in the Depends field of ``apt-cache show``; for alternatives, the first one."""
    match = re.search(r"^Depends: (.*)$", record, re.M)
    names = (re.match(r"[a-z0-9][a-z0-9+.-]+", part.strip()) for part in match[1].split(",")) if match else ()
    return [name[0] for name in names if name]


def persist(action: Callable[[], Result], tries: int = 3, pause: float = 3.0) -> Result:
    """Call ``action`` until it works, and wait longer after each failure: mirrors sometimes drop connections."""
    for attempt in range(1, tries):
        try:
            return action()
        except subprocess.CalledProcessError as problem:
            print(f"guest: {problem}; trying again", file=sys.stderr)
            time.sleep(pause * attempt)
    return action()


class Archive:
    """The packages of one suite, with an apt state directory of its own."""

    def __init__(self, suite: str) -> None:
        """Prepare the state directory; nothing is downloaded yet."""
        if not shutil.which("apt-get"):
            raise HarnessError("this needs apt-get, and so a Debian system, to get kernels from")
        self.suite = suite
        self._state = cache_dir() / "apt" / suite
        for name in ("lists/partial", "cache/archives/partial"):
            (self._state / name).mkdir(parents=True, exist_ok=True)
        listing = sources_for(suite, configured_sources(), host_codename())
        (self._state / "sources.list").write_text(listing)

    def _apt(self, program: str, *words: str, cwd: Path | None = None) -> str:
        settings = {
            "Dir::Etc::SourceList": self._state / "sources.list",
            "Dir::Etc::SourceParts": "-",
            "Dir::State::Lists": self._state / "lists",
            "Dir::Cache": self._state / "cache",
            "Acquire::Languages": "none",
            # An old suite's index is no longer refreshed, so its date says nothing.
            "Acquire::Check-Valid-Until": "false",
            # Only root may switch to apt's download user, and that user cannot write to our cache.
            "APT::Sandbox::User": "root",
            "APT::Get::List-Cleanup": "false",
        }
        options = [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]
        done = subprocess.run([program, *options, *words], cwd=cwd, stdout=subprocess.PIPE, text=True, check=True)
        return done.stdout

    def update(self) -> None:
        """Fetch the suite's index."""
        # Without the option apt-get reports a failed download as success with a warning.
        persist(lambda: self._apt("apt-get", "update", "-qq", "-o", "APT::Update::Error-Mode=any"))

    def depends(self, package: str) -> list[str]:
        """Return what the newest version of ``package`` depends on."""
        return parse_depends(self._apt("apt-cache", "show", "--no-all-versions", package))

    def download(self, package: str, into: Path) -> Path:
        """Fetch the newest version of ``package`` and return the file."""
        into.mkdir(parents=True, exist_ok=True)
        for old in into.glob(f"{package}_*.deb"):
            old.unlink()
        persist(lambda: self._apt("apt-get", "download", "-qq", package, cwd=into))
        return next(into.glob(f"{package}_*.deb"))


def unpack(deb: Path, root: Path, leave_out: Iterable[str] = ("./usr/share", "./usr/lib/debug")) -> None:
    """Unpack a package below ``root`` as on a merged-/usr system, however old the package is."""
    for name in ("bin", "sbin", "lib"):
        (root / "usr" / name).mkdir(parents=True, exist_ok=True)
        if not (root / name).is_symlink():
            (root / name).symlink_to(f"usr/{name}")
    # dpkg-deb -x would replace such a link with a directory.
    tar = ["tar", "-x", "--keep-directory-symlink", "--no-same-owner", "-C", str(root)]
    tar += [f"--exclude={name}" for name in leave_out]
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE) as contents:
        subprocess.run(tar, stdin=contents.stdout, check=True)
    if contents.returncode:
        raise HarnessError(f"dpkg-deb cannot read {deb}")
