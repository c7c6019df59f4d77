"""A small example of every format: the facts it gives, and those it leaves unknown."""

import json
import pprint

import pytest

from tests.sources.listings.reading import GPU, SOUND, device, groups, host

ONE_GROUP = {1: ["0000:01:00.0", "0000:01:00.1"]}

VMM = """\
Slot:\t01:00.0
Class:\tVGA compatible controller [0300]
Vendor:\tNVIDIA Corporation [10de]
Device:\tGP106 [GeForce GTX 1060 3GB] [1c02]
SVendor:\tZOTAC [19da]
SDevice:\tDevice [1438]
Rev:\ta1
Driver:\tnouveau
Module:\tnouveau
IOMMUGroup:\t1

Slot:\t01:00.1
Class:\tAudio device [0403]
Vendor:\tNVIDIA Corporation [10de]
Device:\tGP106 High Definition Audio Controller [10f1]
IOMMUGroup:\t1
"""

NODEDEV = """\
<device><name>pci_0000_01_00_0</name><parent>pci_0000_00_01_0</parent><driver><name>nouveau</name></driver>
<capability type='pci'><class>0x030000</class><domain>0</domain><bus>1</bus><slot>0</slot><function>0</function>
<product id='0x1c02'>GP106</product><vendor id='0x10de'>NVIDIA Corporation</vendor>
<iommuGroup number='1'><address domain='0x0000' bus='0x01' slot='0x00' function='0x0'/>
<address domain='0x0000' bus='0x01' slot='0x00' function='0x1'/></iommuGroup></capability></device>
"""

PROXMOX = [
    {"id": "0000:01:00.0", "class": "0x030000", "vendor": "0x10de", "device": "0x1c02", "iommugroup": 1},
    {"id": "0000:01:00.1", "class": "0x040300", "vendor": "0x10de", "device": "0x10f1", "iommugroup": 1},
]

TABLE = """\
┌──────────┬────────┬──────────────┬────────────┬────────┐
│ class    │ device │ id           │ iommugroup │ vendor │
╞══════════╪════════╪══════════════╪════════════╪════════╡
│ 0x030000 │ 0x1c02 │ 0000:01:00.0 │          1 │ 0x10de │
├──────────┼────────┼──────────────┼────────────┼────────┤
│ 0x040300 │ 0x10f1 │ 0000:01:00.1 │          1 │ 0x10de │
└──────────┴────────┴──────────────┴────────────┴────────┘
"""

UMOCKDEV = """\
P: /devices/pci0000:00/0000:00:01.0/0000:01:00.0
E: DRIVER=nouveau
E: PCI_CLASS=30000
E: PCI_ID=10DE:1C02
A: driver_override=(null)
L: driver=../../../../bus/pci/drivers/nouveau
L: iommu_group=../../../../kernel/iommu_groups/1

P: /devices/pci0000:00/0000:00:01.0/0000:01:00.1
E: PCI_ID=10DE:10F1
L: iommu_group=../../../../kernel/iommu_groups/1
"""

IOMMU_INFO = {
    "groups": [
        {
            "devices": [
                {
                    "slot": f"01:00.{n}",
                    "dev_class": "VGA compatible controller [0300]",
                    "vendor": {"name": "NVIDIA Corporation", "vendorid": "10de"},
                    "device": f"GP106 [{name}]",
                }
                for n, name in enumerate(("1c02", "10f1"))
            ],
            "iommugroup": "1",
        }
    ]
}

