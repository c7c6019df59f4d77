"""Build a kernel that Debian does not offer, from Debian's own source, and keep it in the cache.

This takes about twenty minutes on two processors, so it happens only on request.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from .cache import cache_dir
from .debian import Archive, unpack
from .errors import HarnessError
from .kernels import Kernel, cached
from .tools import fresh_directory, install, run_kmod

BUILT: Mapping[str, tuple[str, str]] = {"iommufd": ("trixie", "linux-source-6.12")}
"""Kernels by name: the suite and the package with the source. ``NAME.config`` beside this file is merged into
``tinyconfig``."""

_PACKAGES = ("gcc", "make", "flex", "bison", "bc", "libelf-dev", "libssl-dev", "xz-utils", "perl")


def build(name: str) -> Kernel:
    """The kernel called ``name``, built if it is not in the cache."""
    known = cached(name)
    if known is not None:
        return known
    suite, package = BUILT[name]
    install(_PACKAGES)
    archive = Archive(suite)
    place = cache_dir() / "kernels" / name
    try:
        archive.update()
        with fresh_directory(place) as work:
            source = _source(archive, package, work / "source")
            _make(source, name, work / "root")
            shutil.rmtree(work / "source")
            new = Kernel(name, work)
            run_kmod("depmod", "-b", str(new.root), new.release)
    except (subprocess.CalledProcessError, StopIteration) as problem:
        raise HarnessError(f"kernel {name} cannot be built: {problem}") from problem
    return Kernel(name, place)


def _source(archive: Archive, package: str, place: Path) -> Path:
    """Unpack the package's source archive below ``place`` and return the directory in it."""
    print(f"guest: downloading {package}", file=sys.stderr)
    deb = archive.download(package, cache_dir() / "debs")
    unpack(deb, place)
    deb.unlink()
    packed = next((place / "usr/src").glob("*.tar.xz"))
    print(f"guest: unpacking {packed.name}", file=sys.stderr)
    subprocess.run(["tar", "-xJf", str(packed), "-C", str(place), "--no-same-owner"], check=True)
    packed.unlink()
    return next(path for path in place.iterdir() if (path / "Kconfig").exists())


def _make(source: Path, name: str, root: Path) -> None:
    """Configure, build, and install the image and the modules below ``root``."""
    wanted = Path(__file__).with_name(f"{name}.config")

    def make(*words: str) -> None:
        print(f"guest: make {' '.join(words)}", file=sys.stderr)
        subprocess.run(["make", "-s", "-C", str(source), *words], stdout=sys.stderr, check=True)

    make("tinyconfig")
    merge = ["scripts/kconfig/merge_config.sh", "-m", ".config", str(wanted)]
    subprocess.run(merge, cwd=source, stdout=subprocess.DEVNULL, check=True)
    make("olddefconfig")
    lost = lost_options(wanted.read_text(), (source / ".config").read_text())
    if lost:
        raise HarnessError(f"the configuration does not keep {', '.join(lost)}")
    make(f"-j{os.cpu_count() or 1}", "bzImage", "modules")
    (root / "boot").mkdir(parents=True)
    # depmod looks here, as in the trees of Debian's packages.
    (root / "lib").symlink_to("usr/lib")
    shutil.copy(source / "arch/x86/boot/bzImage", root / "boot/vmlinuz-built")
    make(f"INSTALL_MOD_PATH={root / 'usr'}", "INSTALL_MOD_STRIP=1", "DEPMOD=true", "modules_install")


def lost_options(wanted: str, final: str) -> list[str]:
    """The options of a fragment that the configuration does not have as requested; a missing option counts as off."""
    is_set = {line for line in final.splitlines() if line.startswith("CONFIG_")}
    names = {line.partition("=")[0] for line in is_set}
    lost = []
    for line in wanted.splitlines():
        name, equals, value = line.partition("=")
        if equals and not (name not in names if value == "n" else line in is_set):
            lost.append(name)
    return lost
