"""The causes of an error message on a machine, and those that the machine rules out."""

from typing import Any

import pytest

from iommutui.core.address import Address
from iommutui.core.diagnosis import Diagnosis, explain
from iommutui.core.host import Details, Driver, Gap, Group, Host, Iommu, Region
from iommutui.core.models import model_for
from iommutui.core.uses import Opener, Screen, Uses
from iommutui.demo import demo_host
from tests.core.machines import LAST_OLD, OLD, A, B, bridge, function, group_of, machine, one, pair

NOT_VIABLE = "qemu-system-x86_64: vfio 0000:09:00.0: group 17 is not viable"
BUSY = "bash: echo: write error: Device or resource busy"
RESERVE = "vfio-pci 0000:08:00.0: BAR 0: can't reserve [mem 0xd0000000-0xdfffffff 64bit pref]"
DEPENDS = "vfio: Cannot reset device 0000:09:00.0, depends on group 16 which is not owned."
CONTAINER = "failed to setup container for group 23: Failed to set iommu for container: Operation not permitted"
MAP = "vfio_dma_map(0x5e043daea2f0, 0x380000000000, 0x10000000, 0x771a38000000) = -22 (Invalid argument)"


def ask(text: str, host: Host | None = None, **about: Any) -> Diagnosis:
    host = host or demo_host()
    return explain(host, text, model_for(host.kernel), **about)


def codes(text: str, host: Host | None = None, **about: Any) -> list[str]:
    return [str(cause.code) for cause in ask(text, host, **about).causes]


def remedy(text: str, host: Host | None = None) -> str:
    return ask(text, host).causes[0].remedy


def without_claim(host: Host, group: int) -> Host:
    return host.with_group(host.groups[group]._replace(claim=None))


def off(**facts: Any) -> Host:
    """A machine whose IOMMU is off."""
    return machine(lone=[function(A, **facts)])._replace(iommus=(), cpu_vendor="GenuineIntel")


# -- groups and VFIO's files


def test_not_viable_names_each_blocking_driver() -> None:
    causes = ask(NOT_VIABLE).causes
    assert [cause.device for cause in causes] == [f"0000:09:00.{n}" for n in range(4)]
    assert {str(cause.code) for cause in causes} == {"kernel-driver"}


def test_a_group_that_is_viable_now_is_reported_as_such() -> None:
    assert codes("vfio: error, group 18 is not viable") == ["works-now"]


def test_a_tool_that_wants_a_bridge_on_vfio_is_wrong() -> None:
    tool = "IOMMU group 1 has devices not bound to vfio-pci: Wrong driver devices: [('0000:01:00.0', 'pcieport')]"
    host = machine(group_of(1, bridge(A), function(B, "vfio-pci")))
    assert codes(tool, host) == ["bridge-not-in-the-way"]
    assert codes(tool, machine(group_of(1, bridge(A), function(B, "amdgpu")))) == ["kernel-driver"]


def test_a_group_that_does_not_exist_here_is_named() -> None:
    assert codes("group 99 is not viable") == ["group-missing"]
    assert codes(DEPENDS.replace("group 16", "group 99")) == ["group-missing"]


def test_a_device_that_does_not_exist_here_is_named() -> None:
    assert codes("vfio 0000:77:00.0: group 17 is not viable")[0] == "no-device"
    assert codes("echo 0000:77:00.0 > vfio-pci/bind: No such device") == ["no-device"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Could not open '/dev/vfio/18': Permission denied", ["node-permissions"]),
        ("Could not open '/dev/vfio/17': No such file or directory", ["no-vfio-node"]),
        ("Could not open '/dev/vfio/18': No such file or directory", ["node-not-visible"]),
        ("failed to open /dev/vfio/19: Operation not permitted", ["device-cgroup"]),
        ("failed to open /dev/vfio/19: Device or resource busy", ["owned"]),
        ("failed to open /dev/vfio/18: Device or resource busy", []),
        ("failed to open /dev/vfio/vfio: Permission denied", ["control-file-permissions"]),
        ("failed to open /dev/vfio/vfio: No such file or directory", ["no-type1"]),
        ("group 17 used in multiple address spaces", ["one-address-space"]),
        ("Unmanaged PCI device 0000:0b:00.0 must be manually detached from the host", ["owned"]),
    ],
)
def test_errors_of_the_files_of_vfio_are_explained(text: str, found: list[str]) -> None:
    assert codes(text) == found


