"""Exports, used on a real kernel: a shell runs the script, QEMU takes the arguments."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from . import pci
from .program import Run

pytestmark = pytest.mark.skipif(os.environ.get("IOMMUTUI_GUEST") != "gpu", reason="needs the topology gpu")

CARD = ["0000:01:00.0", "0000:01:00.1", "0000:01:00.2", "0000:01:00.3"]
QEMU = ["qemu-system-x86_64", "-machine", "q35,accel=tcg", "-m", "64", "-nodefaults", "-display", "none", "-S"]


def exported(iommutui: Run, name: str) -> str:
    # By name: QEMU's functions have other vendors than the display, so that they are in its group but not on its card.
    answer = iommutui("export", name, *CARD)
    assert answer.code == 0, answer.err
    return answer.out


def shell(script: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["sh", str(script), *words], capture_output=True, text=True)


def test_the_script_hands_the_card_over_and_reverts_it(iommutui: Run, tmp_path: Path, restored: pci.State) -> None:
    script = tmp_path / "rebind.sh"
    script.write_text(exported(iommutui, "shell"))
    applied = shell(script)
    assert (applied.returncode, applied.stderr) == (0, "")
    assert [pci.driver(address) for address in CARD] == ["vfio-pci"] * 4
    again = shell(script)
    assert again.returncode == 1
    assert f"{CARD[0]} is on vfio-pci" in again.stderr
    assert shell(script, "revert").returncode == 0
    assert pci.State.now() == restored


def test_the_script_reverts_an_unfinished_apply(iommutui: Run, tmp_path: Path, restored: pci.State) -> None:
    script = tmp_path / "rebind.sh"
    script.write_text(exported(iommutui, "shell"))
    pci.bind(CARD[1], "vfio-pci")
    pci.set_override(CARD[2], "vfio-pci")
    assert shell(script, "apply").returncode == 1
    assert shell(script, "revert").returncode == 0
    assert pci.State.now() == restored


def test_qemu_starts_with_the_card(iommutui: Run, tmp_path: Path, restored: pci.State) -> None:
    script = tmp_path / "rebind.sh"
    script.write_text(exported(iommutui, "shell"))
    assert shell(script).returncode == 0
    text = exported(iommutui, "qemu")
    words = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    command = f"{' '.join(QEMU)} -monitor stdio {words}"
    ran = subprocess.run(["sh", "-c", command], input="info qtree\nquit\n", capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    for number, address in enumerate(CARD):
        assert f'host = "{address}"' in ran.stdout
        assert f"addr = 00.{number}" in ran.stdout
    assert shell(script, "revert").returncode == 0
    assert pci.State.now() == restored


LIBVIRTD = """\
unix_sock_group = "root"
auth_unix_rw = "none"
"""
QEMU_CONF = """\
user = "root"
group = "root"
security_driver = "none"
namespaces = []
stdio_handler = "file"
cgroup_controllers = []
"""
DOMAIN = """\
<domain type='qemu'><name>vm</name><memory unit='MiB'>64</memory>
<os><type arch='x86_64' machine='q35'>hvm</type></os>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
{}</devices></domain>
"""


def virsh(*words: str) -> str:
    done = subprocess.run(["virsh", "-c", "qemu:///system", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("libvirtd") is None, reason="libvirtd is not installed")
def test_libvirt_starts_with_the_card_and_returns_it(iommutui: Run, tmp_path: Path, restored: pci.State) -> None:
    Path("/etc/libvirt/qemu.conf").write_text(QEMU_CONF)
    for name, line in (
        ("passwd", "libvirt-qemu:x:64055:64055::/:/usr/sbin/nologin\n"),
        ("group", "libvirt-qemu:x:64055:\n"),
    ):
        # The daemon does not start without them; a package that starts it at boot would create them.
        with open(f"/etc/{name}", "a", encoding="utf-8") as file:
            file.write(line)
    (tmp_path / "libvirtd.conf").write_text(LIBVIRTD)
    (tmp_path / "vm.xml").write_text(DOMAIN.format(exported(iommutui, "libvirt")))
    daemon = subprocess.Popen(["libvirtd", "--config", str(tmp_path / "libvirtd.conf")])
    try:
        assert pci.wait_for(Path("/run/libvirt/libvirt-sock").exists, 180)
        virsh("define", str(tmp_path / "vm.xml"))
        virsh("start", "--paused", "vm")
        assert [pci.driver(address) for address in CARD] == ["vfio-pci"] * 4
        tree = virsh("qemu-monitor-command", "vm", "--hmp", "info qtree")
        for number, address in enumerate(CARD):
            assert f'host = "{address}"' in tree
            assert f"addr = 00.{number}" in tree
        virsh("destroy", "vm")
        assert [pci.driver(address) for address in CARD] == [restored.drivers[address] for address in CARD]
    finally:
        daemon.terminate()
        daemon.wait(60)
