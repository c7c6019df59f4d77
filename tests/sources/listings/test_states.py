"""Several listings in one paste or in several files: merged if they agree, kept apart if they do not."""

from pathlib import Path

import pytest

from iommutui.core.errors import SourceError
from iommutui.sources import load, open_source
from tests.sources.listings.reading import GPU, SOUND, groups, host, opened

PORT = "PCI bridge [0604]: Intel Corporation Port [8086:1901]"
BOTH = f"IOMMU Group 1 00:01.0 {PORT}\nIOMMU Group 1 01:00.0 {GPU}\nIOMMU Group 1 01:00.1 {SOUND}\n"
APART = f"IOMMU Group 1 00:01.0 {PORT}\nIOMMU Group 2 01:00.0 {GPU}\nIOMMU Group 3 01:00.1 {SOUND}\n"


def lspci(driver: str) -> str:
    """The output of ``lspci -nnk`` with the card on this driver."""
    return (
        f"00:01.0 {PORT}\n\tKernel driver in use: pcieport\n01:00.0 {GPU}\n\tKernel driver in use: {driver}\n"
        f"01:00.1 {SOUND}\n"
    )


def test_groups_and_drivers_of_one_paste_are_merged_by_address() -> None:
    found = opened(f"$ ./groups.sh\n{BOTH}$ lspci -nnk\n{lspci('nouveau')}")
    assert groups(found.host) == {1: ["0000:00:01.0", "0000:01:00.0", "0000:01:00.1"]}
    assert [d.driver for d in found.host.devices.values()] == ["pcieport", "nouveau", None]
    assert not [note for note in found.notes if "states" in note]


@pytest.mark.parametrize("between", ["```\n", "me@box:~$ lspci -nn | grep PCI\n", "# lspci -nn\n"])
def test_conclusions_stay_within_one_commands_output(between: str) -> None:
    listing = f"01:00.0 {GPU}\n\tKernel driver in use: nouveau\n\tIOMMU group: 1\n01:00.1 {SOUND}\n\n"
    port, _, sound = host(f"{listing}{between}00:01.0 {PORT}\n").devices.values()
    assert {"driver", "iommu_group"} <= {gap.attribute for gap in port.gaps}
    assert not {"driver", "iommu_group"} & {gap.attribute for gap in sound.gaps}


def test_a_listing_below_indented_groups_does_not_join_the_last_group() -> None:
    text = f"IOMMU Group 1:\n\t00:01.0 {PORT}\nIOMMU Group 2:\n\t01:00.0 {GPU}\n{lspci('nouveau')}"
    assert groups(host(text)) == {1: ["0000:00:01.0"], 2: ["0000:01:00.0"]}


@pytest.mark.parametrize("between", ["", "and now with the patch:\n", "root@box:~# ./groups.sh\n"])
def test_before_and_after_are_two_states(tmp_path: Path, between: str) -> None:
    path = tmp_path / "paste.txt"
    path.write_text(f"{BOTH}{between}{APART}")
    found = open_source(str(path))
    assert groups(found.host) == {1: ["0000:00:01.0"], 2: ["0000:01:00.0"], 3: ["0000:01:00.1"]}
    assert "2 states" in found.notes[0]
    assert groups(load(f"{path}#1")) == {1: ["0000:00:01.0", "0000:01:00.0", "0000:01:00.1"]}
    assert groups(load(f"{path}#2")) == groups(found.host)
    with pytest.raises(SourceError, match="no state 3"):
        load(f"{path}#3")


def test_a_changed_driver_is_another_state() -> None:
    found = opened(lspci("nouveau") + "\n$ lspci -nnk\n" + lspci("vfio-pci"))
    assert "2 states" in found.notes[0]
    assert found.host.devices[next(a for a in found.host.devices if a.endswith("01:00.0"))].driver == "vfio-pci"


def test_the_fullest_state_is_shown() -> None:
    cut = APART.splitlines()
    found = opened(f"{BOTH}{cut[1]}\n{cut[2]}\n")
    assert groups(found.host) == {1: ["0000:00:01.0", "0000:01:00.0", "0000:01:00.1"]}


def test_two_contradicting_lines_are_both_named() -> None:
    odd = f"{BOTH}IOMMU Group 7 01:00.0 {GPU}\n" + "".join(f"IOMMU Group 9 02:{n:02x}.0 {GPU}\n" for n in range(5))
    with pytest.raises(SourceError, match=r"line 2: group 1; the paste, line 4: group 7"):
        host(odd)