def test_a_group_without_isolation_cannot_be_used_by_a_virtual_machine() -> None:
    text = "failed to setup container for group 1: Failed to set iommu for container: Invalid argument"
    host = one("vfio-pci")
    assert codes(text, host) == []
    free = host.with_group(host.groups[1]._replace(name="vfio-noiommu"))
    assert codes(text, free) == ["no-iommu-mode"]
    assert codes("failed to open /dev/vfio/1: No such file or directory", free) == ["no-iommu-mode"]


def test_a_refused_container_is_explained() -> None:
    assert codes(CONTAINER) == ["direct-region", "no-interrupt-remapping"]
    assert codes(CONTAINER.replace("23", "18")) == ["no-interrupt-remapping"]
    assert codes(CONTAINER.replace("23", "18"), demo_host()._replace(interrupt_remapping=True)) == []
    assert codes(CONTAINER.replace("Operation not permitted", "Invalid argument")) == ["direct-region"]
    assert codes(CONTAINER.replace("Operation not permitted", "Invalid argument").replace("23", "18")) == []


def test_firmwares_requirements_are_named_if_known() -> None:
    text = "Firmware has requested this device have a 1:1 IOMMU mapping, rejecting configuring the device without"
    known = one("vfio-pci", kernel="6.8.0")
    known = known.with_group(known.groups[1]._replace(regions=(Region(0xE8000, 0xE8FFF, "direct"),)))
    assert "0xe8000-0xe8fff for group 1" in ask(f"vfio-pci {A}: {text}", known).causes[0].text
    assert "for 0000:01:00.0" in ask(f"vfio-pci {A}: {text}", one("vfio-pci")).causes[0].text


@pytest.mark.parametrize(
    "text",
    [
        f"vfio {A}: no iommu_group found: No such file or directory",
        "unsupported configuration: host doesn't support passthrough of host PCI devices",
        "argument unsupported: VFIO device assignment is currently not supported on this system",
        "TASK ERROR: cannot prepare PCI pass-through, IOMMU not present",
        f"Error: bind failed for {A} - Cannot bind to driver vfio-pci: [Errno 22] Invalid argument",
        f"vfio-pci {A}: probe with driver vfio-pci failed with error -22",
        f'VfioNoIommuGroup("/sys/bus/pci/devices/{A}/iommu_group")',
    ],
)
def test_an_iommu_that_is_off_is_the_cause(text: str) -> None:
    assert codes(text, off())[0] in ("no-group", "no-iommu")
    assert "VT-d" in remedy(text, off())
    assert not {"no-group", "no-iommu"} & set(codes(text, one("amdgpu")))


def test_an_iommu_that_covers_other_devices_only_is_the_cause() -> None:
    text = f"vfio-pci {A}: probe with driver vfio-pci failed with error -22"
    chip = function(Address("1000880000.pisp_be"), bus="platform")
    soc = machine(group_of(0, chip), lone=[function(A)])
    assert "No setting or parameter" in remedy(text, soc)
    assert "covers other devices" in remedy(text, machine(group_of(0, function(B)), lone=[function(A)]))


def test_a_reset_that_reaches_another_group_is_explained() -> None:
    (cause,) = ask(DEPENDS).causes
    assert (cause.code, cause.group, cause.device) == ("reset-reaches-group", 16, "0000:08:00.1")
    assert "0000:08:00.1=vfio-pci" in cause.remedy
    (given,) = ask(DEPENDS.replace("group 16", "group 18")).causes
    assert given.remedy == "Give this device to the same virtual machine."
    assert "which is free" in ask(DEPENDS.replace("group 16", "group 23")).causes[0].text


