"""Holders of a device, and the modules that a plan loads."""

from pathlib import Path

import pytest

from iommutui.apply.real_kernel import Ran, modprobe
from iommutui.core.errors import IommutuiError
from iommutui.sources.processes import possible_holders
from iommutui.sources.tree import Tree
from tests.apply.machines import GPU


class TestHolders:
    def test_processes_with_the_devices_files_open_are_named(self, tmp_path: Path) -> None:
        device = tmp_path / "sys/bus/pci/devices" / GPU
        device.mkdir(parents=True)
        (device / "class").write_text("0x030000\n")
        (device / "iommu_group").symlink_to("../../../kernel/iommu_groups/14")
        for pid, name, files in (
            ("10", "qemu\x1b[2J", ["/dev/vfio/14", "/dev/vfio/vfio", "/dev/null"]),
            ("9", "other-vm", ["/dev/vfio/3"]),
            ("11", "Xorg", ["/dev/dri/card0", "/dev/dri/card0"]),
            ("12", "sh", ["/etc/passwd"]),
        ):
            fds = tmp_path / "proc" / pid / "fd"
            fds.mkdir(parents=True)
            (fds.parent / "comm").write_text(f"{name}\n")
            for number, file in enumerate(files):
                (fds / str(number)).symlink_to(file)
        (tmp_path / "proc/self").mkdir()
        assert possible_holders(Tree(str(tmp_path)), GPU) == (
            "qemu\x1b[2J (pid 10): /dev/vfio/14",
            "Xorg (pid 11): /dev/dri/card0",
        )

    def test_no_process_is_named_for_a_disk_or_sound_card(self, tmp_path: Path) -> None:
        device = tmp_path / "sys/bus/pci/devices" / GPU
        device.mkdir(parents=True)
        (tmp_path / "proc/11/fd").mkdir(parents=True)
        (tmp_path / "proc/11/fd/0").symlink_to("/dev/dri/card0")
        for kind, count in (("0x010802", 0), ("0x030000", 1), ("0x040300", 0)):
            (device / "class").write_text(f"{kind}\n")
            assert len(possible_holders(Tree(str(tmp_path)), GPU)) == count

    def test_without_processes_no_holder_is_named(self, tmp_path: Path) -> None:
        assert possible_holders(Tree(str(tmp_path)), GPU) == ()


class TestModules:
    def _load(self, root: Path, name: str, *, config: str = "", ran: Ran | None = None) -> list[tuple[str, ...]]:
        commands: list[tuple[str, ...]] = []

        def run(command: object) -> Ran:
            assert isinstance(command, tuple)
            commands.append(command)
            return Ran(command, 0, config, "") if "--showconfig" in command else ran or Ran(command, 0, "", "")

        modprobe(name, str(root), run)
        return commands

    def test_a_module_is_loaded(self, tmp_path: Path) -> None:
        assert self._load(tmp_path, "vfio-pci")[-1] == ("modprobe", "--", "vfio-pci")

    def test_a_loaded_module_is_not_loaded_again(self, tmp_path: Path) -> None:
        (tmp_path / "sys/module/vfio_pci").mkdir(parents=True)
        assert self._load(tmp_path, "vfio-pci") == []

    def test_a_missing_module_is_named(self, tmp_path: Path) -> None:
        ran = Ran((), 1, "", "modprobe: FATAL: Module nope not found in directory /lib/modules/6.1\n")
        with pytest.raises(IommutuiError, match="Module nope not found"):
            self._load(tmp_path, "nope", ran=ran)

    @pytest.mark.parametrize("command", ["/bin/false", "/usr/bin/false", "/bin/true # not here"])
    def test_an_install_line_blocks_a_module(self, command: str, tmp_path: Path) -> None:
        with pytest.raises(IommutuiError, match="administratively blocked by the line"):
            self._load(tmp_path, "vfio-pci", config=f"options x y\ninstall vfio_pci {command}\n")

    def test_a_plain_blacklist_line_does_not_block(self, tmp_path: Path) -> None:
        config = "blacklist nouveau\ninstall other /bin/false\ninstall nouveau /sbin/modprobe -i nouveau\n"
        assert self._load(tmp_path, "nouveau", config=config)[-1] == ("modprobe", "--", "nouveau")

    @pytest.mark.parametrize(
        "ran",
        [
            Ran((), 1, "", "modprobe: ERROR: could not insert: Exec format error"),
            Ran((), 1, "", "modprobe: ERROR: could not insert 'vfio_pci': Operation not permitted"),
            Ran((), 127, "", ""),
        ],
    )
    def test_a_module_that_fails_to_load_is_an_error(self, ran: Ran, tmp_path: Path) -> None:
        with pytest.raises(IommutuiError, match="could not be loaded"):
            self._load(tmp_path, "nvidia", ran=ran)

    @pytest.mark.parametrize("name", ["", "-r", "../x", "a b", "x;y", "x" * 65])
    def test_invalid_module_names_are_refused(self, name: str, tmp_path: Path) -> None:
        if name == "-r":
            assert self._load(tmp_path, name)[-1] == ("modprobe", "--", "-r")
            return
        with pytest.raises(IommutuiError, match="not a module's name"):
            self._load(tmp_path, name)
