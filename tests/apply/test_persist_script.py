"""The initramfs script on a tree of files, and a check of every file with the tool it is for."""

import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest

DATA = Path(str(files("iommutui.apply.persistence") / "data"))
CARD = "0000:09:00.0"


class Initramfs:
    """A sysfs and a declaration; no driver reacts."""

    def __init__(self, root: Path, shell: str) -> None:
        self.root, self.shell = root, shell
        for name in ("devices", "drivers"):
            (root / "pci" / name).mkdir(parents=True)
        (root / "pci/drivers_probe").touch()
        (root / "cmdline").write_text("quiet root=/dev/sda1 *\n")
        (root / "log").touch()
        (root / "modprobe").write_text(f'#!/bin/sh\necho "$*" >>{root}/modules\n')
        (root / "modprobe").chmod(0o755)

    def device(self, address: str, ids: str, board: str = "1043:87c0", driver: str | None = None) -> None:
        place = self.root / "pci/devices" / address
        place.mkdir()
        values = zip(
            ("vendor", "device", "subsystem_vendor", "subsystem_device"), f"{ids}:{board}".split(":"), strict=True
        )
        for name, value in values:
            (place / name).write_text(f"0x{value}\n")
        (place / "driver_override").write_text("(null)\n")
        if driver is not None:
            (self.root / "pci/drivers" / driver).mkdir(exist_ok=True)
            (place / "driver").symlink_to(f"../../drivers/{driver}")

    def run(self, *lines: str) -> str:
        """Runs the script on these declarations, and returns its log."""
        (self.root / "persist.conf").write_text("# a comment\n\n" + "".join(f"{line}\n" for line in lines))
        # A function, because busybox uses its own modprobe whatever PATH says.
        text = f'modprobe() {{ "{self.root}/modprobe" "$@"; }}\n' + (DATA / "persist.sh").read_text()
        for name, old in (
            ("conf", "/etc/iommutui/persist.conf"),
            ("pci", "/sys/bus/pci"),
            ("cmdline", "/proc/cmdline"),
        ):
            assert f"\n{name}={old}\n" in text
            place = "persist.conf" if name == "conf" else name
            text = text.replace(f"\n{name}={old}\n", f"\n{name}={self.root}/{place}\n")
        text = text.replace("\nlog=/dev/kmsg\n", f"\nlog={self.root}/log\n").replace('>"$log"', '>>"$log"')
        done = subprocess.run(
            [*self.shell.split(), "-c", text],
            capture_output=True,
            text=True,
            env={"PATH": f"{self.root}:/usr/bin:/bin"},
        )
        assert (done.returncode, done.stderr) == (0, "")
        return (self.root / "log").read_text()

    def override(self, address: str = CARD) -> str:
        return (self.root / "pci/devices" / address / "driver_override").read_text().strip()


@pytest.fixture(params=["dash", "busybox ash", "bash"])
def initramfs(request: pytest.FixtureRequest, tmp_path: Path) -> Initramfs:
    """Run by each shell that an initramfs may have: Debian's, Arch's, and Fedora's."""
    if shutil.which(request.param.split()[0]) is None:
        pytest.skip(f"{request.param} is not installed")
    return Initramfs(tmp_path, request.param)


def test_the_override_is_set_and_the_module_loaded(initramfs: Initramfs) -> None:
    initramfs.device(CARD, "10de:1f08")
    log = initramfs.run(f"{CARD} 10de:1f08 1043:87c0 vfio-pci # the second card")
    assert initramfs.override() == "vfio-pci"
    assert (initramfs.root / "modules").read_text() == "-q vfio-pci\n"
    assert (initramfs.root / "pci/drivers_probe").read_text() == f"{CARD}\n"
    assert f"iommutui: {CARD}: not in force yet, driver none, override vfio-pci" in log


@pytest.mark.parametrize(
    ("ids", "board"), [("10de:2204", "1043:87c0"), ("1002:1f08", "1043:87c0"), ("10de:1f08", "1458:87c0")]
)
def test_another_card_at_the_address_is_left_alone(initramfs: Initramfs, ids: str, board: str) -> None:
    initramfs.device(CARD, ids, board)
    log = initramfs.run(f"{CARD} 10de:1f08 1043:87c0 vfio-pci")
    assert initramfs.override() == "(null)"
    assert f"{CARD}: not in force, another device is there" in log
    assert not (initramfs.root / "modules").exists()


def test_an_unknown_subsystem_is_not_compared(initramfs: Initramfs) -> None:
    initramfs.device(CARD, "10de:1f08", "0000:0000")
    initramfs.run(f"{CARD} 10de:1f08 - pci-stub")
    assert initramfs.override() == "pci-stub"


def test_a_missing_device_is_reported(initramfs: Initramfs) -> None:
    assert "there is no such device" in initramfs.run(f"{CARD} 10de:1f08 - vfio-pci")


def test_the_switch_on_the_command_line_turns_the_script_off(initramfs: Initramfs) -> None:
    initramfs.device(CARD, "10de:1f08")
    (initramfs.root / "cmdline").write_text("quiet iommutui.persist=0 splash\n")
    assert "nothing is set" in initramfs.run(f"{CARD} 10de:1f08 - vfio-pci")
    assert initramfs.override() == "(null)"


def test_a_device_is_unbound_from_a_built_in_driver(initramfs: Initramfs) -> None:
    initramfs.device(CARD, "10de:1f08", driver="nvme")
    log = initramfs.run(f"{CARD} 10de:1f08 - none")
    assert initramfs.override() == "none"
    assert (initramfs.root / "pci/drivers/nvme/unbind").read_text() == f"{CARD}\n"
    assert "taken from nvme, which is built in" in log
    assert (initramfs.root / "pci/drivers_probe").read_text() == ""


def test_a_device_already_bound_is_in_force(initramfs: Initramfs) -> None:
    initramfs.device(CARD, "10de:1f08", driver="vfio-pci")
    assert f"{CARD}: in force, vfio-pci" in initramfs.run(f"{CARD} 10de:1f08 - vfio-pci")
    assert not (initramfs.root / "pci/drivers/vfio-pci/unbind").exists()


@pytest.mark.parametrize("path", sorted(DATA.glob("*.sh")), ids=lambda path: path.name)
def test_scripts_pass_shellcheck(path: Path) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    shell = "bash" if path.read_text().startswith("#!/bin/bash") else "dash"
    done = subprocess.run(["shellcheck", "-s", shell, path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_unit_passes_systemd_analyze(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / "iommutui-persist.service"
    # The unit's command has to exist where the unit is verified.
    unit.write_text((DATA / unit.name).read_text().replace("/bin/sh /etc/iommutui/persist.sh", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
    assert (done.returncode, unit.name in done.stderr) == (0, False), done.stderr


@pytest.mark.parametrize("path", sorted(DATA.iterdir()), ids=lambda path: path.name)
def test_every_file_names_iommutui(path: Path) -> None:
    assert "Made by iommutui" in path.read_text()