def test_a_bridge_need_not_be_handed_over_for_a_reset() -> None:
    devices = [cause.device for cause in ask(DEPENDS.replace("group 16", "group 12")).causes]
    assert devices[:2] == ["0000:02:00.0", "0000:02:00.1"]
    assert "0000:02:00.2" not in devices


# -- writes and probes


def test_busy_is_explained_by_a_group_in_use() -> None:
    assert codes(BUSY) == ["owned"]
    assert codes(BUSY, without_claim(demo_host(), 19)) == []


def test_busy_is_explained_by_a_bound_device() -> None:
    assert codes("echo 0000:09:00.0 > bind: write error: Device or resource busy")[0] == "already-bound"


def test_busy_is_explained_by_virtual_functions() -> None:
    host = without_claim(demo_host(), 19)
    nic = host.devices[Address("0000:05:00.0")]
    enabled = host.with_device(nic._replace(driver=None, virtfns=(Address("0000:05:10.0"),)))
    assert "vfs-enabled" in codes(f"0000:05:00.0: {BUSY}", enabled)


def test_busy_mentions_what_only_root_can_see() -> None:
    host = without_claim(demo_host(), 19)._replace(gaps=(Gap("claims", "EACCES"),))
    assert codes(BUSY, host) == ["unknown-owner"]


def test_a_device_already_on_the_driver_of_the_path_needs_nothing() -> None:
    text = f"write /sys/bus/pci/drivers/nvme/bind: {A}: no such device"
    host = one("nvme", kernel="5.14.21")
    assert codes(text, host) == ["already-bound"]
    assert "nothing to do" in remedy(text, host)
    elsewhere = codes(text, one("amdgpu", kernel="5.14.21"))
    assert elsewhere == ["already-bound"]
    assert f"{A}=nvme" in remedy(text, one("amdgpu", kernel="5.14.21"))


def test_the_causes_are_about_the_driver_in_the_path() -> None:
    """For a write to another driver's file, no cause is about vfio-pci."""
    causes = ask(f"write /sys/bus/pci/drivers/nvme/bind: {A}: no such device", one("amdgpu")).causes
    assert not any("vfio-pci" in cause.text + cause.remedy for cause in causes)


@pytest.mark.parametrize(
    ("text", "causes"),
    [
        ("echo 0000:09:00.0 > vfio-pci/bind: No such device", ["no-match"]),
        ("echo 0000:09:00.0 > /sys/bus/pci/drivers/amdgpu/unbind: write error: No such device", ["bound-elsewhere"]),
        ("echo 0000:0d:00.0 > vfio-pci/unbind: No such device", ["not-bound"]),
        ("tee: /sys/bus/pci/devices/0000:0d:00.0/driver/unbind: No such file or directory", ["not-bound"]),
        ("bash: /sys/bus/pci/drivers/nonesuch/bind: No such file or directory", ["driver-not-loaded"]),
        ("bash: /sys/bus/pci/drivers/vfio-pci/bind: No such file or directory", ["works-now"]),
        ("0000:00:03.2: write error: Invalid argument", ["bridge"]),
        ("write error: No such device", []),
        ("write /sys/bus/pci/drivers/vfio-pci/new_id: file exists", ["id-known"]),
        ("echo 10de 1f08 > /sys/bus/pci/drivers/vfio-pci/remove_id: write error: No such device", ["id-unknown"]),
        ("bash: /sys/bus/pci/drivers/vfio-pci/new_id: Permission denied", ["not-root"]),
    ],
)  # fmt: skip
def test_errors_of_writes_are_explained(text: str, causes: list[str]) -> None:
    assert codes(text)[: len(causes) or 1] == causes


def test_a_write_to_a_device_without_group_is_about_the_iommu() -> None:
    """Before 5.15, a bind returns ENODEV whatever the probe returns."""
    text = f"write /sys/bus/pci/drivers/vfio-pci/bind: {A}: write error: No such device"
    assert codes(text, off(driver_override="vfio-pci")._replace(kernel="4.18.0")) == ["no-group"]
    assert "nothing to unbind" not in remedy(text, off())


