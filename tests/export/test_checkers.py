"""Every format, for every group of every recorded machine, checked by the program that reads it."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from iommutui.export import FORMATS, Subject, render
from tests.export.subjects import MACHINES, machine, subjects

SCHEMA = Path("/usr/share/libvirt/schemas/domain.rng")
DOMAIN = """<domain type='qemu'><name>vm</name><memory>1024</memory>
<os><type arch='x86_64' machine='q35'>hvm</type></os>
<devices>
{}</devices></domain>
"""


@pytest.fixture(scope="module", params=MACHINES)
def group_plans(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Subject]:
    found = list(subjects(machine(request.param, tmp_path_factory.mktemp("tree"))))
    if not found:
        pytest.skip(f"no group of {request.param} can be freed")
    return found


def texts(plans: list[Subject], name: str) -> list[str]:
    found = [render(FORMATS[name], subject).text for subject in plans]
    assert all(found)
    return found


def files(plans: list[Subject], name: str, folder: Path, form: str = "{}") -> list[str]:
    paths = []
    for number, text in enumerate(texts(plans, name)):
        path = folder / f"{number}.conf"
        path.write_text(form.format(text))
        paths.append(str(path))
    return paths


def check(program: str, *words: str) -> str:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    done = subprocess.run([program, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_libvirts_schema_accepts_the_devices(group_plans: list[Subject], tmp_path: Path) -> None:
    if not SCHEMA.exists():
        pytest.skip(f"{SCHEMA} is not installed")
    check("xmllint", "--noout", "--relaxng", str(SCHEMA), *files(group_plans, "libvirt", tmp_path, DOMAIN))


def test_libvirts_schema_finds_a_mistake(tmp_path: Path) -> None:
    if not SCHEMA.exists() or shutil.which("xmllint") is None:
        pytest.skip("libvirt's schemas or xmllint are not installed")
    path = tmp_path / "wrong.xml"
    path.write_text(DOMAIN.format("<hostdev mode='subsystem' type='pci' managed='perhaps'/>"))
    done = subprocess.run(["xmllint", "--noout", "--relaxng", SCHEMA, path], capture_output=True)
    assert done.returncode != 0


def qemu(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    if shutil.which("qemu-system-x86_64") is None:
        pytest.skip("qemu-system-x86_64 is not installed")
    fixed = ["-machine", "q35,accel=tcg", "-m", "64", "-nodefaults", "-display", "none", "-S", "-monitor", "stdio"]
    return subprocess.run(["qemu-system-x86_64", *fixed, *arguments], input="quit\n", capture_output=True, text=True)


def arguments(text: str) -> list[str]:
    """The arguments that a shell makes of the lines below the comments."""
    words = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    done = subprocess.run(["sh", "-c", f"printf '%s\\n' {words}"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_qemu_accepts_every_slot_and_function(group_plans: list[Subject]) -> None:
    """An emulated device replaces each real one, because this machine has none."""
    for text in texts(group_plans, "qemu")[:12]:
        words = []
        for word in arguments(text):
            driver, comma, rest = word.partition(",")
            words.append(f"virtio-rng-pci,{rest.partition(',')[2]}" if driver == "vfio-pci" else driver + comma + rest)
        done = qemu(words)
        assert done.returncode == 0, (text, done.stderr)


def test_qemu_looks_for_the_first_device(group_plans: list[Subject]) -> None:
    """The device is in a domain that no machine has, so this machine is not touched."""
    address = group_plans[0].guests[0].address
    done = qemu(arguments(texts(group_plans, "qemu")[0].replace(address, f"fffe:{address[-7:]}")))
    assert f"vfio /sys/bus/pci/devices/fffe:{address[-7:]}: no such host device" in done.stderr


@pytest.mark.parametrize("name", ["shell", "proxmox", "incus", "driverctl", "rpm-ostree"])
def test_scripts_pass_shellcheck(group_plans: list[Subject], tmp_path: Path, name: str) -> None:
    check("shellcheck", "-s", "sh", *files(group_plans, name, tmp_path))


def test_a_shell_reads_the_file_for_grub(group_plans: list[Subject]) -> None:
    for text in texts(group_plans, "grub"):
        show = text + 'printf %s "$GRUB_CMDLINE_LINUX_DEFAULT"'
        done = subprocess.run(["sh", "-eu", "-c", "GRUB_CMDLINE_LINUX_DEFAULT=quiet\n" + show], capture_output=True)
        words = done.stdout.decode().split()
        assert words[0] == "quiet"
        assert words[1].startswith(("vfio-pci.ids=", "pci-stub.ids="))


def test_modprobe_reads_its_file(group_plans: list[Subject], tmp_path: Path) -> None:
    for path in files(group_plans, "modprobe.d", tmp_path):
        shown = check("modprobe", "--showconfig", "-C", path)
        assert "options vfio_pci ids=" in shown
        assert "invalid" not in shown


def test_nix_parses_the_module_for_nixos(group_plans: list[Subject], tmp_path: Path) -> None:
    check("nix-instantiate", "--parse", *files(group_plans, "nixos", tmp_path))


@pytest.mark.parametrize(
    ("systemd", "script"),
    [("false", "boot.initrd.preDeviceCommands"), ("true", "boot.initrd.systemd.services.iommutui.script")],
)
def test_the_script_in_the_nixos_module_passes_shellcheck(
    group_plans: list[Subject], tmp_path: Path, systemd: str, script: str
) -> None:
    path = files(group_plans[:1], "nixos", tmp_path)[0]
    module = f"import {path} {{ config.boot.initrd.systemd.enable = {systemd}; lib.mkIf = yes: value: value; }}"
    shown = check("nix-instantiate", "--eval", "--strict", "--json", "-E", f"({module}).{script}")
    (tmp_path / "script.sh").write_text(json.JSONDecoder().raw_decode(shown)[0])
    check("shellcheck", "-s", "sh", "-S", "warning", str(tmp_path / "script.sh"))


def test_every_format_says_where_it_goes_and_how_to_remove_it(group_plans: list[Subject]) -> None:
    for form in FORMATS.values():
        for subject in group_plans:
            text = render(form, subject).text
            assert text.isascii()
            for word in ("Where: ", "When: ", "Undo: "):
                assert word in text, form.name
            for device in subject.guests:
                assert device.address in text, form.name
