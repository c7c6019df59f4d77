"""Recognising messages: real ones as people paste them, and their precedence."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iommutui.core.diagnosis import MESSAGES, explain, recognised
from iommutui.core.diagnosis.base import Message
from iommutui.core.diagnosis.paste import LIMIT, pattern, read
from iommutui.core.host import Host
from iommutui.core.models import Model
from tests.core.strategies import machines, models

TEXTS = (
    "for interrupt INTX-0: VFIO_DEVICE_SET_IRQS failure: Device or resource busy",
    "failed to open /dev/vfio/19: Operation not permitted vfio permission denied /sys/x/bind: permission denied",
    "bash: /sys/bus/pci/drivers/vfio-pci/new_id: write error: Invalid argument: No such device",
)


def names(text: str) -> list[str]:
    return [match.message.name for match in recognised(read(text))]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("group is not viable", "vfio error: 0000:09:00.0: group 17 is not viable"),
        ("group is not viable", "EAL: 0000:09:00.0 VFIO group is not viable! Not all devices in IOMMU group bound"),
        ("group is not viable", "Error booting VM: VmBoot(DeviceManager(VfioCreate(GroupViable)))"),
        ("no file of the group", "vfio 0000:09:00.0: failed to open /dev/vfio/17: No such file or directory"),
        ("no file of the group", 'VfioCreate(OpenGroup(Os { code: 2, kind: NotFound }, "17"))'),
        ("the group is busy", "EAL: Cannot open /dev/vfio/19: Device or resource busy"),
        ("another virtual machine has it", "PCI device 0000:0b:00.0 is in use by driver QEMU, domain win10"),
        ("container is refused", "EAL: 0000:09:00.0 failed to select IOMMU type"),
        ("no interrupt remapping", "DMAR-IR: Failed to enable irq remapping. You are vulnerable"),
        ("operation not permitted on a group's file", "failed to open /dev/vfio/vfio: Operation not permitted"),
        ("not assignable by Xen", "libxl: error: libxl_pci.c:1484: Domain 1:PCI device 0000:09:00.0 is not assignable"),
        ("switch without ACS", "unsupported configuration: PCI device 0000:09:00.0 is not assignable"),
        ("firmware's tables are broken", "Your BIOS is broken; DMAR reported at address fed90000 returns all ones!"),
        ("no file of no-IOMMU mode", "EAL: Cannot open /dev/vfio/noiommu-0: No such file or directory"),
        ("bind is refused", "TASK ERROR: Cannot bind 0000:09:00.0 to vfio"),
        ("a file below /sys is denied", "Cannot open /sys/bus/pci/drivers/vfio-pci/bind: [Errno 13] Permission denied"),
        ("driver and library differ", "Failed to initialize NVML: Driver/library version mismatch"),
        ("the card does not answer its driver", "xhci_hcd 09:00.2: xHCI host controller not responding, assume dead"),
        ("amdgpu cannot start the card", "[drm:amdgpu_ring_test_helper [amdgpu]] *ERROR* ring gfx test failed (-110)"),
        ("DMA mapping is invalid", "VfioMapRegion(IommuDmaMap(Error(22)))"),
        ("no memory to map for DMA", "VfioDmaMap(VfioDmaMap(Os { code: 12, kind: OutOfMemory }))"),
        ("a mapping failed", "qemu: hardware error: vfio: DMA mapping failed, unable to continue"),
        ("no such device", "interrupt INTX-0: VFIO_DEVICE_SET_IRQS failure: No such device"),
        ("errors on the PCI Express link", "pcieport 0000:00:01.1: DPC: containment event, status:0x1f01"),
        ("the group is busy", "TASK ERROR: PCI device '0000:0b:00.0' already in use by VMID '101'"),
        ("container is refused", "failed to setup container for group 23: Failed to set group container: EINVAL"),
        ("container is refused", "VfioCreate(ContainerSetIOMMU(Error(1)))"),
        ("no interrupt remapping", "vfio_iommu_type1_attach_group: No interrupt remapping support."),
        ("firmware asks for a 1:1 mapping", "is ineligible for IOMMU domain attach due to platform RMRR requirement."),
        ("host does not support passthrough", "cannot prepare PCI pass-through, IOMMU not present"),
        ("device has no IOMMU group", "vfio 0000:00:14.0: no iommu_group found: No such file or directory"),
        ("device is not on a VFIO driver", "Unmanaged PCI device 0000:09:00.0 must be manually detached from the host"),
        ("permission denied on a group's file", "Could not open '/dev/vfio/18': Permission denied"),
        ("operation not permitted on a group's file", "failed to open /dev/vfio/84: Operation not permitted"),
        ("/dev/vfio/vfio is denied", "failed to open /dev/vfio/vfio: Permission denied"),
        ("nothing at /dev/vfio/vfio", "failed to open /dev/vfio/vfio: No such file or directory"),
        ("no such host device", "not found: could not access /sys/bus/pci/devices/0000:44:00.0/config"),
        ("start timed out", "start failed: command '/usr/bin/kvm -id 100' failed: got timeout"),
        ("switch without ACS", "Device 0000:09:00.0 is behind a switch lacking ACS and cannot be assigned"),
        ("bind is refused", "tee: /sys/bus/pci/drivers/vfio-pci/bind: No such device"),
        ("bind is refused", "bind failed - Cannot bind to driver vfio-pci: [Errno 22] Invalid argument"),
        ("unbind is refused", "echo 0000:09:00.0 > /sys/bus/pci/drivers/nvidia/unbind: write error: No such device"),
        ("no such file of a driver", "/sys/bus/pci/devices/0000:09:00.0/driver/unbind: No such file or directory"),
        ("no such file of a driver", "sh: 1: cannot create /sys/bus/pci/drivers/vfio-pci/bind: Directory nonexistent"),
        ("a file below /sys is denied", "bash: /sys/bus/pci/drivers/vfio-pci/new_id: Permission denied"),
        ("the id is known", "Failed to add PCI device ID '10de 1c03' to vfio-pci: File exists"),
        ("an id is malformed", "echo 10de:1f08 > /sys/bus/pci/drivers/vfio-pci/new_id: write error: Invalid argument"),
        ("no reset by this file", "'/sys/bus/pci/devices/0000:09:00.0/reset': Inappropriate ioctl for device"),
        ("virtual functions are enabled", "echo 4 > sriov_numvfs: write error: Device or resource busy"),
        ("no framebuffer to unbind", "/sys/bus/platform/drivers/efi-framebuffer/unbind: write error: No such device"),
        ("no such console", "line 12: /sys/class/vtconsole/vtcon1/bind: No such file or directory"),
        ("probe failed", "vfio-pci: probe of 0000:b1:01.0 failed with error -22"),
        ("probe failed", "vfio-pci 0001:01:00.0: probe with driver vfio-pci failed with error -22"),
        ("probe failed", "vfio-pci 0000:b1:01.0: 8086:37c9 in vfio-pci device denylist, driver probing disallowed"),
        ("module not found", "modprobe: FATAL: Module vfio_virqfd not found in directory /lib/modules/6.5.0"),
        ("module not found", "error: internal error: Failed to load PCI stub module vfio-pci"),
        ("module is in use", "rmmod: ERROR: Module nvidia is in use by: nvidia_modeset"),
        ("module is built in or not there", "modprobe: FATAL: Module vfio is builtin."),
        ("module finds no device", "NVRM: The NVIDIA probe routine was not called for 1 device(s)."),
        ("module is not signed", "modprobe: ERROR: could not insert 'nvidia': Key was rejected by service"),
        ("module of another kernel", "modprobe: ERROR: could not insert 'nvidia': Exec format error"),
        ("nvidia waits at unbind", "NVRM: Attempting to remove device 0000:07:00.0 with non-zero usage count!"),
        ("the card does not answer its driver", "NVRM: Xid (PCI:0000:09:00): 79, GPU has fallen off the bus."),
        ("amdgpu cannot start the card", "amdgpu 0000:08:00.0: amdgpu: Fatal error during GPU init"),
        ("DMA mapping is invalid", "kvm: VFIO_MAP_DMA failed: Invalid argument"),
        ("no memory to map for DMA", "vfio_pin_pages_remote: RLIMIT_MEMLOCK (65536) exceeded"),
        ("bad address to map", "VFIO_MAP_DMA failed: Bad address"),
        ("DMA is blocked by the IOMMU", "AMD-Vi: Event logged [IO_PAGE_FAULT device=09:00.0 domain=0x000f"),
        ("DMA is blocked by the IOMMU", "DMAR: [DMA Write] Request device [0b:00.0] fault addr fef0e000 [fault"),
        ("the IOMMU waits for a device", "AMD-Vi: Completion-Wait loop timed out"),
        ("interrupt line cannot be shared", "genirq: Flags mismatch irq 16. 00000000 (vfio-intx(0000:01:00.0)) vs."),
        ("no interrupt vectors left", "for interrupt MSIX-0: VFIO_DEVICE_SET_IRQS failure: No space left on device"),
        ("unhandled interrupt", "irq 16: nobody cared (try booting with the irqpoll option)"),
        ("cannot reserve a BAR", "vfio-pci 0000:08:00.0: BAR 0 [mem 0xd0000000-0xdfffffff 64bit pref]: can't reserve"),
        ("cannot reserve a BAR", "vfio_region_write(0000:08:00.0:region1+0x1008) failed: Device or resource busy"),
        ("no address space for a BAR", "pci 0000:09:00.0: BAR 1 [mem size 0x10000000]: can't assign; no space"),
        ("the ROM cannot be read", "Cannot read device rom at 0000:09:00.0 Device option ROM contents are probably"),
        ("the device does not wake up", "internal error: Unknown PCI header type '127' for device '0000:01:00.0'"),
        ("no way to reset", "vfio: Cannot reset device 0000:14:00.3, no available reset mechanism."),
        ("not ready after a reset", "vfio-pci 0000:09:00.0: not ready 65535ms after FLR; giving up"),
        ("device is in use while it is unbound", 'Device is currently in use, task "bash" (1234) blocked until device'),
        ("errors on the PCI Express link", "pcieport 0000:00:03.1: PCIe Bus Error: severity=Corrected"),
        ("a note, not an error", "vfio-pci 0000:09:00.0: enabling device (0000 -> 0003)"),
        ("MSI-X table where it does not fit", "failed to add PCI capability 0x11: table & pba overlap, or do not fit"),
        ("bind is refused", "driverctl: failed to bind device 0000:09:00.0 to driver vfio-pci"),
        ("module not found", "mkinitcpio: ==> ERROR: module not found: 'vfio_virqfd'"),
        ("the group is busy", "internal error: Not reattaching active device 0000:0b:00.0"),
        ("probe failed", "amdgpu: probe of 0000:03:00.0 rejects match -19"),
        ("invalid argument", "write error: Invalid argument"),
    ],
)  # fmt: skip
def test_pasted_messages_are_recognised(name: str, text: str) -> None:
    assert names(text) == [name]


@pytest.mark.parametrize("text", ["everything is fine", "", "0000:01:00.0", "group 17", "nvidia is a driver"])
def test_other_text_is_not_recognised(text: str) -> None:
    assert names(text) == []


def test_every_message_has_a_unique_name() -> None:
    assert len({message.name for message in MESSAGES}) == len(MESSAGES)


PATTERNS = [text for message in MESSAGES for text in message.patterns.split(" | ")]
"""Every pattern in the tables."""


def filled(text: str) -> str:
    """A text that the pattern fits."""
    words = {"*": " ", "#": "7", "@": "0000:01:00.0", "!": "invalid argument", "<driver>": "nvme", "<module>": "nvme"}
    for token, word in words.items():
        text = text.replace(token, word)
    return text


@pytest.mark.parametrize("text", PATTERNS)
def test_every_pattern_recognises_its_message(text: str) -> None:
    """A text made from a pattern is recognised as that message or as a more specific one."""
    assert pattern(text)[0].search(read(filled(text)).squeezed)
    assert names(filled(text)) != []


@given(machines(), models, st.sampled_from(PATTERNS), st.sampled_from(["", "0000:01:00.0: ", "group 1: "]))
def test_every_message_has_whole_sentences_on_any_machine(host: Host, model: Model, text: str, about: str) -> None:
    for cause in explain(host, about + filled(text), model).causes:
        for sentence in (cause.text, cause.remedy):
            assert not re.search(r"\{|\}|\bNone\b|  |(?<!\.)\.\.(?!\.)", sentence), sentence


@given(st.permutations(MESSAGES), st.sampled_from(TEXTS))
def test_the_order_of_the_tables_does_not_matter(order: list[Message], text: str) -> None:
    assert [match.message.name for match in recognised(read(text), order)] == names(text)


def test_the_more_specific_message_is_chosen() -> None:
    busy = "for interrupt INTX-0: VFIO_DEVICE_SET_IRQS failure: Device or resource busy"
    assert names(busy) == ["interrupt line cannot be shared"]
    assert names("/dev/vfio/19: Device or resource busy") == ["the group is busy"]
    assert names("Device or resource busy") == ["device or resource busy"]
    assert names("VFIO_MAP_DMA failed: Invalid argument") == ["DMA mapping is invalid"]


def test_an_errno_counts_if_nothing_else_is_known() -> None:
    text = "vfio-pci: probe of 0000:b1:01.0 failed with error -22\nbash: echo: write error: Invalid argument"
    assert names(text) == ["probe failed"]


def test_a_note_counts_if_there_is_no_error() -> None:
    note = "vfio-pci 0000:09:00.0: enabling device (0000 -> 0003)"
    assert names(note) == ["a note, not an error"]
    assert names(f"{note}\nvfio-pci 0000:09:00.0: BAR 1: can't reserve [mem 0xd0000000]") == ["cannot reserve a BAR"]


def test_several_messages_in_one_text_are_all_explained() -> None:
    text = """vfio 0000:03:00.0: failed to setup container for group 40: Failed to set group container: Invalid argument
    [  123.456789] vfio-pci 0000:03:00.0: Firmware has requested this device have a 1:1 IOMMU mapping, rejecting"""
    assert names(text) == ["firmware asks for a 1:1 mapping", "container is refused"]


@pytest.mark.parametrize(
    "text",
    [
        "kvm: VFIO_MAP_DMA failed: Invalid argument",
        "KVM: VFIO_MAP_DMA FAILED: INVALID ARGUMENT",
        "Jun 04 07:25:13 pve1 QEMU[3989106]: kvm: VFIO_MAP_DMA failed: Invalid argument",
        "[ 1692.021403] kvm: VFIO_MAP_DMA failed: Inva\n[ 1692.021404] lid argument",
        "2022-07-02T19:41:18.784519Z qemu-kvm: VFIO_MAP_DMA\n   failed:\n\n   Invalid argument",
        "> kvm: VFIO_MAP_DMA failed: \u2018Invalid argument\u2019",
        "kvm: 'VFIO_MAP_DMA' failed: EINVAL",
        "kvm: VFIO_MAP_DMA failed: (os error 22)",
        "kvm: vfio_dma_map(0x5e043daea2f0, 0x380000000000, 0x10000000, 0x771a38000000) = -22",
    ],
)
def test_wrapping_prefixes_quotes_and_numbers_do_not_matter(text: str) -> None:
    assert names(text) == ["DMA mapping is invalid"]


@pytest.mark.parametrize(
    "text",
    [
        "vfio 0000:0a:00.1: failed",
        "-device vfio-pci,host=0a:00.1,id=x",
        "pci_0000_0a_00_1",
        "Request device [0a:00.1] fault",
        "/sys/devices/pci0000:00/0000:00:03.1/0000:09:00.0/0000:0a:00.1/driver",
        "<address domain='0x0000' bus='0x0a' slot='0x00' function='0x1'/>",
        "--device path=/sys/bus/pci/devices/0000\\:0a\\:00.1/",
        "(00000000:0a:00.1)",
        "device=0A:00.1 domain=0x000f",
    ],
)
def test_every_spelling_of_an_address_is_read(text: str) -> None:
    assert [address for _, address in read(text).addresses] == ["0000:0a:00.1"]


@pytest.mark.parametrize("text", ["at 07:25:13.041 it failed", "version 10.0:12", "2022-07-02T19:41:18.784519Z x"])
def test_invalid_addresses_are_not_read(text: str) -> None:
    assert read(text).addresses == ()


def test_a_message_is_about_the_address_in_it_or_before_it() -> None:
    paste = read("pci 0000:01:00.0: hello vfio 0000:02:00.0: group 3 is not viable 0000:03:00.0")
    (match,) = recognised(paste)
    assert paste.address_at(match.start, match.end) == "0000:02:00.0"
    assert paste.address_at(0, 4) == "0000:01:00.0"
    inside = read("0000:01:00.0 Cannot reset device 0000:02:00.0, no available reset mechanism")
    assert inside.address_at(12, len(inside.squeezed)) == "0000:02:00.0"


@pytest.mark.parametrize(
    ("text", "driver", "group"),
    [
        ("/sys/bus/pci/drivers/bnx2x/bind: 0000:04:00.0", "bnx2x", None),
        ("/sys/bus/pci/devices/0000:04:00.0/driver/unbind", None, None),
        ("Cannot bind to driver vfio-pci: x", "vfio-pci", None),
        ("echo x > vfio-pci/new_id", "vfio-pci", None),
        ("/dev/vfio/noiommu-4: x", None, 4),
        ("IOMMU group 30 has", None, 30),
        ("/sys/kernel/iommu_groups/7/type", None, 7),
        ("no group here", None, None),
    ],
)
def test_names_in_a_path_are_read(text: str, driver: str | None, group: int | None) -> None:
    paste = read(text)
    assert (paste.driver, paste.group) == (driver, group)


def test_only_the_end_of_a_long_log_is_read() -> None:
    assert names("x" * LIMIT + "group 17 is not viable") == ["group is not viable"]
    assert names("group 17 is not viable" + "x" * LIMIT) == []


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    recognised(read(text))