@pytest.mark.parametrize("text", ["write error: Invalid argument", "vfio-pci: probe of {} failed with error -22"])
def test_a_device_on_the_denylist_is_explained(text: str) -> None:
    text = f"{A}: {text.format(A)}"
    refused = machine(group_of(1, function(A, vendor_id="8086", device_id="37c9", driver_override="vfio-pci")))
    assert codes(text, refused) == ["denylisted"]
    assert "Add vfio-pci.disable_denylist=1" in remedy(text, refused)
    assert "denylisted" not in codes(text, refused._replace(cmdline="vfio-pci.disable_denylist=1"))
    assert codes(text, refused._replace(cmdline="vfio_pci.disable_denylist=0")) == ["denylisted"]
    assert "denylisted" not in codes(text, one(driver_override="vfio-pci"))


def test_the_denylist_is_not_blamed_for_a_bound_device() -> None:
    bound = machine(group_of(1, function(A, "vfio-pci", vendor_id="8086", device_id="37c9")))
    text = f"echo {A} > /sys/bus/pci/drivers/vfio-pci/bind: write error: Device or resource busy"
    assert "denylisted" not in codes(text, bound)


def test_a_bind_that_would_work_now_is_reported_as_such() -> None:
    text = f"echo {A} > /sys/bus/pci/drivers/vfio-pci/bind: write error: No such device"
    assert codes(text, one(driver_override="vfio-pci")) == ["works-now"]


def test_busy_on_old_kernels_is_not_explained_by_refused_drivers() -> None:
    """Up to 5.18 no bind is refused, and before 5.15 a bind of a bound device returns ENODEV."""
    invalid = BUSY.replace("Device or resource busy", "Invalid argument")
    assert "owned" in codes(invalid)
    assert "owned" not in codes(invalid, demo_host()._replace(kernel=LAST_OLD))
    bound = f"{A}: write error: Device or resource busy"
    assert "already-bound" in codes(bound, one("amdgpu"))
    assert "already-bound" not in codes(bound, one("amdgpu", kernel="5.14.0"))


def test_the_firmware_framebuffer_may_have_another_name_or_be_gone() -> None:
    text = "echo efi-framebuffer.0 > /sys/bus/platform/drivers/efi-framebuffer/unbind: write error: No such device"
    host = one("amdgpu")._replace(uses=Uses())
    assert codes(text, host) == ["no-framebuffer"]
    assert "simple-framebuffer.0" in remedy(text, host)
    script = "/bin/vfio-startup.sh: line 123: echo: write error: No such device"
    assert codes(script, host) == ["no-framebuffer"]
    assert codes(script, host._replace(uses=Uses(screens=(Screen(A, firmware="simpledrm"),)))) == []


# -- modules


def test_a_missing_module_is_explained() -> None:
    assert codes("modprobe: FATAL: Module vfio_virqfd not found", one()) == ["part-of-vfio"]
    assert codes("modprobe: FATAL: Module vfio_virqfd not found", one(kernel=OLD)) == ["no-such-module"]
    insmod = "insmod: ERROR: could not load module vfio-pci: No such file or directory"
    assert codes(insmod, one()) == ["driver-there"]
    lacking = one()._replace(drivers=(Driver("igb", "igb"),))
    assert codes(insmod, lacking) == ["no-such-module"]
    assert "nothing can be bound to it" in ask(insmod, lacking).causes[0].text


def test_a_module_that_is_in_use_names_its_devices_and_programs() -> None:
    text = "modprobe: FATAL: Module nvidia_drm is in use."
    assert (
        ask(text, one("nvidia")._replace(uses=Uses(openers=(Opener(A, "Xorg", 7, "/dev/nvidia0"),))))
        .causes[0]
        .text.startswith("0000:01:00.0 is on nvidia, and Xorg (pid 7)")
    )
    assert ask(text, one("amdgpu")).causes[0].device is None


