"""Damage that leaves a fact unknown, and takes no other fact with it; and what looks like damage and is not."""

import json
import quopri

import pytest

from iommutui.core.models import model_for
from iommutui.core.report import report
from tests.sources.listings.reading import GPU, SOUND, device, groups, host, opened
from tests.sources.listings.test_damage import LISTING, WHOLE, facts_of


@pytest.mark.parametrize(
    "heading", ["IOMMU Gruop 2:", "IOMMUGroup 2:", "Groupe IOMMU 2 :", "Group two:", "IOMMU Group 2,"]
)
def test_a_damaged_heading_does_not_put_its_devices_into_the_group_above(heading: str) -> None:
    text = f"IOMMU Group 1:\n\t01:00.0 {GPU}\n{heading}\n\t02:00.0 {GPU}\nIOMMU Group 3:\n\t03:00.0 {GPU}\n"
    assert groups(host(text)) == {1: ["0000:01:00.0"], 3: ["0000:03:00.0"]}
    assert device(text, "0000:02:00.0").gap("iommu_group")


def test_a_line_that_ends_in_a_comma_does_not_swallow_the_next_function_or_heading() -> None:
    modules = f"IOMMU Group 1:\n\t01:00.0 {GPU}\n\t\tKernel modules: nvidiafb, nouveau,\n\t01:00.1 {SOUND}\n"
    assert groups(host(modules)) == {1: ["0000:01:00.0", "0000:01:00.1"]}
    cut = "00:01.0 PCI bridge [0604]: Advanced Micro Devices,"
    assert groups(host(f"IOMMU group 1\n{cut}\nIOMMU group 2\n01:00.0 {GPU}\n")) == {
        1: ["0000:00:01.0"],
        2: ["0000:01:00.0"],
    }


@pytest.mark.parametrize(
    "line",
    ["Kernel driver in usee: nvidia", "Kernel driver in use nvidia", "Kernel driver in use:", "Kernel drivr: nvidia",
     "Verwendeter Kerneltreiber: nvidia", "Subsystem: A [1043:8746] Kernel driver in use: nvidia"],
)  # fmt: skip
def test_a_damaged_line_about_the_driver_leaves_the_driver_unknown(line: str) -> None:
    text = f"01:00.0 {GPU}\n\t{line}\n\tKernel modules: nouveau\n01:00.1 {SOUND}\n\tKernel driver in use: vfio-pci\n"
    assert device(text).driver is None
    assert device(text).gap("driver")
    assert device(text, "0000:01:00.1").driver == "vfio-pci"


@pytest.mark.parametrize("line", ["kernel driver in use: nvidia", "Kernel driver in use : nvidia"])
def test_a_line_about_the_driver_with_a_slip_of_typing_is_read(line: str) -> None:
    assert device(f"01:00.0 {GPU}\n\t{line}\n\tKernel modules: nouveau\n").driver == "nvidia"


def test_bold_text_is_read() -> None:
    bold = "**01:00.0 VGA compatible controller [0300]**: NVIDIA [10de:1c02]\n**Kernel driver in use: vfio-pci**\n"
    assert (device(bold).driver, device(bold).class_code) == ("vfio-pci", "0300")


def test_hyphens_of_word_processors_are_read_as_typed() -> None:
    assert device(f"01:00.0 {GPU}\n\tKernel driver in use: vfio\u2011pci\n").driver == "vfio-pci"


def test_values_where_lines_have_been_cut_at_a_column_are_unknown() -> None:
    names = (
        "Cannon Lake",
        "Coffee Lake-S",
        "Comet Lake PCH",
        "Ice Lake-LP",
        "Tiger Lake-LP Thunderbolt 4",
        "Alder Lake-P",
    )
    lines = [
        f"0{n}:00.0 PCI bridge [0604]: Intel Corporation {name} PCI Express Root Port #1 [8086:a33{n}]\n"
        f"\tFlags: bus master, fast devsel, latency 0, IRQ {122 + n}, IOMMU group 1{n}\n\tKernel driver in use: x\n"
        for n, name in enumerate(names)
    ]
    assert [d.group for d in host("".join(lines)).devices.values()] == [10, 11, 12, 13, 14, 15]
    width = lines[0].splitlines()[1].index("group 1") + 7
    cut = "".join(f"{line[:width]}\n" for line in "".join(lines).splitlines())
    assert all(d.group is None and d.gap("iommu_group") for d in host(cut).devices.values())