WITH_IDS = {
    "Arch wiki, a line each": f"IOMMU Group 1 01:00.0 {GPU}\nIOMMU Group 1 01:00.1 {SOUND}\n",
    "lower case, domain, comment marks": f"#IOMMU group 1 0000:01:00.0 {GPU}\n#IOMMU group 1 0000:01:00.1 {SOUND}\n",
    "Arch wiki, grouped": f"IOMMU Group 1:\n\t01:00.0 {GPU}\n\t01:00.1 {SOUND}\n",
    "grouped, without indentation": f"IOMMU Group 1:\n01:00.0 {GPU}\n01:00.1 {SOUND}\n",
    "marks of what can be reset": f"IOMMU Group 1:\n\t01:00.0 {GPU}\n[RESET]\t01:00.1 {SOUND}\n",
    "arrows and dashes": f"IOMMU Group 1 - 01:00.0 {GPU}\nIOMMU GROUP 1:\n  -> 01:00.1 {SOUND}\n",
    "three Ms, and the number again": f"IOMMMU Group 1\n (1) 01:00.0 {GPU}\n (1) 01:00.1 {SOUND}\n",
    "ls-iommu, padded": f"IOMMU Group   1: 0000:01:00.0 {GPU}\nIOMMU Group   1: 0000:01:00.1 {SOUND}\n",
    "Markdown headings": f"## IOMMU Group 1\n\n```\n01:00.0 {GPU}\n01:00.1 {SOUND}\n```\n".replace("\n\n```", ""),
    "r15ch13": "Group 1:\t[10de:1c02] [R] 01:00.0  VGA compatible controller                GP106\n"
    "USB:\t\t[1d6b:0002]\t\t Bus 001 Device 001                       root hub\n"
    "\t\t[10de:10f1]     01:00.1  Audio device                             GP106 HDMI\n",
    "IOMMU units": f"IOMMU: dmar0\n  IOMMU Group: 1\n    Group Device: 0000:01:00.0 - {GPU}\n"
    f"    Group Device: 0000:01:00.1 - {SOUND}\n    Group Device: 0000:01:00.0 - {GPU}\n",
    "iommu_viewer": f"Group:  1   0000:01:00.0 {GPU}   Driver: nouveau\nGroup:  1   0000:01:00.1 {SOUND}\n",
    "ls-iommu -k": f"IOMMU Group   1: 0000:01:00.0 {GPU.replace(']:', ']')}\n\tKernel driver in use: nouveau\n"
    f"IOMMU Group   1: 0000:01:00.1 {SOUND.replace(']:', ']')}\n",
    "a heading in a frame": f"── IOMMU Group 1 (2 devices) ──\n  01:00.0 {GPU}\n  01:00.1 {SOUND}\n",
    "a fence below the heading": f"**IOMMU Group 1**\n```\n01:00.0 {GPU}\n01:00.1 {SOUND}\n```\n",
    "bullets, and lines that were added": f"• IOMMU Group 1 01:00.0 {GPU}\n+IOMMU Group 1 01:00.1 {SOUND}\n",
    "a list": f"* **IOMMU Group 1**\n  * `01:00.0 {GPU}`\n  * `01:00.1 {SOUND}`\n",
    "a table": f"| IOMMU Group 1 | 01:00.0 {GPU} |\n| IOMMU Group 1 | 01:00.1 {SOUND} |\n",
    "a table by hand": "| Group | Address | Device |\n|---|:-:|---|\n"
    f"| 1 | 01:00.0 | {GPU} |\n| 1 | `01:00.1` | {SOUND} |\n",
    "a table with more in its cells": "| IOMMU group | Device |\n|---|---|\n"
    f"| Group 1 | 01:00.0 {GPU} |\n| 1, shared | 01:00.1 {SOUND} |\n",
    "a table without a frame": "PCI address | IOMMU group | ID | What | Driver\n--- | --- | --- | --- | ---\n"
    "0000:01:00.0 | 1 | 10de:1c02 | VGA compatible controller: GP106 | nouveau\n"
    "0000:01:00.1 | 1 | [10de:10f1] | Audio device: GP106 | -\n",
    "numbers in brackets, and with a hash": f"[IOMMU Group 1]\n  01:00.0 {GPU}\nIOMMU group #1: 01:00.1 {SOUND}\n",
    "an arrow behind the number": f"Group 1 => 01:00.0 {GPU}\nIOMMU Group (1) 01:00.1 {SOUND}\n",
    "strings of a program": f"'IOMMU Group 1 01:00.0 {GPU}',\n\"IOMMU Group 1 01:00.1 {SOUND}\",\n",
    "the group behind it": f"01:00.0 {GPU} iommu_group=1\n01:00.1 {SOUND} -> IOMMU group 1\n",
    "Incus": json.dumps(
        [
            {"driver": "", "iommu_group": 1, "pci_address": f"0000:01:00.{n}", "product": "GP106", "product_id": id_}
            | ({"vendor": "NVIDIA", "vendor_id": "10de"} if n else {"vendor_id": "10de", "vendor": "NVIDIA"})
            for n, id_ in enumerate(("1c02", "10f1"))
        ]
    ),
    "names of fields as other programs have them": json.dumps(
        [
            {"pciAddress": "0000:01:00.0", "iommuGroup": "1", "vendorId": "10de", "deviceId": "1c02"},
            {"pci_address": "0000:01:00.1", "iommu_group": 1, "vendor_id": "0x10de", "device_id": "0x10f1"},
        ]
    ),
    "lspci -vnn": f"01:00.0 {GPU}\n\tFlags: fast devsel, IRQ 5, IOMMU group 1\n\n01:00.1 {SOUND}\n\tIOMMU group: 1\n",
    "lspci -PP": f"00:01.0/01:00.0 {GPU}\n\tIOMMU group: 1\n\n00:01.0/01:00.1 {SOUND}\n\tIOMMU group: 1\n",
    "lspci -n": "01:00.0 0300: 10de:1c02 (rev a1)\n\tIOMMU group: 1\n01:00.1 0403: 10de:10f1\n\tIOMMU group: 1\n",
    "lspci -vmm": VMM,
    "kernel log": "[    0.2] pci 0000:01:00.0: [10de:1c02] type 00 class 0x030000 PCIe Legacy Endpoint\n"
    "[    0.2] pci 0000:01:00.1: [10de:10f1] type 00 class 0x040300\n"
    "[    0.4] pci 0000:01:00.0: Adding to iommu group 1\n"
    "May 17 09:55:28 box kernel: iommu: Adding device 0000:01:00.1 to group 1\n",
    "Proxmox": json.dumps(PROXMOX),
    "Proxmox through its web interface": json.dumps({"data": PROXMOX}, indent=1),
    "Proxmox's table": TABLE,
    "lsiommu": json.dumps(
        {
            "iommu_groups": [
                {
                    "id": 1,
                    "devices": [
                        {"address": "0000:01:00.0", "class": "030000", "vendor": "10de", "device": "1c02"},
                        {"address": "0000:01:00.1", "class": "040300", "vendor": "10de", "device": "10f1"},
                    ],
                }
            ]
        }
    ),
    "iommu.info": json.dumps(IOMMU_INFO),
    "umockdev": UMOCKDEV,
}