def test_a_driver_that_finds_no_card_is_explained() -> None:
    text = "modprobe: ERROR: could not insert 'nvidia': No such device"
    card = function(A, "vfio-pci", vendor_id="10de")
    assert codes(text, machine(group_of(1, card))) == ["card-taken"]
    gone = machine(group_of(1, card._replace(driver=None, details=Details(config_answers=False))))
    assert codes(text, gone) == ["not-responding"]
    assert codes(text, one("amdgpu")) == ["no-card"]


def test_a_waiting_unbind_of_nvidia_names_the_process() -> None:
    text = f"NVRM: Attempting to remove device {A} with non-zero usage count!"
    held = one("nvidia")._replace(uses=Uses(openers=(Opener(A, "nvidia-persistenced", 900, "/dev/nvidia0"),)))
    assert "nvidia-persistenced (pid 900)" in ask(text, held).causes[0].text
    assert "it is the kernel" in ask(text, one("nvidia")._replace(uses=Uses())).causes[0].text


# -- memory and interrupts


def wide(*regions: Region, width: int | None = None) -> Host:
    host = one("vfio-pci")
    return host.with_group(Group(1, (A,), regions=regions))._replace(
        iommus=(Iommu("dmar0", "intel-iommu", width=width),)
    )


def test_a_mapping_beyond_the_width_of_the_iommu_is_explained() -> None:
    assert codes(MAP, wide()) == ["iova-too-wide"]
    assert "(46 bits)" not in "".join(cause.text for cause in ask(MAP, wide(width=46)).causes)
    assert codes(MAP, wide(width=48)) == []
    assert "(39 bits)" in ask(MAP, wide(width=39)).causes[0].text
    across = MAP.replace("0x380000000000, 0x10000000", "0x7ffffff000, 0x2000")
    assert codes(across, wide(width=39)) == ["iova-too-wide"]
    assert codes(across.replace("0x2000", "0x1000"), wide(width=39)) == []
    assert codes("VFIO_MAP_DMA failed: Invalid argument") == ["iova-too-wide"]


def test_a_mapping_in_a_reserved_region_is_explained() -> None:
    low = MAP.replace("0x380000000000", "0xfee00000")
    msi = Region(0xFEE00000, 0xFEEFFFFF, "msi")
    assert codes(low, wide(msi)) == ["iova-reserved"]
    assert codes(low, wide()) == []
    assert codes(MAP, wide(msi)) == ["iova-too-wide"]


def test_a_limit_of_locked_memory_is_explained() -> None:
    assert codes("vfio_pin_pages_remote: RLIMIT_MEMLOCK (65536) exceeded") == ["memlock-limit"]
    assert codes("VFIO_MAP_DMA failed: Cannot allocate memory") == ["memlock-limit"]


@pytest.mark.parametrize(
    ("driver", "said"), [("vfio-pci", "guest's driver"), ("amdgpu", "a host driver"), (None, "has no driver")]
)
def test_an_iommu_fault_names_the_device_and_its_user(driver: str | None, said: str) -> None:
    text = (
        "DMAR: [DMA Read NO_PASID] Request device [01:00.0] fault addr 0x9c000000 [fault reason 0x06] PTE Read access"
    )
    (cause,) = ask(text, one(driver)).causes
    assert cause.device == A
    assert said in cause.text


def on_lines(*lines: int) -> Host:
    drivers = ("vfio-pci", "nvme")
    devices = [function(a, d, details=Details(irq=n)) for a, d, n in zip((A, B), drivers, lines, strict=True)]
    return machine(group_of(1, devices[0]), group_of(2, devices[1]))


