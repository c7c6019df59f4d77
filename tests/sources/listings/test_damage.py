"""Damage to a listing: quoting, wrapping, encodings, noise; and the message if nothing can be read."""

import bz2
import gzip
import html
import io
import json
import os
import quopri
import tarfile
import textwrap
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iommutui.core.errors import IommutuiError, SourceError
from iommutui.sources import load, open_source, open_text
from iommutui.sources.listings import IMPORTERS
from iommutui.sources.listings.reading import LIMIT
from iommutui.sources.listings.text import Text, decode
from tests.fake_tree import FakeTree
from tests.sources.listings.reading import GPU, SOUND, groups, host, opened
from tests.sources.listings.test_formats import NODEDEV, PROXMOX, WITH_IDS

LISTING = f"IOMMU Group 1:\n\t01:00.0 {GPU}\n\t\tKernel driver in use: nouveau\n\t01:00.1 {SOUND}\n"
WHOLE = [("nouveau", "1c02", 1), (None, "10f1", 1)]


def facts_of(text: str) -> list[tuple[str | None, str | None, int | None]]:
    """Driver, device id and group of every function."""
    return [(d.driver, d.device_id, d.group) for d in host(text).devices.values()]


@pytest.mark.parametrize(
    "text",
    [
        LISTING.replace("\n", "\r\n"),
        LISTING.replace("\n", "\r"),
        LISTING.replace("\t", "        "),
        LISTING.replace("\t", "  "),
        "".join(f"> {line}\n" for line in LISTING.splitlines()),
        "".join(f">> > {line}\n" for line in LISTING.splitlines()),
        "".join(f"    {line}\n" for line in LISTING.splitlines()),
        f"Hello,\n\n```sh\n{LISTING}```\n\nWhat now?\n",
        f"root@pve:~# ./iommu.sh\n{LISTING}root@pve:~# \n",
        "\ufeff" + LISTING,
        LISTING.replace(" ", "\u00a0"),
        LISTING.replace("IOMMU", "\x1b[1;31mIOMMU\x1b[0m"),
        "".join(line + "   \n" for line in LISTING.splitlines()),
        LISTING.replace("GP106 [GeForce", "GP106\n[GeForce"),
        LISTING.replace(" [10de:1c02]", "\n[10de:1c02]"),
        LISTING.replace("[10de:1c02]", "[10de:\n1c02]"),
        quopri.encodestring(f"Grüße,\n{LISTING}".encode()).decode(),
        "".join("> " + line.replace("[", "\\[").replace("]", "\\]") + "  \n" for line in LISTING.splitlines()),
        f"<pre><code>{html.escape(LISTING)}\t\tCapabilities: &lt;access denied&gt;\n</code></pre>",
        "<p>" + "<br>".join(html.escape(LISTING).replace("\t", "&nbsp;&nbsp;").splitlines()) + "</p>&lt;",
        LISTING + "pcilib: sysfs_read_vpd: read failed: Input/output error\n",
        "".join(f"{n:6}\t{line}\n" for n, line in enumerate(LISTING.splitlines(), 1)),
        "".join(f"{n}:{line}\n" for n, line in enumerate(LISTING.splitlines(), 7)),
        "".join(f"{n}. {line}\n" for n, line in enumerate(LISTING.splitlines(), 1)),
        "".join(f"{line}\n{line}\n" if "01:00" in line else f"{line}\n" for line in LISTING.splitlines()),
        f"<p>&ldquo;Mine&rdquo;:</p><pre>{html.escape(LISTING)}</pre>",
        "".join(f"<div>{html.escape(line)}</div>" for line in LISTING.splitlines()),
        LISTING.replace("[0300]: NVIDIA", "[0300]:\nNVIDIA"),
        LISTING.replace("GP106 [GeForce", "GP106\n        [GeForce"),
        f"[CODE]{LISTING}[/CODE]\n",
        f'[QUOTE="somebody, post: 12"]\n[code=sh]{LISTING}[/code]\nThanks[/QUOTE]\n',
        LISTING.replace("[10de:1c02] (rev a1)", "[10de:1c02] (rev\na1)"),
    ],
)
def test_a_listing_survives_common_damage(text: str) -> None:
    assert facts_of(text) == WHOLE


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_any_encoding_is_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "paste"
    path.write_bytes(f"Grüße — so ist es:\n{LISTING}".encode(encoding))
    assert len(load(str(path)).devices) == 2


