"""The uses of a device, in a few words."""

import pytest

from iommutui.core.labels import use_labels
from iommutui.core.query import matching, parse_query
from iommutui.core.uses import Held, Storage, Uses
from tests.core.machines import A, B, function, group_of, machine


@pytest.mark.parametrize(
    ("driver", "boot_vga", "expected"),
    [("amdgpu", True, True), ("amdgpu", False, False), ("vfio-pci", True, False), ("pci-stub", True, False),
     (None, True, False)],
)  # fmt: skip
def test_the_boot_display_is_labelled_while_the_host_uses_it(
    driver: str | None, boot_vga: bool, expected: bool
) -> None:
    host = machine(group_of(1, function(A, driver, boot_vga=boot_vga)))
    assert ("boot display" in use_labels(host).get(A, ())) is expected


@pytest.mark.parametrize(
    ("held", "what", "expected"),
    [(Held.MOUNT, "/", "root disk"), (Held.REMOTE, "/", "leads to /"), (Held.PERHAPS_REMOTE, "/srv", "leads to /srv")],
)
def test_a_device_behind_a_file_system_is_labelled(held: Held, what: str, expected: str) -> None:
    host = machine(group_of(1, function(A, "igb")))._replace(uses=Uses(storage=(Storage(A, held, (what,)),)))
    assert use_labels(host)[A] == (expected,)


def test_a_filter_finds_a_device_by_its_use() -> None:
    host = machine(group_of(1, function(A, "igb"), function(B, "igb")))
    host = host._replace(uses=Uses(storage=(Storage(A, Held.MOUNT, ("/",)),)))
    assert [device.address for device in matching(host, parse_query("root"), lambda group: None)] == [A]
