"""Processes that have a device open, and settings by id, found in trees of files."""

from pathlib import Path

import pytest

from iommutui.core.uses import ById, Opener
from tests.sources.used import A, B, C, Machine


def test_processes_with_a_devices_nodes_open_are_found(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.class_device("drm", "card0", A)
    machine.class_device("drm", "card0-DP-1", A)
    machine.class_device("drm", "renderD128", A)
    machine.class_device("sound", "pcmC0D0p", B)
    machine.tree.process(1, "init", "/dev/null").process(20, "Xorg", "/dev/dri/card0", "/dev/dri/card0", "socket:[1]")
    machine.tree.process(30, "pipe\x1bwire", "/dev/snd/pcmC0D0p", "/dev/dri/card9")
    uses = machine.uses()
    assert uses.openers == (
        Opener(A, "Xorg", 20, "/dev/dri/card0"),
        Opener(B, "pipe\x1bwire", 30, "/dev/snd/pcmC0D0p"),
    )
    assert uses.gap("openers") == ""


def test_nvidias_nodes_are_assigned_by_its_list_or_to_every_device(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.tree.bind(A, "nvidia").bind(B, "nvidia").bind(C, "amdgpu")
    machine.tree.process(1, "init").process(20, "llm", "/dev/nvidia1", "/dev/nvidiactl", "/dev/kfd")
    compute = (C, "/dev/kfd")
    assert [(o.device, o.node) for o in machine.uses().openers] == [compute, (A, "/dev/nvidia1"), (B, "/dev/nvidia1")]
    for address, minor in ((A, 0), (B, 1)):
        place = f"proc/driver/nvidia/gpus/{address}/information"
        machine.tree.file(place, f"Model: \t RTX\nDevice Minor: \t {minor}\n")
    assert [(o.device, o.node) for o in machine.uses().openers] == [compute, (B, "/dev/nvidia1")]


def test_hidden_processes_are_a_gap(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.class_device("drm", "card0", A)
    assert machine.uses().gap("openers") == "not-recorded"
    machine.tree.process(20, "Xorg", "/dev/dri/card0")
    (machine.tree.root / "proc/30").mkdir()
    (machine.tree.root / "proc/30/fd").symlink_to("fd")
    uses = machine.uses()
    assert [o.name for o in uses.openers] == ["Xorg"]
    assert uses.gap("openers") == "ELOOP"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("options vfio-pci ids=10de:2204,10DE:1aef disable_vga=1\n", ("vfio-pci", ("10de:2204", "10de:1aef"))),
        ("  options vfio_pci disable_idle_d3=1 \\\n ids=10de:2204\n", ("vfio-pci", ("10de:2204",))),
        ("options pci-stub ids=10de:2204\n", ("pci-stub", ("10de:2204",))),
        ("#options vfio-pci ids=10de:2204\n", None),
        ("options kvm ids=10de:2204\n", None),
        ("options vfio-pci noids=10de:2204\n", None),
        ("\xff\n", None),
    ],
)
def test_settings_by_id_are_read(machine: Machine, text: str, expected: tuple[str, tuple[str, ...]] | None) -> None:
    machine.tree.file("etc/modprobe.d/vm.conf", text).file("etc/modprobe.d/vm.conf.bak", "options vfio-pci ids=1:1\n")
    assert machine.uses().by_id == (((ById(*expected, "/etc/modprobe.d/vm.conf")),) if expected else ())