def test_a_flags_line_wrapped_before_its_group_is_read() -> None:
    text = f"01:00.0 {GPU}\n\tFlags: bus master, fast devsel, latency 0, IRQ 25, NUMA node 0,\nIOMMU group 1\n"
    assert groups(host(text)) == {1: ["0000:01:00.0"]}


@pytest.mark.parametrize(
    "wrapped", ["IOMMU\ngroup 1", "IOMMU group\n\t1", "NUMA\nnode 0, IOMMU group 1", "NUMA\n\tnode 0, IOMMU\ngroup 1"]
)
def test_a_wrapped_group_is_not_taken_for_a_missing_one(wrapped: str) -> None:
    above = f"00:1f.0 {SOUND}\n\tFlags: fast devsel, IOMMU group 7\n"
    text = f"{above}01:00.0 {GPU}\n\tFlags: bus master, {wrapped}\n\tKernel driver in use: x\n"
    assert facts_of(text)[1] == ("x", "1c02", 1)


def test_functions_joined_into_one_line_are_separated() -> None:
    text = f"IOMMU Group 1: 01:00.0 {GPU} 01:00.1 {SOUND} IOMMU Group 2 02:00.0 {GPU}\n"
    assert groups(host(text)) == {1: ["0000:01:00.0", "0000:01:00.1"], 2: ["0000:02:00.0"]}
    assert [d.device_id for d in host(text).devices.values()] == ["1c02", "10f1", "1c02"]
    log = "".join(f"[    0.4] pci 0000:0{n}:00.0: Adding to iommu group {n} " for n in range(3))
    assert sorted(groups(host(log))) == [0, 1, 2]


def test_nothing_is_concluded_from_a_truncated_line() -> None:
    text = (
        f"IOMMU Group 1: 01:00.0 {GPU}\n\tKernel driver in use: nouveau\nIOMMU Group 1: 01:00.1 Audio device [0403]\n"
    )
    gpu, sound = host(text).devices.values()
    assert (gpu.driver, sound.driver, sound.gap("driver") is not None) == ("nouveau", None, True)
    assert (
        host(f"`01:00.1 Audio device: NVIDIA GP106`\n01:00.0 {GPU}\n").devices[sound.address].device_name
        == "NVIDIA GP106"
    )


def test_a_wrapped_revision_is_read() -> None:
    text = f"01:00.0 {GPU}\n".replace(" (rev a1)", " (rev\na1) (prog-if 00 [VGA controller with a long name])")
    (gpu,) = host(text).devices.values()
    assert (gpu.device_id, gpu.revision) == ("1c02", "a1")
    (other,) = host(f"01:00.0 {GPU}\n".replace(" (rev a1)", " (rev\nand so on")).devices.values()
    assert other.device_id == "1c02"


@pytest.mark.parametrize("between", ["", " ", "\t"])
def test_two_functions_on_one_line_are_separated(between: str) -> None:
    found = host(f"01:00.0 VGA controller [0300]: A [10de:1c02]{between}02:00.0 VGA controller [0300]: B [10de:2204]\n")
    assert [d.device_id for d in found.devices.values()] == ["1c02", "2204"]


def test_ids_are_not_guessed_from_two_joined_lines() -> None:
    (found,) = host(f"01:00.0 {GPU}es Chipset Family USB EHCI #2 [8086:8c2d] (rev 05)\n").devices.values()
    assert (found.device_id, found.gap("vendor") is not None) == (None, True)