@pytest.mark.parametrize("command", ["lspci -nnk | grep -A2 VGA", "$ lspci -nnk|egrep 'VGA|Audio|vfio'"])
def test_what_a_filter_left_out_is_unknown(command: str) -> None:
    text = (
        f"{command}\n01:00.0 {GPU}\n\tKernel driver in use: vfio-pci\n01:00.1 {SOUND}\n\tKernel modules: x\n\nThanks.\n"
    )
    assert device(text, "0000:01:00.1").gap("driver")
    assert not device(text.removeprefix(command), "0000:01:00.1").gap("driver")


@pytest.mark.parametrize("command", ["./iommu.sh | grep NVIDIA", "lspci -d 10de: -vnn", "lspci -nnvs 01:00"])
def test_a_group_may_have_more_members_than_a_filter_shows(command: str) -> None:
    text = f"{command}\n01:00.0 {GPU}\n\tFlags: fast devsel, IOMMU group 1\n\tKernel driver in use: vfio-pci\n"
    assert host(text).groups[1].gap("members")
    assert not host(text.removeprefix(command)).groups[1].gap("members")


def test_the_body_of_a_script_above_its_output_is_no_filter() -> None:
    script = "for d in $(find /sys/kernel/iommu_groups | sort -V); do\n  lspci -nns ${d##*/} | head -1\ndone;\n"
    assert not host(f"{script}IOMMU Group 1 01:00.0 {GPU}\n").groups[1].gap("members")


def test_a_listing_below_a_group_and_a_blank_line_is_not_in_the_group() -> None:
    lower = f"Group 14\n01:00.0 {GPU}\n\n00:14.0 {SOUND}\n01:00.0 {GPU}\n"
    assert groups(host(lower)) == {14: ["0000:01:00.0"]}
    higher = f"Group 14\n01:00.0 {GPU}\n\n02:00.0 {SOUND}\n\tKernel driver in use: nvme\n"
    assert groups(host(higher)) == {14: ["0000:01:00.0"]}
    details = f"Group 14\n01:00.0 {GPU}\n\tFlags: fast devsel\n\n01:00.1 {SOUND}\n\tFlags: fast devsel\n"
    assert groups(host(details)) == {14: ["0000:01:00.0", "0000:01:00.1"]}


def test_a_sentence_is_neither_a_kernel_nor_a_device_nor_a_group() -> None:
    assert host(f"Kernel 5.4 worked fine, this one does not.\n{LISTING}").kernel is None
    assert host(f"Kernel 5.4\n{LISTING}").kernel == "5.4"
    assert list(host(f"04:00.0 The slot I would like to use: it is empty\n{LISTING}").devices)[-1] == "0000:01:00.1"
    assert facts_of(f"I would like to move 0000:01:00.1 to group 20.\n{LISTING}") == WHOLE


def test_two_kernels_above_one_listing_are_named() -> None:
    notes = opened(f"Kernel: 5.4.0\nLinux pve 6.8.12-4-pve #1 SMP\n\n{LISTING}").notes
    assert any("5.4.0" in note and "6.8.12-4-pve" in note for note in notes)


def test_values_at_a_cut_end_are_unknown() -> None:
    text = f"01:00.0 {GPU}\n\tFlags: fast devsel\n\tIOMMU group: 3"
    assert device(text).gap("iommu_group")
    assert device(text + "\n").group == 3
    assert device(f"01:00.0 {GPU}\n\tKernel driver in use: vfio-p").gap("driver")
    assert device(f"01:00.0 {GPU}\n\tKernel driver in use: vfio-pci").driver == "vfio-pci"


def test_a_value_that_begins_with_3d_is_not_quoted_printable() -> None:
    machine = host(f"BOOT_IMAGE=/vmlinuz root=UUID=3DA1-77F0 vfio-pci.ids=10de:1c02\n\n{LISTING}")
    assert machine.cmdline == "BOOT_IMAGE=/vmlinuz root=UUID=3DA1-77F0 vfio-pci.ids=10de:1c02"


def test_columns_of_a_table_that_do_not_describe_the_device_are_left_out() -> None:
    heads = "| Group | Serial | Address | Device | IDs | Notes |\n|---|---|---|---|---|---|\n"
    named = device(f"{heads}| 1 | S4EVNX0 | 01:00.0 | NVIDIA GP106 | 10de:1c02 | /home/alice |\n")
    assert (named.device_name, named.device_id, named.group) == ("NVIDIA GP106", "1c02", 1)
    assert not any(private in repr(named) for private in ("S4EVNX0", "alice"))


