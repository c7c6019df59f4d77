"""Debian kernels, unpacked in the cache."""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from .cache import cache_dir
from .debian import Archive, unpack
from .errors import HarnessError, KernelMissingError
from .tools import fresh_directory, run_kmod

#: Names of the kernels, which are the names of the Debian suites they come from, oldest first.
NAMES = ("bullseye", "bookworm", "trixie", "sid")
METAPACKAGE = "linux-image-amd64"


@dataclass(frozen=True)
class Kernel:
    """A kernel that is ready to be booted."""

    name: str
    directory: Path

    @property
    def release(self) -> str:
        """What ``uname -r`` prints in it."""
        return next(path.name for path in (self.root / "usr/lib/modules").iterdir())

    @property
    def root(self) -> Path:
        """The tree that its package was unpacked to."""
        return self.directory / "root"

    @property
    def modules(self) -> Path:
        """Its modules directory."""
        return self.root / "usr/lib/modules" / self.release

    @property
    def image(self) -> Path:
        """The file to boot."""
        places = [*self.root.glob("boot/vmlinuz-*"), *self.modules.glob("vmlinuz")]
        if not places:
            raise HarnessError(f"{self.root} has no kernel image")
        return places[0]


def cached(name: str) -> Kernel | None:
    """Return the kernel if it has been fetched before."""
    directory = cache_dir() / "kernels" / name
    return Kernel(name, directory) if directory.is_dir() else None


def is_part_of_kernel(package: str) -> bool:
    """Return whether a dependency holds files of the kernel: newer suites split it into several packages."""
    return re.match(r"linux-(base|image|binary|modules)-\d", package) is not None


def fetch(name: str) -> Kernel:
    """Return the kernel called ``name``, downloading it if it is not in the cache."""
    known = cached(name)
    if known:
        return known
    if name not in NAMES:
        raise HarnessError(f"no kernel is called {name}; there are {', '.join(NAMES)}")
    directory = cache_dir() / "kernels" / name
    try:
        archive = Archive(name)
        archive.update()
        with fresh_directory(directory) as work:
            _download(archive, work / "root")
            new = Kernel(name, work)
            run_kmod("depmod", "-b", str(new.root), new.release)
    except (subprocess.CalledProcessError, StopIteration) as problem:
        raise KernelMissingError(f"kernel {name} is not to be had: {problem}") from problem
    return Kernel(name, directory)


def _download(archive: Archive, root: Path) -> None:
    wanted = [p for p in archive.depends(METAPACKAGE) if is_part_of_kernel(p)]
    if not wanted:
        raise KernelMissingError(f"{METAPACKAGE} of {archive.suite} names no kernel")
    done: set[str] = set()
    while wanted:
        package = wanted.pop()
        if package in done:
            continue
        done.add(package)
        print(f"guest: downloading {package}", file=sys.stderr)
        deb = archive.download(package, cache_dir() / "debs")
        unpack(deb, root)
        deb.unlink()
        wanted += [p for p in archive.depends(package) if is_part_of_kernel(p)]