def test_two_overlapping_lines_do_not_swap_their_ids() -> None:
    text = f"IOMMU Group 1 01:00.0 {GPU[:50]}IOMMU Group 2 02:00.0 {SOUND}\n"
    assert facts_of(text) == [(None, None, 1), (None, "10f1", 2)]
    (found,) = host(f"01:00.0 {GPU[:50]}02:00.0 {SOUND}\n").devices.values()
    assert (found.device_id, found.class_code, found.gap("vendor") is not None) == (None, "0300", True)


def test_escaped_newlines_separate_lines() -> None:
    assert len(host(f"IOMMU Group 1 01:00.0 {GPU}\\nIOMMU Group 1 01:00.1 {SOUND}\\n").devices) == 2
    assert len(host(f"01:00.0 {GPU}\\n01:00.1 {SOUND}\\n").devices) == 2


@pytest.mark.parametrize(
    "damaged", [f"01:0.0 {GPU}", f"O1:00.0 {GPU}", f"IOMMU Group l 01:00.0 {GPU}", "[... 5 more]", "and so on"]
)
def test_a_damaged_line_is_counted_as_ignored(damaged: str) -> None:
    found = opened(f"IOMMU Group 1 00:1f.0 {SOUND}\n{damaged}\nIOMMU Group 2 02:00.0 {SOUND}\n")
    assert groups(found.host) == {1: ["0000:00:1f.0"], 2: ["0000:02:00.0"]}
    assert "1 line was ignored" in found.notes[-1]


@pytest.mark.parametrize("first", ["", f"01:0.0 {GPU}\n", "01:00.0\n"])
def test_details_below_a_damaged_first_line_belong_to_no_function(first: str) -> None:
    port = f"00:1c.0 {SOUND}\n\tKernel driver in use: pcieport\n"
    lost = f"{first}\tSubsystem: ZOTAC Device [19da:1438]\n\tKernel driver in use: nouveau\n"
    above, below = host(f"{port}{lost}02:00.0 {SOUND}\n\tKernel driver in use: x\n").devices.values()
    assert (above.driver, above.subsystem_vendor_id, below.driver) == ("pcieport", None, "x")
    unbound, _ = host(
        f"00:1c.0 {SOUND}\n\tSubsystem: A [1234:5678]\n{lost}{port.replace('00:', '02:')}"
    ).devices.values()
    assert (unbound.driver, unbound.gap("driver") is not None) == (None, True)


def test_details_without_indentation_belong_to_the_function_above() -> None:
    details = "Subsystem: ZOTAC Device [19da:1438]\nRegion 0: Memory at f0 [size=16M]\nKernel driver in use: nouveau\n"
    found = opened(f"01:00.0 {GPU}\n{details}Kernel modules: nouveau,\nnvidia\n01:00.1 {SOUND}\n")
    assert [d.driver for d in found.host.devices.values()] == ["nouveau", None]
    assert found.notes == ()


@pytest.mark.parametrize("end", ["\tIRQ 16", "\t[...]\n", "\n<snip>\n"])
def test_nothing_is_concluded_from_missing_lines(end: str) -> None:
    text = f"00:1f.0 {SOUND}\n\tKernel driver in use: x\n\tIOMMU group: 1\n01:00.0 {GPU}\n\tFlags: bus master\n"
    gpu = host(text + end).devices[next(a for a in host(text).devices if "01:00" in a)]
    assert {"driver", "iommu_group"} <= {gap.attribute for gap in gpu.gaps}
    assert not {"driver", "iommu_group"} & {gap.attribute for gap in host(text).devices[gpu.address].gaps}


def test_an_indented_listing_below_indented_groups_does_not_join_the_last_group() -> None:
    listing = f"00:01.0 {SOUND}\n\tKernel driver in use: x\n01:00.0 {GPU}\n"
    text = f"me@box:~$ ./groups.sh\nIOMMU Group 1:\n\t01:00.0 {GPU}\nme@box:~$ lspci -nnk\n{listing}"
    for indented in (text, f"Here:\n{textwrap.indent(text, '    ')}"):
        assert groups(host(indented)) == {1: ["0000:01:00.0"]}
        assert [d.driver for d in host(indented).devices.values()] == ["x", None]