def test_another_card_in_a_slot_is_reported_and_not_mixed() -> None:
    swapped = lspci("nvidia").replace("10de:1c02", "10de:2204")
    found = opened(f"{BOTH}\n$ lspci -nnk\n{swapped}")
    gpu = next(d for a, d in found.host.devices.items() if a.endswith("01:00.0"))
    assert (gpu.device_id, gpu.driver, gpu.group) == ("2204", "nvidia", 1)
    assert any("10de:1c02" in note and "10de:2204" in note for note in found.notes)


def test_two_differing_boots_in_a_log_are_two_states() -> None:
    boot = "[    0.0] Linux version 6.1.0 (x)\n" + "".join(
        f"[    0.4] pci 0000:0{n}:00.0: Adding to iommu group {n}\n" for n in range(4)
    )
    other = boot.replace("6.1.0", "6.8.0").replace("group 3", "group 5")
    found = opened(boot + other)
    assert (found.host.kernel, sorted(found.host.groups)) == ("6.8.0", [0, 1, 2, 5])


def test_a_removed_function_is_in_the_group_it_returned_to() -> None:
    log = (
        "[ 0.4] pci 0000:01:00.0: Adding to iommu group 1\n[ 0.4] pci 0000:02:00.0: Adding to iommu group 2\n"
        "[ 9.0] pci 0000:02:00.0: Removing from iommu group 2\n[ 9.5] pci 0000:02:00.0: Adding to iommu group 7\n"
    )
    assert groups(host(log)) == {1: ["0000:01:00.0"], 7: ["0000:02:00.0"]}


EXCERPT = f"IOMMU Group 2 02:00.0 {GPU}\n"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (f"Kernel: 5.15.0\n{BOTH}", f"Kernel: 6.8.0-49\n{BOTH}"),
        (f"Kernel: 5.15.0\n{BOTH}", f"Kernel: 6.8.0-49\n{EXCERPT}"),
        (f"a@one:~$ ./groups.sh\n{BOTH}", f"b@two:~$ ./groups.sh\n{EXCERPT}"),
        (f"vendor_id : GenuineIntel\n{BOTH}", f"vendor_id : AuthenticAMD\n{EXCERPT}"),
        (f"BOOT_IMAGE=/a ro\n{BOTH}", f"BOOT_IMAGE=/a ro iommu=pt\n{BOTH}"),
        (f"BOOT_IMAGE=/a ro\n{BOTH}", f"BOOT_IMAGE=/b quiet\n{EXCERPT}"),
        (BOTH, f"IOMMU Group 2 00:02.0 Host bridge [0600]: AMD [1022:1480]\n{EXCERPT}"),
        (f"IOMMU Group 2:\n\t01:00.0 {GPU}\n", f"IOMMU Group 2:\n\t02:00.0 {GPU}\n"),
        (f"00:00.0 Host bridge [0600]: A [8086:191f]\n01:00.0 {GPU}\n",
         f"00:00.0 Host bridge [0600]: A [8086:3ec2]\n02:00.0 {GPU}\n03:00.0 {GPU}\n"),
        (BOTH, BOTH.replace("Group 1", "Group 4") + "".join(f"IOMMU Group 9 0{n}:00.0 {SOUND}\n" for n in range(3, 9))),
    ],
    ids=["kernel", "kernel of an excerpt", "name", "processor", "command line", "command line of an excerpt", "chipset",
         "members", "host bridge", "most groups"],
)  # fmt: skip
def test_two_machines_in_one_text_are_separated(tmp_path: Path, first: str, second: str) -> None:
    path = tmp_path / "thread.txt"
    path.write_text(f"I have this:\n\n{first}\nAnd I have this:\n\n{second}")
    found = open_source(str(path))
    assert "2 states of the machine, or several machines" in found.notes[0]
    assert load(f"{path}#1").devices == load(_file(tmp_path, first)).devices
    assert load(f"{path}#1").kernel == load(_file(tmp_path, first)).kernel
    assert load(f"{path}#2")._replace(gaps=()) == load(_file(tmp_path, second))._replace(gaps=())
    with pytest.raises(SourceError, match="described in two ways"):
        load([_file(tmp_path, first, "1"), _file(tmp_path, second, "2")])