WITHOUT_IDS = {
    "lsgroup": "### Group 1 ###\n    01:00.0 VGA compatible controller: NVIDIA Corporation GP106 (rev a1)\n"
    "    01:00.1 Audio device: NVIDIA Corporation GP106 High Definition Audio Controller (rev a1)\n",
    "addresses below a heading": "IOMMU Group 1:\n0000:01:00.0\n0000:01:00.1\n",
    "addresses behind the number": "$ ./groups\nIOMMU Group 1: 0000:01:00.0, 0000:01:00.1\n",
    "an address a line": "Group 1: 01:00.0\nGroup 1: 01:00.1\n",
    "addresses of USB controllers": "Bus 1 --> 0000:01:00.0 (IOMMU group 1)\nBus 002 Device 001: ID 1d6b:0003 hub\n\n"
    "Bus 2 --> 0000:01:00.1 (IOMMU group 1)\n",
    "ls -la": "me@box:~$ ls -la /sys/kernel/iommu_groups/1/devices/\ninsgesamt 0\n"
    "drwxr-xr-x 2 root root 0 21. Jun 19:40 .\ndrwxr-xr-x 3 root root 0 21. Jun 19:40 ..\n"
    "lrwxrwxrwx 1 root root 0 21. Jun 19:40 0000:01:00.0 -> ../../../../devices/pci0000:00/0000:01:00.0\n"
    "lrwxrwxrwx 1 root root 0 21. Jun 19:40 0000:01:00.1 -> ../../../../devices/pci0000:00/0000:01:00.1\n",
    "paths": "/sys/kernel/iommu_groups/1/devices/0000:01:00.0\n/sys/kernel/iommu_groups/1/devices/0000:01:00.1\n",
    "links": "/sys/bus/pci/devices/0000:01:00.0/iommu_group -> ../../../kernel/iommu_groups/1\n"
    "/sys/bus/pci/devices/0000:01:00.1/iommu_group -> ../../../kernel/iommu_groups/1\n",
    "ls": "/sys/kernel/iommu_groups/1/devices:\n0000:01:00.0  0000:01:00.1\n",
    "ls -l": "/sys/kernel/iommu_groups/1/devices:\ntotal 0\n"
    "lrwxrwxrwx 1 root root 0 Jan  1 00:00 0000:01:00.0 -> ../../../../devices/pci0000:00/0000:00:01.0/0000:01:00.0\n"
    "lrwxrwxrwx 1 root root 0 Jan  1 00:00 0000:01:00.1 -> ../../../../devices/pci0000:00/0000:00:01.0/0000:01:00.1\n",
    "tree": "/sys/kernel/iommu_groups/\n├── 1\n│   ├── devices\n│   │   ├── 0000:01:00.0 -> ../../../../devices/x\n"
    "│   │   └── 0000:01:00.1 -> ../../../../devices/y\n│   ├── reserved_regions\n│   └── type\n",
}