def test_a_table_with_unknown_columns_is_not_read() -> None:
    row = "| VGA | NVIDIA | 0000:01:00.0 | 3 | x |\n"
    assert groups(host(f"| What | Maker | Where | Slot | Note |\n|---|---|---|---|---|\n{row}{LISTING}")) == {
        1: ["0000:01:00.0", "0000:01:00.1"]
    }


def test_the_devices_of_a_virtual_machine_are_not_a_group() -> None:
    card = {"pci_address": "0000:01:00.0", "vendor_id": "10de", "device_id": "1c02"}
    assert host(json.dumps({"vms": [{"id": 100, "name": "win11", "devices": [card]}]})).groups == {}
    assert list(host(json.dumps({"iommu_groups": [{"id": 100, "devices": [card]}]})).groups) == [100]


def test_a_record_with_a_damaged_tag_leaves_the_driver_and_group_unknown() -> None:
    one = "Slot:\t01:00.0\nClass:\tVGA [0300]\nVendor:\tA [10de]\nDevice:\tB [1c02]\nDriver:\tnvme\nIOMMUGroup:\t1\n\n"
    other = one.replace("01:00.0", "02:00.0").replace("Driver", "Drivr").replace("IOMMUGroup", "IOMMU Group")
    damaged = device(one + other, "0000:02:00.0")
    assert damaged.gap("driver") is not None
    assert damaged.gap("iommu_group") is not None


@pytest.mark.parametrize(
    ("value", "driver"),
    [("(none)", None), ("<none>", None), ("-", None), ("`vfio-pci`", "vfio-pci"), ("*vfio-pci*", "vfio-pci"),
     ('"vfio-pci"', "vfio-pci"), ("vfio-pci.", "vfio-pci"), ("i2c-designware-pci", "i2c-designware-pci")],
)  # fmt: skip
def test_marks_around_a_driver_are_not_part_of_its_name(value: str, driver: str | None) -> None:
    found = device(f"01:00.0 {GPU}\n\tKernel driver in use: {value}\n\tKernel modules: x\n")
    assert (found.driver, found.gap("driver")) == (driver, None)


def test_what_is_not_the_name_of_a_driver_leaves_it_unknown() -> None:
    assert device(f"01:00.0 {GPU}\n\tKernel driver in use: [b]vfio-pci[/b]\n").gap("driver")


def test_lines_between_matches_show_that_lines_were_picked() -> None:
    text = f"00:02.0 {GPU}\n\tKernel driver in use: i915\n--\n01:00.0 {GPU}\n\tKernel modules: nouveau\n\n"
    assert device(text).gap("driver")
    assert device(text.replace("--\n", "")).gap("driver") is None


@pytest.mark.parametrize(
    "sentence", ["Kernel 6.10 works fine", "kernel 5.19 or newer needed", "Kernel 6.2.16 broke it"]
)
def test_a_sentence_about_a_kernel_gives_no_shorter_release(sentence: str) -> None:
    assert host(f"{sentence}\n{LISTING}").kernel is None


@pytest.mark.parametrize("line", ["Kernel: Linux 6.8.0-84-generic", "Kernel Version: 6.8.0-84-generic (64-bit)"])
def test_a_kernel_as_other_programs_show_it(line: str) -> None:
    assert host(f"{line}\n{LISTING}").kernel == "6.8.0-84-generic"


def test_a_listing_without_indentation_may_have_labels_without_a_value() -> None:
    text = f"01:00.0 {GPU}\nVital Product Data\nRead-only fields:\nIOMMU group: 4\nKernel driver in use: igb\n"
    assert (device(text).group, device(text).driver) == (4, "igb")


def test_a_capability_that_names_drivers_is_not_about_the_driver() -> None:
    other = f"01:00.1 {SOUND}\n\tKernel driver in use: x\n"
    text = f"01:00.0 {GPU}\n\tPortCap: Uses Driver-\n\tKernel modules: nouveau\n{other}"
    assert (device(text).driver, device(text).gap("driver")) == (None, None)