def test_typographic_quotes_are_read_as_plain_ones() -> None:
    assert groups(host(NODEDEV.replace("'", "\u2019"))) == {1: ["0000:01:00.0", "0000:01:00.1"]}
    assert groups(host(json.dumps(PROXMOX).replace('"', "\u201c"))) == {1: ["0000:01:00.0", "0000:01:00.1"]}


def test_other_leading_numbers_are_kept() -> None:
    below = "".join(f"0{n}:00.0 {GPU}\n" for n in range(1, 5))
    assert [address[5:7] for address in host(below).devices] == ["01", "02", "03", "04"]
    far = "".join(f"1000{n}:e1:00.0 {GPU}\n" for n in range(4))
    assert len(host(f"0000:00:0e.0 {GPU}\n{far}").devices) == 5


def test_plain_lines_are_not_joined_to_the_next_group() -> None:
    text = f"IOMMU Group 1:\n01:00.0 VGA compatible controller: NVIDIA Device\nIOMMU Group 2:\n02:00.0 {GPU}\n"
    assert [d.device_id for d in host(text).devices.values()] == [None, "1c02"]


def test_ignored_lines_are_counted_and_every_line_is_explained() -> None:
    found = opened(f"Hello.\n\n{LISTING}\nBye.\n")
    assert "2 lines were ignored" in found.notes[-1]
    lines = found.explain()
    assert lines[0] == "the paste:1: ignored: Hello."
    assert lines[1] == "the paste:3: groups: group 1: IOMMU Group 1:"
    assert [":".join(line.split(":")[1:3]) for line in lines[2:]] == [
        "4: groups",
        "5: groups",
        "6: groups",
        "8: ignored",
    ]


def test_an_empty_text_names_the_formats_and_the_closest_line() -> None:
    with pytest.raises(SourceError) as caught:
        host("Hello,\nmy card is at 01:00.0 and says nothing\nBye\n")
    assert all(importer.name in caught.value.what for importer in IMPORTERS if importer.name != "system")
    assert "Line 2 came closest: 'my card is at 01:00.0 and says nothing'" in caught.value.what
    assert "snapshot --script" in caught.value.remedy
    with pytest.raises(SourceError, match="No line looks like"):
        host("Hello,\nWorld\n")
    with pytest.raises(SourceError, match="is empty"):
        host(" \n")


def test_a_text_that_is_too_large_is_refused_by_its_size(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="larger than 16 MiB"):
        host(" " * (LIMIT + 1))
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(100_000_000)
    with pytest.raises(SourceError, match="larger than 64 MiB"):
        load(str(path))


def test_an_element_without_an_end_is_ignored() -> None:
    for before in range(12):
        with pytest.raises(SourceError):
            host("x" * before + "<device>")


def test_the_tree_of_lspci_is_recognised_and_refused() -> None:
    with pytest.raises(SourceError, match=r"line 2: This is 'lspci -t'"):
        host("$ lspci -tv\n-[0000:00]-+-00.0  Intel Corporation\n           +-02.0  Intel\n")


def test_hostile_names_keep_no_control_characters() -> None:
    found = host(LISTING.replace("GP106", "GP\x07\x1b]0;x\x07106\u202e"))
    assert all(ord(char) >= 32 for d in found.devices.values() for char in d.device_name or "")


Mode = Literal["w", "w:gz", "w:bz2", "w:xz"]