@pytest.mark.parametrize("name", [*WITH_IDS, *WITHOUT_IDS])
def test_every_format_gives_the_groups(name: str) -> None:
    text = {**WITH_IDS, **WITHOUT_IDS}[name]
    assert groups(host(text)) == ONE_GROUP
    assert groups(host(f"root@box:~# something\n{text}\nThat is all.\n")) == ONE_GROUP


@pytest.mark.parametrize("name", WITH_IDS)
def test_every_format_with_ids_gives_them(name: str) -> None:
    found = host(WITH_IDS[name]).devices.values()
    assert [(d.vendor_id, d.device_id) for d in found] == [("10de", "1c02"), ("10de", "10f1")]


@pytest.mark.parametrize("name", WITHOUT_IDS)
def test_missing_ids_are_a_gap(name: str) -> None:
    for each in host(WITHOUT_IDS[name]).devices.values():
        assert each.vendor_id is None
        assert each.gap("vendor") is not None


def test_a_closing_fence_below_an_empty_group_starts_no_listing() -> None:
    text = f"```\nIOMMU Group 1:\n\t01:00.0 {GPU}\nIOMMU Group 2:\n```\n\n02:00.0 {SOUND}\n"
    assert groups(host(text)) == {1: ["0000:01:00.0"]}


def test_a_table_row_without_a_group_does_not_inherit_one() -> None:
    head = "| Group | Address | Device | Driver |\n|---|---|---|---|\n"
    machine = host(
        f"{head}| 1 | 01:00.0 | {GPU} | nouveau |\n| - | 02:00.0 | {SOUND} | none |\n| 2 or 3 | 03:00.0 | {GPU} | |\n"
        f"| | 04:00.0 | {GPU} | |\n"
    )
    assert groups(machine) == {1: ["0000:01:00.0"]}
    gpu, sound, *others = machine.devices.values()
    assert (gpu.driver, sound.driver, sound.gap("driver")) == ("nouveau", None, None)
    assert all(d.gap("iommu_group") for d in (sound, *others))
    assert all(d.gap("driver") for d in others)


def test_a_table_without_a_group_column_is_ignored() -> None:
    assert groups(host(f"| Group of people | Card |\n|---|---|\n| 5 | none |\n\nIOMMU Group 1 01:00.0 {GPU}\n")) == {
        1: ["0000:01:00.0"]
    }


def test_a_format_without_drivers_leaves_them_unknown() -> None:
    assert all(d.driver is None and d.gap("driver") for d in host(WITH_IDS["Arch wiki, grouped"]).devices.values())


def test_a_listing_with_drivers_shows_which_devices_are_unbound() -> None:
    text = f"01:00.0 {GPU}\n\tSubsystem: ZOTAC Device [19da:1438]\n\tKernel driver in use: nouveau\n01:00.1 {SOUND}\n\n"
    machine = host(text)
    assert [d.driver for d in machine.devices.values()] == ["nouveau", None]
    assert not any(d.gap("driver") for d in machine.devices.values())
    assert device(text).subsystem_vendor_id == "19da"
    assert device(text).group is None
    assert device(text).gap("iommu_group") is not None


def test_a_script_that_names_drivers_shows_which_devices_are_unbound() -> None:
    gpu, sound = host(WITH_IDS["iommu_viewer"]).devices.values()
    assert (gpu.driver, gpu.revision, sound.driver, sound.gap("driver")) == ("nouveau", "a1", None, None)


def test_a_script_that_found_no_groups_lists_functions() -> None:
    machine = host(f"IOMMU Group * 01:00.0 {GPU}\n01:00.1 {SOUND}\n")
    assert (len(machine.devices), machine.groups) == (2, {})


