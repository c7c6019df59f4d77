"""Listings of real machines, compared with the known facts of each: groups, members, ids, drivers."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from iommutui.core.host import Host
from iommutui.sources import load
from tests.shared import SHARED

FOLDERS = sorted(path.parent for path in (SHARED / "corpus").glob("*/meta.json"))

ODD = "virtmanager-testdriver-nodedev"
"""A document with duplicate addresses and impossible function numbers."""

_LINE = re.compile(
    r"(?m)^[\s>#]*(?:IOMMU [Gg]roup \d+ )?((?:[0-9a-f]{4,5}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]) "
    r".*\[([0-9a-f]{4}:[0-9a-f]{4})\]"
)


def _files(folder: Path, meta: dict[str, Any]) -> list[str]:
    names = dict.fromkeys(meta[key] for key in ("main_file", "group_file", "driver_file") if key in meta)
    return [str(folder / name) for name in names]


def _members(machine: Host) -> dict[str, list[str]]:
    return {str(number): sorted(group.members) for number, group in machine.groups.items()}


@pytest.mark.skipif(not FOLDERS, reason="no corpus")
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_listing_opens_with_the_machines_known_facts(folder: Path) -> None:
    meta = json.loads((folder / "meta.json").read_text())
    files = _files(folder, meta)
    machine = load(files)
    if folder.name != ODD:
        assert _members(machine) == {number: sorted(members) for number, members in meta["groups_map"].items()}
    counts = meta["counts"]
    assert len(machine.groups) == counts["groups"]
    assert sum(len(group.members) for group in machine.groups.values()) == counts["devices_in_a_group"]
    assert len(machine.devices) >= min(counts["devices"], 35)
    if counts["devices_with_driver"] and folder.name != ODD:
        assert sum(d.driver is not None for d in machine.devices.values()) == counts["devices_with_driver"]


@pytest.mark.skipif(not FOLDERS, reason="no corpus")
@pytest.mark.parametrize("folder", [f for f in FOLDERS if f.name != ODD], ids=lambda folder: folder.name)
def test_a_folder_opens_with_at_least_the_facts_of_its_main_file(folder: Path) -> None:
    meta = json.loads((folder / "meta.json").read_text())
    members = _members(load(str(folder)))
    for number, listed in meta["groups_map"].items():
        assert {*listed} <= {*members[number]}


@pytest.mark.skipif(not FOLDERS, reason="no corpus")
@pytest.mark.parametrize("folder", [f for f in FOLDERS if f.name != "asokolsky-duo"], ids=lambda folder: folder.name)
def test_the_ids_are_taken_from_the_text(folder: Path) -> None:
    meta = json.loads((folder / "meta.json").read_text())
    for path in (Path(file) for file in _files(folder, meta) if not file.endswith(("gz", "xml"))):
        machine = load(str(path))
        for address, ids in _LINE.findall(path.read_text(errors="replace")):
            full = address if address.count(":") == 2 else f"0000:{address}"
            device = next(d for a, d in machine.devices.items() if a == full)
            assert f"{device.vendor_id}:{device.device_id}" == ids
