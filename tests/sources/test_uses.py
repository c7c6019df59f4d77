"""Uses of devices, found in trees of files: their gaps, and arbitrary trees."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from iommutui.core.device import Gap
from iommutui.core.uses import Held, Uses
from iommutui.sources import Depth, load
from iommutui.sources.snapshot import dump, parse
from tests.fake_tree import FakeTree
from tests.sources.used import A, B, Machine


def test_a_fully_recorded_machine_has_no_gaps(machine: Machine) -> None:
    assert machine.uses() == Uses()


def test_a_bare_sysfs_has_a_gap_for_every_use(tmp_path: Path) -> None:
    host = load(os.fspath(FakeTree(tmp_path, bare=True).device(A, driver="nvme")))
    assert host.uses is not None
    assert {gap.why for gap in host.uses.gaps} == {"not-recorded"}
    named = {gap.attribute for gap in host.uses.gaps}
    assert named == {"screens", "storage", "fstab", "network", "inputs", "sounds", "openers", "by_id", "firmware"}


@pytest.mark.parametrize(
    ("path", "field"),
    [("proc/self/mountinfo", "storage"), ("proc/swaps", "storage"), ("proc/net/route", "network"),
     ("etc/fstab", "fstab"), ("proc/iomem", "firmware")],
)  # fmt: skip
def test_an_unrecorded_file_and_an_unreadable_file_are_different_gaps(machine: Machine, path: str, field: str) -> None:
    place = machine.tree.root / path
    place.unlink()
    assert machine.uses().gap(field) == "not-recorded"
    place.symlink_to(place.name)
    assert machine.uses().gap(field) == "ELOOP"


def test_the_listing_names_the_uses_it_has_not_read(machine: Machine) -> None:
    machine.mounts(("8:0", "/", "/dev/sda")).disk(A, "sda", "8:0")
    uses = machine.host(Depth.LISTING).uses
    assert uses is not None
    assert [use.held for use in uses.storage] == [Held.MOUNT]
    left = {"inputs", "sounds", "openers", "plugged", "by_id", "firmware", "fstab", "screens"}
    assert {(gap.attribute, gap.why) for gap in uses.gaps} == {(name, "not-collected") for name in left}


_NAMES = st.sampled_from(
    ["sda", "sda1", "dm-0", "md0", "bcache0", "br0", "eth0", "card0", "fb0", "input1", "\x1b[2J", "ü"]
)


_TARGETS = st.sampled_from(
    ["../../devices/pci0000:01/0000:01:00.0/block/sda", "../../devices/virtual/block/dm-0", "self", ".", "..", "/etc",
     "../../../../../etc/passwd", "../../devices/virtual/net/br0", "sda1", "../block/md0"]
)  # fmt: skip


_PLACES = st.sampled_from(
    ["class/block", "class/net", "class/drm", "class/graphics", "class/input", "class/sound", "fs/btrfs", "fs/bcache",
     "class/vtconsole", "bus/thunderbolt/devices", "bus/platform/devices", "devices/virtual/block/dm-0/slaves",
     "devices/virtual/net/br0", "devices/virtual/block/md0/slaves", "dev/block"]
)  # fmt: skip


_TABLES = st.sampled_from(
    ["proc/self/mountinfo", "proc/swaps", "proc/net/route", "proc/net/ipv6_route", "proc/net/if_inet6", "etc/fstab",
     "proc/iomem", "etc/modprobe.d/a.conf", "run/udev/data/b8:0"]
)  # fmt: skip


_LINES = st.sampled_from(
    [b"1 1 8:0 / /a rw - ext4 /dev/sda rw", b"1 1 0:9 / / rw - btrfs /dev/sda rw", b"/dev/dm-0 partition 1",
     b"\xff\0 -", b"/x file 1 1", b"eth0 00000000 0 3 0 0 0 00000000", b"UUID=1 / ext4", b"LABEL=\\999 /b ext4 x",
     b"  0-0 : BOOTFB"]
) | st.binary(max_size=40)  # fmt: skip


@given(
    st.lists(st.tuples(_PLACES, _NAMES, _TARGETS), max_size=14),
    st.lists(st.tuples(_TABLES, st.lists(_LINES, max_size=4)), max_size=5),
    st.none() | st.text(max_size=8) | st.sampled_from(["192.0.2.1", "::1", "1.2.3.4.5"]),
)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_tree_of_links_and_no_table_raises(
    tmp_path_factory: pytest.TempPathFactory,
    links: list[tuple[str, str, str]],
    tables: list[tuple[str, list[bytes]]],
    session: str | None,
) -> None:
    root = tmp_path_factory.mktemp("tree")
    tree = FakeTree(root).device(A, driver="nvidia").device(B, driver="amdgpu")
    for place, name, target in links:
        path = tree.sys / place / name
        if not os.path.lexists(path) and path.parent.resolve(strict=False).is_relative_to(root):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(target)
    for name, lines in tables:
        tree.file(name, b"\n".join([b"heading", *lines]))
    host = load(os.fspath(tree), session=session)
    assert host.uses is not None
    assert all(isinstance(gap, Gap) for gap in host.uses.gaps)
    assert all(use.chain and use.what for use in host.uses.storage if use.held is not Held.DISK)
    assert all(use.chain for use in host.uses.network)
    assert parse(dump(host), "x") == host
