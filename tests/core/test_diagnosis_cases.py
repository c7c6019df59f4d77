"""Public reports from people who set up passthrough, rebuilt as small machines outside the project."""

import tarfile
from pathlib import Path

import pytest

from iommutui.core.diagnosis import Diagnosis, explain
from iommutui.core.models import model_for
from iommutui.sources import load
from tests.shared import SHARED

TREES = SHARED / "cases" / "trees.tar.xz"
pytestmark = pytest.mark.skipif(not TREES.exists(), reason=f"no rebuilt reports in {SHARED}")

SET_IRQS = (
    "Failed to set up TRIGGER eventfd for interrupt INTX-0: VFIO_DEVICE_SET_IRQS failure: Device or resource busy"
)
RESET = "vfio: Cannot reset device 0000:14:00.3, no available reset mechanism."


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cases")
    with tarfile.open(TREES) as archive:
        archive.extractall(folder, filter="tar")
    return folder / "t"


def ask(trees: Path, tree: str, text: str) -> Diagnosis:
    host = load(str(trees / tree))
    return explain(host, text, model_for(host.kernel))


@pytest.mark.parametrize(
    ("tree", "text", "said"),
    [
        ("rpi5", "0001:01:00.0: probe with driver vfio-pci failed with error -22", "No setting or parameter"),
        ("novfio", "insmod: ERROR: could not load module vfio-pci: No such file or directory", "can be bound to it"),
        ("vmguest", "bind failed for 0000:02:06.0 - Cannot bind to driver vfio-pci: [Errno 22] Invalid argument",
         "no groups"),
        ("rhel8-noiommu", "write /sys/bus/pci/drivers/vfio-pci/bind: 0000:19:02.0: No such device", "VT-d"),
        ("igpu-typo", "vfio 0000:00:02.0: failed to open /dev/vfio/1: No such file or directory", "vfio-pci.ids="),
        ("kali-vtd-off", "vfio 0000:00:14.0: no iommu_group found: No such file or directory", "VT-d"),
        ("ryzen-off", "unsupported configuration: host doesn't support passthrough of host PCI devices", "AMD"),
        ("ryzen-off", "VFIO device assignment is currently not supported on this system", "AMD"),
        ("hpgen8", "failed to setup container for group 40: Failed to set group container: Invalid argument\n"
         "vfio-pci 0000:03:00.0: Firmware has requested this device have a 1:1 IOMMU mapping", "0xe8000-0xe8fff"),
        ("map39", "kvm: VFIO_MAP_DMA failed: Invalid argument", "address width"),
        ("d3cold", "vfio: Unable to power on device, stuck in D3", "vfio-pci.disable_idle_d3=1"),
        ("d3cold", "Unknown PCI header type '127' for device '0000:01:00.0'", "does not answer"),
        ("strix", "vfio-pci 0000:c3:00.0: BAR 0: can't reserve [mem 0x2800000000-0x2fffffffff 64bit pref]",
         "simple-framebuffer.0 >"),
        ("noreset", RESET, "has a bug"),
        ("noreset", RESET, "plan --card 0000:14:00.3"),
        ("qat", "0000:b1:01.0: write error: Invalid argument", "disable_denylist=1"),
        ("qat", "vfio-pci: probe of 0000:b1:01.0 failed with error -22", "disable_denylist=1"),
        ("switchport", "IOMMU group 30 has devices not bound to vfio-pci: Wrong driver devices: "
         "[('0000:04:00.0', 'pcieport')]", "blocks nothing"),
        ("bnx2x", "write /sys/bus/pci/drivers/bnx2x/bind: 0000:04:00.0: no such device", "nothing to do"),
        ("nvidia-open", "NVRM: Attempting to remove device 0000:07:00.0 with non-zero usage count!", "persistenced"),
        ("nvidia-kms", "NVRM: Attempting to remove device 0000:07:00.0 with non-zero usage count!", "nvidia_drm"),
        ("intx6", f"vfio 0000:01:00.0: {SET_IRQS}", "0000:00:1a.0=none"),
        ("intx", f"vfio 0000:01:04.0: {SET_IRQS}", "0000:00:1a.7=none"),
        ("nvgone", "nvidia: probe of 0000:01:00.0 failed with error -1\ncould not insert 'nvidia': No such device",
         "does not answer"),
    ],
)  # fmt: skip
def test_the_cause_that_helped_is_given(trees: Path, tree: str, text: str, said: str) -> None:
    assert said in " ".join(ask(trees, tree, text).sentences)


@pytest.mark.parametrize(
    ("tree", "text", "unsaid"),
    [
        ("rhel8-noiommu", "write /sys/bus/pci/drivers/vfio-pci/bind: 0000:19:02.0: write error: No such device",
         "nothing to unbind"),
        ("map39", "kvm: VFIO_MAP_DMA failed: Invalid argument", "in use by"),
        ("hpgen8", "kvm: VFIO_MAP_DMA failed: Invalid argument", "direct mapping"),
        ("strix", "vfio-pci 0000:c3:00.0: BAR 0: can't reserve [mem 0x2800000000]", "Add initcall_blacklist"),
        ("bnx2x", "write /sys/bus/pci/drivers/bnx2x/bind: 0000:04:00.0: no such device", "vfio-pci"),
        ("intx6", f"vfio 0000:01:00.0: {SET_IRQS}", "bound to vfio-pci already"),
        ("nvgone", "could not insert 'nvidia': No such device", "vfio-pci shows the writes"),
    ],
)  # fmt: skip
def test_causes_that_the_machine_rules_out_are_not_given(trees: Path, tree: str, text: str, unsaid: str) -> None:
    assert unsaid not in " ".join(ask(trees, tree, text).sentences)


@pytest.mark.parametrize(
    ("tree", "text", "said", "unsaid"),
    [
        ("vmd", "vfio-pci 10000:01:00.0: probe with driver vfio-pci failed with error -22", "a VMD", "Ask again"),
        ("xen-dom0", "vfio-pci 0000:00:14.0: probe with driver vfio-pci failed with error -22", "pciback", "modprobe"),
        ("noiommu", "vfio 0000:05:00.0: failed to setup container for group 0: No available IOMMU models",
         "no-IOMMU mode", "modprobe"),
        ("apu", "vfio 0000:05:00.0: Cannot reset device 0000:05:00.0, depends on group 22 which is not owned.",
         "stays with the host", "preview"),
        ("d3cold", "NVRM: GPU 0000:01:00.0: rm_init_adapter failed, device minor number 0", "all ones", "left it in"),
        ("nvidia-open", "rmmod: ERROR: Module nvidia_drm is in use", "persistenced (pid 900)", "Leave the module"),
        ("qat", "vfio-pci 0000:b1:00.0: probe with driver vfio-pci failed with error -22", "on its list", "VT-d"),
    ],
)  # fmt: skip
def test_facts_of_the_machine_select_the_causes(trees: Path, tree: str, text: str, said: str, unsaid: str) -> None:
    answer = " ".join(ask(trees, tree, text).sentences)
    assert said in answer
    assert unsaid not in answer