def test_dumps_are_not_taken_for_lines_that_have_been_cut() -> None:
    rows = "".join(f"{n:02x}: {' '.join(f'{n + at:02x}' for at in range(16))}\n" for n in range(0, 64, 16))
    bound = f"02:00.0 {SOUND}\n\tKernel driver in use: x\n"
    text = f"01:00.0 {GPU}\n{rows}\n01:00.1 {SOUND}\n{rows.replace('0', '1')}\n{bound}\n"
    assert device(text).gap("driver") is None


def test_a_group_behind_each_function_is_its_own() -> None:
    text = "".join(f"0{n}:00.0 {GPU} IOMMU group {n}\n" for n in range(1, 4))
    assert groups(host(text)) == {n: [f"0000:0{n}:00.0"] for n in range(1, 4)}


def test_a_record_whose_first_line_is_damaged_gives_nothing_to_the_one_above() -> None:
    one = "Slot:\t01:00.0\nClass:\tVGA [0300]\nVendor:\tA [10de]\nDevice:\tB [1c02]\nDriver:\tnvme\nIOMMUGroup:\t1\n"
    other = one.replace("Slot:\t01:00.0\n", "Slt:\t02:00.0\n").replace("nvme", "nvidia").replace("IOMMUGroup:\t1", "")
    assert (device(one.replace("Driver:\tnvme\nIOMMUGroup:\t1\n", "") + other).driver) is None


def test_a_mail_with_its_heads_is_decoded() -> None:
    heads = "DKIM-Signature: v=1; a=rsa-sha256; c=x; d=y; s=z; b=w\nContent-Transfer-Encoding: quoted-printable\n\n"
    body = quopri.encodestring(f"BOOT_IMAGE=/vmlinuz root=/dev/sda1\n{LISTING}".encode()).decode()
    assert host(heads + body).cmdline == "BOOT_IMAGE=/vmlinuz root=/dev/sda1"


@pytest.mark.parametrize("name", ["Image coprocessor", "Class ff00", "Unknown mass storage controller"])
def test_a_class_that_is_in_no_table_is_still_a_function(name: str) -> None:
    assert device(f"01:00.0 {name}: NVIDIA GP106\n").device_name == "NVIDIA GP106"


@pytest.mark.parametrize(
    "text",
    [f"Group 1\n\n01:00.0 {GPU}\n\n01:00.1 {SOUND}\n", f"- Group 1\n\n  - 01:00.0 {GPU}\n\n  - 01:00.1 {SOUND}\n",
     f"Group 1:\n\t01:00.0 {GPU}\n\n\t01:00.1 {SOUND}\n"],
)  # fmt: skip
def test_blank_lines_between_the_members_of_a_group_do_not_end_it(text: str) -> None:
    assert groups(host(text)) == {1: ["0000:01:00.0", "0000:01:00.1"]}


@pytest.mark.parametrize("command", ["dmesg | grep -i iommu", "./ls-iommu.sh | grep Group", "lspci -vnn | head -1000"])
def test_a_filter_that_keeps_every_function_is_no_filter(command: str) -> None:
    assert not host(f"{command}\nIOMMU Group 1 01:00.0 {GPU}\n").groups[1].gap("members")


def test_a_heading_that_is_joined_to_the_line_above_begins_its_group() -> None:
    text = f"IOMMU group 0\n  00:00.0 {GPU} IOMMU group 1\n  01:00.0 {GPU}\nIOMMU group 2\n  02:00.0 {GPU}\n"
    assert groups(host(text)) == {0: ["0000:00:00.0"], 1: ["0000:01:00.0"], 2: ["0000:02:00.0"]}


def test_the_report_of_an_excerpt_is_an_excerpt() -> None:
    excerpt = host(
        f"lspci -nnvk -s 01:00\n01:00.0 {GPU}\n\tFlags: x, IOMMU group 1\n\tKernel driver in use: vfio-pci\n\n"
    )
    again = host(report(excerpt, model_for(None)))
    assert again.groups[1].gap("members")
    assert again.gap("devices")


def test_a_signature_is_not_a_line_between_matches() -> None:
    assert facts_of(f"{LISTING}--\nAlice\n\n02:00.0 {SOUND}\n")[:2] == WHOLE


@pytest.mark.parametrize("value", ["...", "unknown", "no driver"])
def test_a_word_that_names_no_driver_leaves_it_unknown(value: str) -> None:
    assert device(f"01:00.0 {GPU}\n\tKernel driver in use: {value}\n").gap("driver")