@pytest.mark.parametrize(
    "text",
    [
        f"vfio {A}: Failed to set up TRIGGER eventfd signaling for interrupt INTX-0: VFIO_DEVICE_SET_IRQS failure: "
        "Device or resource busy",
        f"genirq: Flags mismatch irq 16. 00000000 (vfio-intx({A})) vs. 00000080 (nvme)",
    ],
)
def test_a_shared_interrupt_line_is_explained(text: str) -> None:
    (cause,) = ask(text, on_lines(16, 16)).causes
    assert (cause.code, cause.device) == ("interrupt-shared", B)
    assert f"{B}=none" in cause.remedy
    assert codes(text, on_lines(16, 17)) == ["interrupt-taken"]
    itself = on_lines(16, 17)
    itself = itself.with_device(itself.devices[A]._replace(driver="nvme"))
    assert codes(text, itself) == ["interrupt-taken"]


# -- the card


def test_a_bar_that_the_boot_display_has_is_explained() -> None:
    (cause,) = ask(RESERVE).causes
    assert (cause.code, cause.device) == ("boot-framebuffer", "0000:08:00.0")
    assert "bind the card to it once more" in cause.remedy
    assert "sysfb_init" in remedy(RESERVE, demo_host()._replace(kernel="5.10.0"))
    assert codes("vfio-pci 0000:0a:00.0: BAR 0: can't reserve [mem 0xfc000000]") == ["region-taken"]


def test_a_framebuffer_is_unbound_by_name_and_existing_settings_are_not_advised() -> None:
    text = f"vfio-pci {A}: BAR 0: can't reserve [mem 0x2800000000-0x2fffffffff 64bit pref]"
    host = one("vfio-pci", class_code="038000")._replace(uses=Uses(screens=(Screen(A, firmware="simpledrm"),)))
    assert "drivers/simple-framebuffer/unbind" in remedy(text, host)
    assert "Add initcall_blacklist=sysfb_init" in remedy(text, host)
    assert "already" in remedy(text, host._replace(cmdline="quiet initcall_blacklist=sysfb_init"))
    assert "most likely" not in ask(text, host).causes[0].text


def test_a_device_that_sleeps_or_is_gone_is_explained() -> None:
    text = f"vfio-pci {A}: Unable to change power state from D3cold to D0, device inaccessible"
    assert codes(text, one("vfio-pci")) == ["runtime-power"]
    assert codes(text, one("vfio-pci", details=Details(config_answers=False))) == ["not-responding"]
    assert "Add vfio-pci.disable_idle_d3=1" in remedy(text, one("vfio-pci"))
    assert "already" in remedy(text, one("vfio-pci")._replace(cmdline="vfio-pci.disable_idle_d3=1"))


def test_an_unreadable_rom_is_explained() -> None:
    text = f"vfio-pci {A}: Invalid PCI ROM header signature: expecting 0xaa55, got 0xffff"
    assert codes(text, one("vfio-pci")) == ["rom-unreadable"]
    assert codes(text, one("vfio-pci", details=Details(config_answers=False))) == ["not-responding"]


def test_a_card_that_only_a_bus_reset_resets_is_explained() -> None:
    text = f"vfio: Cannot reset device {A}, no available reset mechanism."
    port = Address("0000:00:01.0")
    card = pair("vfio-pci", "amdgpu")
    for device in list(card.devices.values()):
        card = card.with_device(device._replace(parent=port, details=Details(reset_methods=("bus",))))
    assert codes(text, card) == ["bus-reset"]
    assert f"still on the host: {B} on amdgpu" in ask(text, card).causes[0].text
    assert codes(text, card._replace(kernel="6.12.23"))[0] == "reset-regression"
    broken, sound = ("6.14.3-arch1-1", "6.1.134", "6.13.12", "6.15.0-rc2+"), ("6.14.4", "6.14.20", "6.15.0", "5.15.181")
    for kernel in (*broken, *sound):
        assert ("reset-regression" in codes(text, card._replace(kernel=kernel))) is (kernel in broken)
    assert codes(text, one("vfio-pci", details=Details(reset_methods=()))) == ["no-reset"]
    assert codes(text, one("vfio-pci", details=Details(reset_methods=("flr",)))) == []


# -- sentences besides the causes


