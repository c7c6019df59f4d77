"""A machine made of files: builds small sysfs trees with the kernel's layout.

``FakeTree(tmp_path).device("0000:01:00.0", vendor="10de", driver="nvidia", group=14).root`` is one for ``--from``.
"""

import os
from collections.abc import Mapping
from pathlib import Path

Content = str | bytes


class FakeTree:
    """Every method adds something and returns the tree, so that calls can be chained."""

    def __init__(self, path: Path, *, kernel: str | None = "6.1.0-fake", bare: bool = False) -> None:
        self.root = path
        self.kernel = kernel
        self.sys = path if bare else path / "sys"
        self._places: dict[str, Path] = {}
        """Directories of devices, by address."""
        (self.sys / "bus/pci/devices").mkdir(parents=True)
        (self.sys / "bus/pci/drivers").mkdir()
        (self.sys / "kernel/iommu_groups").mkdir(parents=True)
        if not bare and kernel is not None:
            self.file("proc/sys/kernel/osrelease", kernel + "\n")

    def __fspath__(self) -> str:
        return str(self.root)

    # -- anything

    def file(self, path: str, content: Content = "") -> "FakeTree":
        """Adds a file below the root."""
        _write(self.root / path, content)
        return self

    def place(self, address: str) -> Path:
        """The directory of a device."""
        return self._places[address]

    # -- devices

    def device(
        self,
        address: str,
        *,
        vendor: str = "8086",
        device: str = "1533",
        class_code: str = "020000",
        subsystem: str = "8086:0001",
        revision: str = "00",
        header_type: int = 0,
        driver: str | None = None,
        override: str | None = None,
        group: int | None = None,
        parent: str | None = None,
        uevent: bool = True,
        config: bytes | None = None,
        files: Mapping[str, Content | None] | None = None,
    ) -> "FakeTree":
        """Adds a PCI function. ``files`` adds attributes, or removes those whose content is None."""
        above = self._places[parent] if parent is not None else self.sys / f"devices/pci{address[:-5]}"
        place = above / address
        place.mkdir(parents=True)
        self._places[address] = place
        subsystem_vendor, _, subsystem_device = subsystem.partition(":")
        modalias = (
            f"pci:v0000{vendor.upper()}d0000{device.upper()}sv0000{subsystem_vendor.upper()}"
            f"sd0000{subsystem_device.upper()}bc{class_code[:2].upper()}sc{class_code[2:4].upper()}"
            f"i{class_code[4:].upper()}"
        )
        lines = [
            *([f"DRIVER={driver}"] if driver else []),
            f"PCI_CLASS={int(class_code, 16):X}",
            f"PCI_ID={vendor.upper()}:{device.upper()}",
            f"PCI_SUBSYS_ID={subsystem.upper()}",
            f"PCI_SLOT_NAME={address}",
            f"MODALIAS={modalias}",
        ]
        attributes: dict[str, Content | None] = {
            "vendor": f"0x{vendor}\n",
            "device": f"0x{device}\n",
            "class": f"0x{class_code}\n",
            "subsystem_vendor": f"0x{subsystem_vendor}\n",
            "subsystem_device": f"0x{subsystem_device}\n",
            "revision": f"0x{revision}\n",
            "modalias": modalias + "\n",
            "driver_override": f"{override or '(null)'}\n",
            "uevent": "\n".join(lines) + "\n" if uevent else None,
            "config": config or _config(vendor, device, class_code, revision, header_type),
            **(files or {}),
        }
        for name, content in attributes.items():
            if content is not None:
                _write(place / name, content)
        _link(self.sys / "bus/pci/devices" / address, place)
        _link(place / "subsystem", self.sys / "bus/pci")
        if driver is not None:
            self.bind(address, driver)
        if group is not None:
            self.join(address, group)
        return self

    def other(
        self,
        name: str,
        *,
        bus: str = "platform",
        group: int,
        driver: str | None = None,
        entry: str | None = None,
        below: str | None = None,
    ) -> "FakeTree":
        """Adds a member of a group on another bus, ``below`` a function or separate.

        ``entry`` is its name in the group if that differs from its own.
        """
        place = (self.sys / "devices" / bus if below is None else self.place(below)) / name
        place.mkdir(parents=True)
        _link(place / "subsystem", self.sys / "bus" / bus)
        if driver is not None:
            _link(place / "driver", self.sys / "bus" / bus / "drivers" / driver)
        _link(self._group(group) / (entry or name), place)
        return self

    def bind(self, address: str, driver: str) -> "FakeTree":
        """Binds a function to a driver, which is registered if need be."""
        self.driver(driver)
        _link(self._places[address] / "driver", self.sys / "bus/pci/drivers" / driver)
        return self

    def join(self, address: str, group: int) -> "FakeTree":
        """Makes a function a member of a group."""
        _link(self._places[address] / "iommu_group", self._group(group).parent)
        _link(self._group(group) / address, self._places[address])
        return self

    def link(self, address: str, name: str, target: Path | str) -> "FakeTree":
        """Adds a link to a device's directory."""
        _link(self._places[address] / name, target)
        return self

    # -- the rest of the machine

    def driver(self, name: str, module: str | None = None) -> "FakeTree":
        """Registers a PCI driver, and the module it comes from."""
        place = self.sys / "bus/pci/drivers" / name
        place.mkdir(parents=True, exist_ok=True)
        if module is not None:
            drivers = self.sys / "module" / module / "drivers"
            drivers.mkdir(parents=True, exist_ok=True)
            _link(place / "module", self.sys / "module" / module)
            _link(drivers / f"pci:{name}", place)
        return self

    def group(self, number: int, **files: str) -> "FakeTree":
        """Adds attributes of a group: ``type``, ``name``, ``reserved_regions``."""
        place = self._group(number).parent
        for name, content in files.items():
            _write(place / name, content)
        return self

    def iommu(self, name: str, kind: str | None = None) -> "FakeTree":
        """Adds an IOMMU; ``kind`` is ``intel-iommu`` or ``amd-iommu``."""
        place = self.sys / "class/iommu" / name
        (place / kind if kind else place).mkdir(parents=True)
        return self

    def modules(self, *aliases: str, built_in: Mapping[str, str] | None = None) -> "FakeTree":
        """Adds ``modules.alias`` with lines ``PATTERN MODULE``, and aliases of built-in modules by pattern."""
        place = f"lib/modules/{self.kernel}"
        self.file(f"{place}/modules.alias", "".join(f"alias {alias}\n" for alias in aliases))
        modinfo = "".join(f"{module}.alias={pattern}\0" for pattern, module in (built_in or {}).items())
        return self.file(f"{place}/modules.builtin.modinfo", modinfo)

    def process(self, pid: int, comm: str, *files: str) -> "FakeTree":
        """Adds a process with open files."""
        self.file(f"proc/{pid}/comm", comm + "\n")
        (self.root / f"proc/{pid}/fd").mkdir()
        for number, target in enumerate(files):
            os.symlink(target, self.root / f"proc/{pid}/fd/{number}")
        return self

    def _group(self, number: int) -> Path:
        place = self.sys / f"kernel/iommu_groups/{number}/devices"
        place.mkdir(parents=True, exist_ok=True)
        return place


def capability(kind: int, *, at: int = 0x40, following: int = 0, flags: int = 0, header: bytes = b"") -> bytes:
    """A configuration space whose list of capabilities begins with one of this kind; ``flags`` is its third byte."""
    data = bytearray(header.ljust(256, b"\0"))
    data[0x06] |= 0x10
    data[0x34] = data[0x34] or at
    data[at : at + 3] = bytes((kind, following, flags))
    return bytes(data)


def _config(vendor: str, device: str, class_code: str, revision: str, header_type: int) -> bytes:
    data = bytearray(256)
    data[0:4] = int(vendor, 16).to_bytes(2, "little") + int(device, 16).to_bytes(2, "little")
    data[8] = int(revision, 16)
    data[9:12] = int(class_code, 16).to_bytes(3, "little")
    data[14] = header_type
    return bytes(data)


def _write(path: Path, content: Content) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def _link(path: Path, target: Path | str) -> None:
    if isinstance(target, Path):
        target = os.path.relpath(target, path.parent)
    path.unlink(missing_ok=True)
    path.symlink_to(target)