@pytest.mark.parametrize(
    "above",
    ["```console\n$ lspci -nnk | grep -A3 VGA\n", "lspci -nnk | grep -A3 VGA\nOutput:\n", "grep -A2 VGA lspci.txt\n",
     "lspci -nnk |& /bin/grep -A3 VGA\n", "lspci -nnk | LC_ALL=C grep -A3 VGA; echo\n"],
)  # fmt: skip
def test_a_filter_is_recognised_in_many_forms(above: str) -> None:
    text = f"{above}00:02.0 {GPU}\n\tKernel driver in use: i915\n01:00.0 {GPU}\n\tSubsystem: A [1043:8746]\n\n"
    assert device(text).gap("driver")


def test_a_group_loop_with_a_filter_at_its_end_is_filtered() -> None:
    text = f"for g in $(ls /sys/kernel/iommu_groups); do\n  echo\ndone | grep -i nvidia\nIOMMU Group 1 01:00.0 {GPU}\n"
    assert host(text).groups[1].gap("members")


def test_the_address_of_a_guest_is_not_that_of_the_device() -> None:
    heads = "| Guest PCI | Device | Host PCI | IOMMU Group |\n|---|---|---|---|\n"
    assert groups(host(f"{heads}| 06:10.0 | NIC [8086:1533] | 08:00.0 | 34 |\n")) == {34: ["0000:08:00.0"]}


@pytest.mark.parametrize(
    "line", ["Flags: bus master, IRQ 34, IOMM", "Flags: bus master, IRQ 34,", "IOMMU gruop 4", "IOMUM group: 4"]
)
def test_damaged_flags_leave_the_group_unknown(line: str) -> None:
    text = f"00:01.0 {GPU}\n\tFlags: fast devsel, IOMMU group 1\n\n01:00.0 {GPU}\n\t{line}\n\tMemory at f0000000\n\n"
    assert device(text).gap("iommu_group")


def test_details_below_a_blank_line_show_that_something_is_missing() -> None:
    text = (
        f"00:01.0 {GPU}\n\tKernel driver in use: x\n01:00.0 {GPU}\n\n\tKernel driver in use: nvidia\n00:02.0 {GPU}\n\n"
    )
    assert device(text).gap("driver")


def test_a_blank_line_within_a_function_leaves_its_facts_unknown() -> None:
    one = f"00:01.0 {GPU}\n\tIOMMU group: 1\n\tKernel driver in use: x\n\n"
    for between in ("", "\n", "```\n"):
        details = f"\tIOMMU group: 2\n{between}\tMemory at f0000000\n\tKernel driver in use: nvidia\n"
        found = device(f"{one}01:00.0 {GPU}\n{details}{one.replace('00:', '02:')}")
        assert (found.group, found.driver) == (2, None if between else "nvidia")
        assert bool(found.gap("driver")) is bool(between)
    record = "Slot:\t01:00.0\nClass:\tVGA [0300]\nVendor:\tA [10de]\nDevice:\tB [1c02]\nIOMMUGroup:\t1\n\n"
    other = record.replace("01:00.0", "02:00.0").replace("IOMMUGroup", "\nIOMMUGroup")
    assert device(record + other, "0000:02:00.0").gap("iommu_group")


def test_joined_lines_of_a_record_leave_their_facts_unknown() -> None:
    one = "Slot:\t01:00.0\nClass:\tVGA [0300]\nVendor:\tA [10de]\nDevice:\tB [1c02]\nDriver:\tnvme\n\n"
    other = one.replace("01:00.0", "02:00.0").replace("Device:\tB [1c02]\nDriver", "Device:\tB [1c02] Driver")
    assert device(one + other, "0000:02:00.0").gap("driver")


def test_the_matches_of_one_filter_are_of_one_machine() -> None:
    text = f"00:02.0 {GPU}\n\tKernel driver in use: i915\n--\n01:00.0 {GPU}\n\tKernel modules: nouveau\n\n"
    assert not any("shares no function" in note for note in opened(text).notes)
    assert any("shares no function" in note for note in opened(text.replace("--", "\nThe other card is here.\n")).notes)


def test_a_description_that_somebody_wrote_into_json_is_not_the_name_of_a_device() -> None:
    document = '[{"id": "0000:01:00.0", "iommugroup": 14, "description": "the card of Bob"}]'
    assert device(document).device_name is None
