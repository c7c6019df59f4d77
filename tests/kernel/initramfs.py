"""The initramfs of a guest: just enough to mount the host's files."""

import lzma
import subprocess
from pathlib import Path, PurePosixPath

from .cpio import Cpio
from .kernels import Kernel
from .tools import guest_programs, need

#: Modules that the guest has to load before it sees the host's files.
EARLY_MODULES = ("virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay")
SCRIPTS = Path(__file__).parent / "scripts"


def module_name(path: str) -> str:
    """Return the name of the module in ``path``, as the kernel spells it."""
    return PurePosixPath(path).name.split(".ko")[0].replace("-", "_")


def parse_modules_dep(text: str) -> dict[str, list[str]]:
    """Return each module's file, followed by the files of the modules it needs."""
    table = {}
    for line in text.splitlines():
        path, _, needed = line.partition(":")
        table[module_name(path)] = [path, *needed.split()]
    return table


def load_order(table: dict[str, list[str]], wanted: tuple[str, ...]) -> list[str]:
    """Return the files to insert, each after those it needs; built-in modules have none."""
    order: list[str] = []

    def visit(name: str) -> None:
        path, *needed = table[name]
        for other in needed:
            visit(module_name(other))
        if path not in order:
            order.append(path)

    for name in wanted:
        if name in table:
            visit(name)
    return order


def read_module(path: Path) -> bytes:
    """Return a module's object code, uncompressed: busybox cannot insert anything else."""
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix == ".zst":
        need("zstd")
        return subprocess.run(["zstd", "-dcq"], input=data, stdout=subprocess.PIPE, check=True).stdout
    return data


def build(kernel: Kernel) -> bytes:
    """Return the archive to boot ``kernel`` with."""
    programs = guest_programs()
    archive = Cpio()
    archive.character_device("dev/console", 5, 1)
    archive.file("bin/busybox", (programs / "usr/bin/busybox").read_bytes(), 0o755)
    archive.file("init", (SCRIPTS / "init.sh").read_bytes(), 0o755)
    table = parse_modules_dep((kernel.modules / "modules.dep").read_text())
    files = [kernel.modules / path for path in load_order(table, EARLY_MODULES)]
    names = [module_name(path.name) for path in files]
    for name, path in zip(names, files, strict=True):
        archive.file(f"modules/{name}.ko", read_module(path))
    archive.file("modules/order", "\n".join(names).encode() + b"\n")
    # This becomes part of the guest's root directory, on top of the host's files.
    archive.tree(programs / "usr", "overlay/usr")
    archive.tree(programs / "etc", "overlay/etc")
    archive.file("overlay/usr/sbin/iommutui-guest", (SCRIPTS / "main.sh").read_bytes(), 0o755)
    return archive.to_bytes()