def _file(folder: Path, text: str, name: str = "one") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (BOTH, EXCERPT),
        (f"Kernel: 6.8\n{BOTH}", f"Linux box 6.8.0-49-generic #1\n{EXCERPT}"),
        (f"a@one:~$ ./groups.sh\n{BOTH}", f"root@one:~# ./groups.sh\n{EXCERPT}"),
        (f"IOMMU Group 1:\n\t01:00.0 {GPU}\n", f"IOMMU Group 2:\n\t02:00.0 {GPU}\n"),
        (f"01:00.0 {GPU}\n\tKernel driver in use: nvidia\n", f"3e:00.0 {GPU}\n\tKernel driver in use: nvidia\n"),
    ],
)
def test_two_excerpts_are_one_machine_with_a_note(tmp_path: Path, first: str, second: str) -> None:
    found = open_source(_file(tmp_path, f"{first}\nand this:\n\n{second}"))
    assert [note for note in found.notes if "shares no function" in note and "the same machine" in note]
    assert any("shares no function" in line for line in found.explain())
    assert not [note for note in found.notes if "states" in note]
    apart = open_source([_file(tmp_path, first, "1"), _file(tmp_path, second, "2")])
    assert apart.host.devices == found.host.devices
    assert any("/2: the part from line" in note for note in apart.notes)


def test_an_excerpt_that_shares_a_function_needs_no_note() -> None:
    assert opened(f"{BOTH}\nand:\n\n{lspci('nouveau')}").notes == opened(f"{lspci('nouveau')}\nand:\n\n{BOTH}").notes
    assert len(opened(f"{BOTH}\nand:\n\n{lspci('nouveau')}").notes) == 1


def test_text_between_two_listings_of_one_machine_does_not_separate_them() -> None:
    text = f"BOOT_IMAGE=/a ro quiet\n{BOTH}\n$ cat /etc/kernel/cmdline\nroot=/dev/x quiet iommu=pt\n{lspci('nouveau')}"
    found = opened(text)
    assert found.host.cmdline == "BOOT_IMAGE=/a ro quiet"
    assert [d.driver for d in found.host.devices.values()] == ["pcieport", "nouveau", None]
    (note,) = [note for note in found.notes if "described in two ways" in note]
    assert "command line" in note
    assert "quiet" not in note


def test_a_line_above_a_listing_of_everything_does_not_hide_its_driver() -> None:
    found = opened(f"01:00.0 {GPU}\n{lspci('nouveau')}")
    assert [d.driver for d in found.host.devices.values()] == ["pcieport", "nouveau", None]
    assert found.notes == ()


class TestFiles:
    """Several ``--from``."""

    def files(self, tmp_path: Path, *texts: str) -> list[str]:
        """Files with these texts."""
        paths = [tmp_path / f"{n}.txt" for n in range(len(texts))]
        for path, text in zip(paths, texts, strict=True):
            path.write_text(text)
        return [str(path) for path in paths]

    def test_groups_and_drivers_may_come_from_different_files(self, tmp_path: Path) -> None:
        machine = load(self.files(tmp_path, lspci("nouveau"), BOTH))
        assert [(d.group, d.driver) for d in machine.devices.values()] == [(1, "pcieport"), (1, "nouveau"), (1, None)]

    def test_files_that_contradict_each_other_are_refused_with_both_lines(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match=r"0\.txt, line 2: group 1; .*1\.txt, line 2: group 2"):
            load(self.files(tmp_path, BOTH, APART))
        with pytest.raises(SourceError, match=r"driver nouveau.*driver vfio_pci"):
            load(self.files(tmp_path, lspci("nouveau"), lspci("vfio-pci")))

    def test_two_machines_are_refused(self, tmp_path: Path) -> None:
        other = lspci("nvidia").replace("8086", "1022").replace("10de", "1002")
        with pytest.raises(SourceError) as caught:
            load(self.files(tmp_path, lspci("nvidia"), other))
        assert "not listings of one machine" in caught.value.remedy

    def test_a_file_without_functions_is_named(self, tmp_path: Path) -> None:
        assert "1.txt names no PCI device." in open_source(self.files(tmp_path, BOTH, "nothing here\n")).notes[0]
        with pytest.raises(SourceError, match=r"0\.txt names no PCI device"):
            load(self.files(tmp_path, "nothing here\n", "nor here\n"))
