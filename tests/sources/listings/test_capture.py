"""The script that records a machine without iommutui: its output opens as the same machine."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from iommutui.core.errors import SourceError
from iommutui.core.redact import redact
from iommutui.sources import load, open_text
from tests.fake_tree import FakeTree

SCRIPT = Path(__file__).parents[3] / "iommutui/sources/capture.sh"
SECRETS = ("0a1b2c3d", "alice-laptop", "aabbccddeeff", "SERIAL-4711", "my-volume", "hunter2")


def machine(path: Path) -> FakeTree:
    """A small machine with a secret in every place that can hold one."""
    tree = FakeTree(path)
    tree.device("0000:00:01.0", device="1901", class_code="060400", header_type=1, driver="pcieport", group=1)
    tree.device("0000:01:00.0", vendor="10de", device="2204", class_code="030000", driver="nvidia", group=1,
                parent="0000:00:01.0", files={"serial_number": "SERIAL-4711\n", "boot_vga": "1\n"})  # fmt: skip
    tree.device("0000:01:00.1", vendor="10de", device="1aef", class_code="040300", group=1, override="vfio-pci",
                parent="0000:00:01.0")  # fmt: skip
    tree.device("0000:02:00.0", driver="e1000e", files={"net/enxaabbccddeeff/address": "aa:bb:cc:dd:ee:ff\n"})
    tree.file(
        "proc/cmdline", 'root=UUID=0a1b2c3d quiet intel_iommu=on key="hunter2 alice-laptop" rd.lvm.lv=my-volume\n'
    )
    tree.file("etc/hostname", "alice-laptop\n")
    return tree


def captured(root: str, shell: str = "sh") -> str:
    """The script's output for a tree."""
    done = subprocess.run([*shell.split(), str(SCRIPT), root], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout


def test_the_output_opens_as_the_tree_does(tmp_path: Path) -> None:
    tree = machine(tmp_path)
    host = redact(load(os.fspath(tree)))
    again = redact(open_text(captured(os.fspath(tree))).host)
    assert again.devices == host.devices
    assert again.groups == host.groups
    assert (again.kernel, again.cmdline, again.drivers, again.iommus) == (
        host.kernel, host.cmdline, host.drivers, host.iommus)  # fmt: skip
    assert open_text(f"Here it is:\n```\n{captured(os.fspath(tree))}```\n").host.devices == again.devices


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox sh"])
def test_every_shell_prints_the_same(tmp_path: Path, shell: str) -> None:
    if shutil.which(shell.split()[0]) is None:
        pytest.skip(f"no {shell}")
    tree = os.fspath(machine(tmp_path))
    assert captured(tree, shell) == captured(tree)


def test_a_tree_without_proc_is_captured_without_messages(tmp_path: Path) -> None:
    tree = machine(tmp_path)
    shutil.rmtree(tmp_path / "proc")
    assert open_text(captured(os.fspath(tree))).host.devices.keys() == load(os.fspath(tree)).devices.keys()


def test_the_output_contains_no_secret(tmp_path: Path) -> None:
    text = captured(os.fspath(machine(tmp_path)))
    assert [secret for secret in SECRETS if secret in text] == []


def test_a_capture_cannot_write_or_link_outside(tmp_path: Path) -> None:
    text = captured(os.fspath(machine(tmp_path)))
    evil = f"{text}[sys/../../../tmp]\nx=1\n[sys/bus]\n../../../../tmp/y=1\nz>/etc/passwd\n[etc]\nq=1\n"
    assert open_text(evil).host == open_text(text).host
    assert not any(os.path.lexists(f"/tmp/{name}") for name in "xy")


def test_a_capture_of_another_version_is_refused() -> None:
    with pytest.raises(SourceError, match="another version"):
        open_text("iommutui-capture 7\n[sys/bus/pci/devices]\n")


def test_the_script_passes_shellcheck() -> None:
    try:
        done = subprocess.run(["shellcheck", "-s", "sh", str(SCRIPT)], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no shellcheck")
    assert done.stdout == ""
