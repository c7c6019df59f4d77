"""Several listings in one paste or in several files: merged where they agree, told apart where they do not."""

from pathlib import Path

import pytest

from iommutui.core.errors import SourceError
from iommutui.sources import load, open_source
from tests.sources.listings.reading import GPU, SOUND, groups, host, opened

PORT = "PCI bridge [0604]: Intel Corporation Port [8086:1901]"
BOTH = f"IOMMU Group 1 00:01.0 {PORT}\nIOMMU Group 1 01:00.0 {GPU}\nIOMMU Group 1 01:00.1 {SOUND}\n"
APART = f"IOMMU Group 1 00:01.0 {PORT}\nIOMMU Group 2 01:00.0 {GPU}\nIOMMU Group 3 01:00.1 {SOUND}\n"


def lspci(driver: str) -> str:
    """What ``lspci -nnk`` says with the card on a driver."""
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
def test_what_one_command_tells_is_not_concluded_of_what_another_prints(between: str) -> None:
    listing = f"01:00.0 {GPU}\n\tKernel driver in use: nouveau\n\tIOMMU group: 1\n01:00.1 {SOUND}\n\n"
    port, _, sound = host(f"{listing}{between}00:01.0 {PORT}\n").devices.values()
    assert {"driver", "iommu_group"} <= {gap.attribute for gap in port.gaps}
    assert not {"driver", "iommu_group"} & {gap.attribute for gap in sound.gaps}


def test_a_listing_below_set_in_groups_is_not_taken_into_the_last_of_them() -> None:
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


def test_a_driver_that_changed_is_another_state() -> None:
    found = opened(lspci("nouveau") + "\n$ lspci -nnk\n" + lspci("vfio-pci"))
    assert "2 states" in found.notes[0]
    assert found.host.devices[next(a for a in found.host.devices if a.endswith("01:00.0"))].driver == "vfio-pci"


def test_the_state_that_tells_most_is_shown() -> None:
    cut = APART.splitlines()
    found = opened(f"{BOTH}{cut[1]}\n{cut[2]}\n")
    assert groups(found.host) == {1: ["0000:00:01.0", "0000:01:00.0", "0000:01:00.1"]}


def test_one_line_that_contradicts_a_listing_is_named_with_the_other() -> None:
    odd = f"{BOTH}IOMMU Group 7 01:00.0 {GPU}\n" + "".join(f"IOMMU Group 9 02:{n:02x}.0 {GPU}\n" for n in range(5))
    with pytest.raises(SourceError, match=r"line 2: group 1; the paste, line 4: group 7"):
        host(odd)


def test_another_card_in_a_slot_is_told_and_not_mixed() -> None:
    swapped = lspci("nvidia").replace("10de:1c02", "10de:2204")
    found = opened(f"{BOTH}\n$ lspci -nnk\n{swapped}")
    gpu = next(d for a, d in found.host.devices.items() if a.endswith("01:00.0"))
    assert (gpu.device_id, gpu.driver, gpu.group) == ("2204", "nvidia", 1)
    assert any("10de:1c02" in note and "10de:2204" in note for note in found.notes)


def test_two_boots_in_a_log_that_differ_are_two_states() -> None:
    boot = "[    0.0] Linux version 6.1.0 (x)\n" + "".join(
        f"[    0.4] pci 0000:0{n}:00.0: Adding to iommu group {n}\n" for n in range(4)
    )
    other = boot.replace("6.1.0", "6.8.0").replace("group 3", "group 5")
    found = opened(boot + other)
    assert (found.host.kernel, sorted(found.host.groups)) == ("6.8.0", [0, 1, 2, 5])


def test_a_function_that_was_removed_and_came_back_is_where_it_came_back_to() -> None:
    log = (
        "[ 0.4] pci 0000:01:00.0: Adding to iommu group 1\n[ 0.4] pci 0000:02:00.0: Adding to iommu group 2\n"
        "[ 9.0] pci 0000:02:00.0: Removing from iommu group 2\n[ 9.5] pci 0000:02:00.0: Adding to iommu group 7\n"
    )
    assert groups(host(log)) == {1: ["0000:01:00.0"], 7: ["0000:02:00.0"]}


class TestFiles:
    """Several ``--from``."""

    def files(self, tmp_path: Path, *texts: str) -> list[str]:
        """The texts as files."""
        paths = [tmp_path / f"{n}.txt" for n in range(len(texts))]
        for path, text in zip(paths, texts, strict=True):
            path.write_text(text)
        return [str(path) for path in paths]

    def test_groups_here_and_drivers_there(self, tmp_path: Path) -> None:
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

    def test_a_file_without_a_function_says_so(self, tmp_path: Path) -> None:
        assert "1.txt names no PCI device." in open_source(self.files(tmp_path, BOTH, "nothing here\n")).notes[0]
        with pytest.raises(SourceError, match=r"0\.txt names no PCI device"):
            load(self.files(tmp_path, "nothing here\n", "nor here\n"))