def test_listed_modules_are_not_taken_as_bound() -> None:
    text = f"01:00.0 {GPU}\n\tKernel modules: nvidiafb, nouveau\n"
    assert device(text).driver is None
    assert device(text).gap("driver") is None


def test_records_are_read_by_their_tags() -> None:
    gpu, sound = host(VMM).devices.values()
    assert (gpu.driver, sound.driver, sound.gap("driver")) == ("nouveau", None, None)
    assert (gpu.vendor_name, gpu.device_name) == ("NVIDIA Corporation", "GP106 [GeForce GTX 1060 3GB]")
    assert (gpu.subsystem_device_id, gpu.revision, gpu.class_code) == ("1438", "a1", "0300")


def test_nodedev_names_members_that_were_not_dumped() -> None:
    machine = host(NODEDEV)
    assert groups(machine) == ONE_GROUP
    gpu, sound = machine.devices.values()
    assert (gpu.driver, gpu.class_code, gpu.parent) == ("nouveau", "030000", "0000:00:01.0")
    assert sound.gap("driver") is not None


def test_impossible_numbers_of_functions_are_left_out() -> None:
    odd = NODEDEV.replace("<function>0</function>", "<function>50</function>")
    assert list(host(odd + NODEDEV).devices) == ["0000:01:00.0", "0000:01:00.1"]


def test_devices_that_proxmox_omits_are_a_gap_of_every_group() -> None:
    assert all(group.gap("members") for group in host(json.dumps(PROXMOX)).groups.values())
    bridge = {"id": "0000:00:01.0", "class": "0x060400", "vendor": "0x8086", "device": "0x1901", "iommugroup": 1}
    assert not any(group.gap("members") for group in host(json.dumps([*PROXMOX, bridge])).groups.values())


def test_iommugroup_minus_one_means_no_group() -> None:
    found = device(json.dumps([{**PROXMOX[0], "iommugroup": -1}]))
    assert found.group is None
    assert found.gap("iommu_group") is None


def test_the_heading_of_a_table_names_the_columns_of_every_row() -> None:
    rows = "".join(f"│ {n} │ 0000:0{n}:00.0 │ 0x10de │ 0x030000 │ 0x1c02 │\n├───┼───┤\n" for n in range(9))
    found = host(f"│ iommugroup │ id │ vendor │ class │ device │\n╞═══╪═══╡\n{rows}")
    assert [(d.group, d.vendor_id, d.device_id, d.class_code) for d in found.devices.values()] == [
        (n, "10de", "1c02", "030000") for n in range(9)
    ]


def test_shifted_columns_give_no_ids() -> None:
    (found,) = host("│ 0x2204 │ 0x1c02 │ 0000:01:00.0 │ 1 │ 0x030000 │ a b │\n").devices.values()
    assert (found.vendor_id, found.group) == (None, 1)


def test_a_document_printed_by_python_is_read() -> None:
    printed = pprint.pformat({**IOMMU_INFO, "bios": {"date": None, "vendor": 'Carl\'s "Best"'}}, width=60)
    for text in (repr({"board": {}, **IOMMU_INFO}), printed, printed.replace("NVIDIA", "NVI\nDIA")):
        found = host(f"It's this:\n> {text}\nIt isn't mine.\n")
        assert groups(found) == ONE_GROUP
        assert [d.vendor_name for d in found.devices.values()] == ["NVIDIA Corporation"] * 2


def test_a_report_of_nixos_facter_is_read() -> None:
    entry = {
        "vendor": {"hex": "10de", "name": "nVidia"},
        "sub_vendor": {"hex": "1043"},
        "device": {"hex": "2204"},
        "sysfs_bus_id": "0000:01:00.0",
        "sysfs_iommu_group_id": 1,
        "driver": "nouveau",
    }
    gpu = device(json.dumps({"hardware": {"graphics_card": [entry]}}))
    assert (gpu.group, gpu.driver) == (1, "nouveau")
    assert (gpu.device_id, gpu.subsystem_vendor_id) == ("2204", "1043")


@pytest.mark.parametrize("value", [7, ["nouveau"], {"name": "nouveau"}, "nouveau Module: x"])
def test_an_impossible_driver_name_is_ignored(value: object) -> None:
    found = device(json.dumps([{**PROXMOX[0], "driver": value}]))
    assert (found.driver, found.gap("driver") is not None) == (None, True)