def test_settings_without_effect_are_named_if_a_device_is_not_on_vfio() -> None:
    text = f"vfio {A}: failed to open /dev/vfio/1: No such file or directory"
    host = one("amdgpu", vendor_id="1002", device_id="67df")
    assert codes(text, host) == ["no-vfio-node"]
    assert codes(text, host._replace(cmdline="vfio-pci-ids=1002:67df")) == ["no-vfio-node", "misspelt-parameter"]
    assert codes(text, host._replace(cmdline="vfio-pci.ids=1002:67df")) == ["no-vfio-node", "ids-too-late"]


def test_the_caller_may_give_the_device_of_a_message() -> None:
    host = demo_host()
    device = host.devices[Address("0000:09:00.1")]
    assert codes(BUSY, host, device=device) == ["already-bound"]
    named = ask(NOT_VIABLE, host, group=10, device=device)
    assert {cause.group for cause in named.causes} == {17}
    assert {cause.group for cause in ask("group is not viable", host, group=10).causes} == {10}


def test_an_unknown_text_gets_the_facts_of_its_devices() -> None:
    answer = ask("something odd about 0000:09:00.0")
    assert (answer.messages, answer.causes) == ((), ())
    said = " ".join(answer.sentences)
    assert "This message is unknown" in said
    assert "0000:09:00.0 is on nouveau" in said
    assert "Group 17 is not viable." in said
    assert "shows the smallest fix" in said
    assert ask("everything is fine").about == ()
    assert "VT-d" in " ".join(ask("everything is fine", off()).about)


def test_a_message_without_a_cause_asks_for_the_device() -> None:
    unnamed = " ".join(ask("write error: No such device").sentences)
    assert "Nothing in the present state of this machine explains it" in unnamed
    assert "Name the device" in unnamed


def test_causes_with_the_same_remedy_stand_together() -> None:
    lines = ask(NOT_VIABLE).sentences
    assert [line[:2] for line in lines] == ["Re", "1.", "2.", "3.", "4.", "  "]


def test_the_firmwares_framebuffer_is_blamed_only_if_there_may_be_one() -> None:
    text = f"vfio-pci {A}: BAR 1: can't reserve [mem 0xe0000000-0xefffffff 64bit pref]"
    seen = one("vfio-pci", class_code="030000")._replace(uses=Uses())
    assert codes(text, seen) == ["region-taken"]
    assert codes(text, seen._replace(uses=None)) == ["boot-framebuffer"]
    assert codes(text, one("vfio-pci", class_code="030000", boot_vga=True)._replace(uses=Uses())) == [
        "boot-framebuffer"
    ]


def test_a_device_that_its_host_driver_cannot_wake_is_not_blamed_on_vfio() -> None:
    text = f"snd_hda_intel {A}: Unable to change power state from D3cold to D0, device inaccessible"
    assert codes(text, one("snd_hda_intel")) == ["host-power"]
    assert codes(text, one("vfio-pci")) == ["runtime-power"]


def test_a_module_of_another_driver_stays_loaded() -> None:
    (held,) = ask("rmmod: ERROR: Module amdgpu is in use", one("amdgpu")).causes
    assert held.text.startswith(f"{A} is on amdgpu")
    assert "Leave the module" in held.remedy
    assert "persistenced" in remedy("rmmod: ERROR: Module nvidia is in use", one("nvidia"))


def test_a_bind_without_an_address_explains_what_bind_takes() -> None:
    text = "tee: /sys/bus/pci/drivers/vfio-pci/bind: No such device"
    assert codes(text) == ["bind-asks"]
    assert "bind-asks" not in codes(f"{text}: {A}", one("vfio-pci"))


def test_a_link_error_is_about_the_device_that_sent_it() -> None:
    text = f"pcieport {B}: AER: Uncorrected (Non-Fatal) error received: {A}"
    assert str(A) in " ".join(ask(text, one("vfio-pci")).sentences)


def test_the_denied_file_is_named() -> None:
    assert "/dev/vfio/devices/vfio0" in remedy("failed to open /dev/vfio/devices/vfio0: Permission denied")
    assert "/dev/vfio/17" in remedy("Could not open '/dev/vfio/17': Permission denied")
