"""Programs: those that the host needs to start guests, and those that the guest needs."""

import fcntl
import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .cache import cache_dir
from .debian import Archive, host_codename, persist, unpack
from .errors import HarnessError

HOST_PACKAGES = {"qemu-system-x86_64": "qemu-system-x86", "zstd": "zstd"}
GUEST_PACKAGES = ("busybox-static", "kmod", "libkmod2", "udev", "libudev1", "libsystemd-shared", "sudo")


def need(*programs: str) -> None:
    """Install the packages of those ``programs`` that the host does not have."""
    packages = [HOST_PACKAGES[name] for name in programs if not shutil.which(name)]
    if packages:
        install(packages)


def install(packages: Iterable[str]) -> None:
    """Install Debian packages on the host; installed ones stay as they are."""
    names = " ".join(packages)
    if os.geteuid() != 0:
        raise HarnessError(f"this needs the Debian packages {names}; install them, or run this as root")
    print(f"guest: installing {names}", file=sys.stderr)
    command = ["apt-get", "-o", "DPkg::Lock::Timeout=600", "-qq"]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}

    def run() -> None:
        subprocess.run([*command, "update"], stdout=sys.stderr, env=environment, check=True)
        words = ["install", "-y", "--no-install-recommends", "--no-upgrade", *names.split()]
        subprocess.run([*command, *words], stdout=sys.stderr, env=environment, check=True)

    try:
        persist(run)
    except subprocess.CalledProcessError as problem:
        raise HarnessError(f"apt-get could not install {names}") from problem


@contextmanager
def fresh_directory(target: Path) -> Iterator[Path]:
    """Yield a directory to fill; it becomes ``target`` only if the block succeeds.

    One process at a time; the others wait.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target.parent / f".{target.name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        work = target.parent / f".{target.name}.new"
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        yield work
        shutil.rmtree(target, ignore_errors=True)
        work.rename(target)


def guest_programs(packages: Iterable[str] = GUEST_PACKAGES) -> Path:
    """Return a tree with busybox, kmod, systemd-udevd and sudo of the host's own release.

    The guest runs on the host's files, so only programs of that release are sure to fit its libraries.
    """
    packages = sorted(packages)
    root = cache_dir() / "programs" / f"{host_codename()}-{zlib.crc32(' '.join(packages).encode()):08x}"
    if root.is_dir():
        return root
    archive = Archive(host_codename())
    try:
        archive.update()
        with fresh_directory(root) as work:
            for package in packages:
                deb = archive.download(package, cache_dir() / "debs")
                unpack(deb, work, ("./usr/share", "./etc/init.d", "./usr/lib/udev/hwdb.d"))
                deb.unlink()
    except subprocess.CalledProcessError as problem:
        raise HarnessError(f"programs for the guest are not to be had: {problem}") from problem
    return root


def run_kmod(applet: str, *words: str) -> None:
    """Run kmod's ``depmod`` or the like from the guest's tree; the host may have none."""
    root = guest_programs()
    libraries = root / "usr/lib/x86_64-linux-gnu"
    # kmod decides by its own name which tool to be.
    subprocess.run(
        [applet, *words],
        executable=root / "usr/bin/kmod",
        env=os.environ | {"LD_LIBRARY_PATH": str(libraries)},
        check=True,
    )