def test_bridges_give_the_parents_of_devices() -> None:
    port = "00:01.0 PCI bridge [0604]: Intel Port [8086:1901]\n\tBus: primary=00, secondary=01\n"
    text = f"{port}01:00.0 {GPU}\n\tFlags: x\n"
    assert device(text).parent == "0000:00:01.0"
    assert device(text, "0000:00:01.0").header_type == 1


def test_a_path_of_slots_names_no_function() -> None:
    port = "00:01.0 PCI bridge [0604]: Intel Port [8086:1901]\n\tKernel driver in use: pcieport\n"
    machine = host(f"{port}00:01.0/00.0 {GPU}\n\tKernel driver in use: nvidia\n")
    assert [(a, d.driver) for a, d in machine.devices.items()] == [("0000:00:01.0", "pcieport")]


def test_domains_of_more_than_four_digits_are_kept() -> None:
    assert list(host(f"10000:e1:00.0 {GPU}\n").devices) == ["10000:e1:00.0"]


@pytest.mark.parametrize(
    ("text", "class_code", "ids"),
    [
        (
            "0c:00.0 FireWire (IEEE 1394) [0c00]: VIA VT6306 [1106:3044] (rev c0) (prog-if 10 [OHCI])",
            "0c0010",
            "1106:3044",
        ),
        ("00:18.0 Host bridge [0600]: AMD Data Fabric: Device 18h; Function 0 [1022:1460]", "0600", "1022:1460"),
        ("01:00.0 Non-Volatile memory controller [0108]: Samsung S4LV008[Pascal] [144d:a80c]", "0108", "144d:a80c"),
        ("00:01.3 PCI bridge [0604]: AMD [AMD] GPP Bridge [6:0] to bus[E:B] [1022:15d3]", "0604", "1022:15d3"),
        ("00:13.0 Non-Essential Instrumentation [1300]: AMD Device 14de", "1300", "None:None"),
        ("00:02.0 VGA compatible controller: Intel Corporation Device 7ae0 (rev 11)", "0300", "None:None"),
        (
            '00:02.0 "VGA compatible controller [0300]" "Intel [8086]" "HD [1912]" -r06 -p00 "" ""',
            "030000",
            "8086:1912",
        ),
    ],
)
def test_names_with_brackets_colons_and_commas_are_read(text: str, class_code: str, ids: str) -> None:
    (found,) = host(text).devices.values()
    assert found.class_code == class_code
    assert f"{found.vendor_id}:{found.device_id}" == ids


def test_a_hexdump_adds_missing_facts() -> None:
    rows = [
        "86 80 01 19 07 04 10 00 07 00 04 06 10 00 81 00",
        "00 " * 8 + "00 01 01 00 " + "00 " * 4,
        "00 " * 16,
        "00 " * 16,
    ]
    dump = "".join(f"{n:x}0: {row.strip()}\n" for n, row in enumerate(rows))
    port = f"00:01.0 PCI bridge: Intel Corporation Port (rev 07)\n{dump}"
    found = device(f"{port}\n01:00.0 {GPU}\n", "0000:00:01.0")
    assert (found.vendor_id, found.device_id, found.class_code, found.header_type) == ("8086", "1901", "060400", 1)
    assert device(f"{port}\n01:00.0 {GPU}\n").parent == "0000:00:01.0"


def test_text_around_a_listing_is_used() -> None:
    text = f"""\
$ uname -a
Linux box 6.8.0-49-generic #49-Ubuntu SMP x86_64 GNU/Linux
$ cat /proc/cmdline
BOOT_IMAGE=/boot/vmlinuz root=/dev/sda1 intel_iommu=on
vendor_id	: GenuineIntel
IOMMU Group 1 01:00.0 {GPU}
"""
    machine = host(text)
    assert (machine.kernel, machine.cpu_vendor) == ("6.8.0-49-generic", "GenuineIntel")
    assert machine.cmdline == "BOOT_IMAGE=/boot/vmlinuz root=/dev/sda1 intel_iommu=on"
    bare = host(f"We ship 5.2.3\n5.2.3\nIOMMU Group 1 01:00.0 {GPU}\n")
    assert bare.kernel is None
    assert any(gap.attribute == "kernel" for gap in bare.gaps)