class TestArchives:
    """A recorded tree in one file."""

    def archive(self, tmp_path: Path, mode: Mode) -> Path:
        """An archive of a machine."""
        root = tmp_path / "machine"
        root.mkdir()
        FakeTree(root).device("0000:01:00.0", vendor="10de", device="2204", driver="nvidia", group=1)
        path = tmp_path / "any-name"
        with tarfile.open(path, mode) as packed:
            packed.add(root, "a/machine")
        return path

    @pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
    def test_an_archive_opens_as_the_directory_does(self, tmp_path: Path, mode: Mode) -> None:
        path = self.archive(tmp_path, mode)
        assert load(str(path)) == load(str(tmp_path / "machine"))

    def test_archive_members_that_lead_outside_are_left_out(self, tmp_path: Path) -> None:
        path = self.archive(tmp_path, "w")
        with tarfile.open(path, "a") as packed:
            for name in ("../out", "/tmp/iommutui-out", "a/machine/../../../out"):
                member = tarfile.TarInfo(name)
                member.size = 4
                packed.addfile(member, io.BytesIO(b"evil"))
            link = tarfile.TarInfo("a/machine/sys/bus/pci/devices/0000:02:00.0")
            link.type, link.linkname = tarfile.SYMTYPE, "/sys/bus/pci/devices"
            packed.addfile(link)
        assert list(load(str(path)).devices) == ["0000:01:00.0"]
        assert not os.path.lexists("/tmp/iommutui-out")
        assert sorted(os.listdir(tmp_path)) == ["any-name", "machine"]

    def test_a_compressed_listing_is_read(self, tmp_path: Path) -> None:
        for pack in (gzip.compress, bz2.compress):
            path = tmp_path / "log"
            path.write_bytes(pack(LISTING.encode()))
            assert len(load(str(path)).devices) == 2

    def test_a_damaged_archive_is_refused(self, tmp_path: Path) -> None:
        path = self.archive(tmp_path, "w:gz")
        path.write_bytes(path.read_bytes()[:-200])
        with pytest.raises(SourceError):
            load(str(path))

    def test_an_archive_bomb_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "bomb"
        path.write_bytes(gzip.compress(b"0" * (1 << 27)))
        with pytest.raises(SourceError, match="more than 64 MiB"):
            load(str(path))


WORDS = st.sampled_from(
    [
        *(text for example in WITH_IDS.values() for text in example.splitlines()[:3]),
        *("IOMMU Group 1:", "IOMMU Group 2", "[", "{", "}", "]", "<device>", "</device>", "Slot:\t01:00.0", "", "  "),
        *("00: 86 80", "P: /devices/x", "| a | b |", "IOMMU: dmar0", "IOMMU Group: 5", "Kernel driver in use: ?"),
    ]
)


@given(st.lists(WORDS | st.text(max_size=30), max_size=30).map("\n".join))
def test_any_lines_are_read_or_refused(text: str) -> None:
    try:
        found = open_text(text)
    except IommutuiError:
        return
    for number, group in found.host.groups.items():
        assert all(found.host.devices[member].group == number for member in group.members)
    found.explain()


@given(st.binary(max_size=300))
def test_any_bytes_are_split_into_clean_lines(data: bytes) -> None:
    lines = Text(decode(data))
    assert all("\n" not in line and "\r" not in line and "\x1b[" not in line for line in lines.lines)


def test_a_folder_of_listings_is_one_machine(tmp_path: Path) -> None:
    (tmp_path / "groups.txt").write_text(LISTING.replace("\t\tKernel driver in use: nouveau\n", ""))
    (tmp_path / "lspci.txt").write_text(f"01:00.0 {GPU}\n\tKernel driver in use: nouveau\n01:00.1 {SOUND}\n")
    (tmp_path / "notes.md").write_text("My machine.\n")
    assert [(d.driver, d.device_id, d.group) for d in load(str(tmp_path)).devices.values()] == WHOLE
    (tmp_path / "sys").mkdir()
    with pytest.raises(SourceError):
        load(str(tmp_path))


def test_a_directory_and_a_listing_are_not_one_machine(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(LISTING)
    with pytest.raises(IommutuiError, match="whole machine"):
        open_source([str(tmp_path / "a.txt"), str(tmp_path)])
