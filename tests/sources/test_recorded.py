"""Real machines: trees that others recorded, and dumps of guests. Skipped if they are not available."""

import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from iommutui.core.redact import redact
from iommutui.sources import Depth, load
from iommutui.sources.snapshot import dump, parse
from tests.shared import SHARED

TREES = sorted(SHARED.glob("corpus/sysfs-*"))
DUMPS = sorted(SHARED.glob("traces/*/*/walks/dump.json"))


def test_recordings_are_available() -> None:
    if not TREES or not DUMPS:
        pytest.skip(f"no recorded machines below {SHARED}")


@pytest.mark.parametrize("path", TREES, ids=lambda path: path.name)
def test_recorded_trees_are_read(path: Path, tmp_path: Path) -> None:
    meta = json.loads((path / "meta.json").read_text())
    with tarfile.open(path / meta["main_file"]) as archive:
        archive.extractall(tmp_path, filter="tar")
    host = load(str(tmp_path))
    counts = meta["counts"]
    assert len(host.devices) == counts["devices"]
    assert len(host.groups) == counts["groups"]
    assert sum(d.group is not None for d in host.devices.values()) == counts["devices_in_a_group"]
    assert sum(d.driver is not None for d in host.devices.values()) == counts["devices_with_driver"]
    assert max((len(g.members) for g in host.groups.values()), default=0) == counts["largest_group"]
    assert {d.address.partition(":")[0] for d in host.devices.values()} == set(counts["pci_domains"])
    assert {str(g.id): list(g.members) for g in host.groups.values()} == meta["groups_map"]
    assert all(d.vendor_id and d.device_id and d.class_code and d.modalias for d in host.devices.values())
    assert parse(dump(host), "x") == host


def rebuild(recorded: dict[str, Any], root: Path) -> None:
    """The tree that a dump describes."""
    for path in recorded["dirs"]:
        (root / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
    for path, facts in recorded["files"].items():
        if "text" not in facts and "hex" not in facts:
            continue  # not readable: write-only, or an error
        place = root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(bytes.fromhex(facts["hex"]) if "hex" in facts else facts["text"].encode())
    for path, target in recorded["links"].items():
        place = root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)
    release = root / "proc/sys/kernel/osrelease"
    release.parent.mkdir(parents=True)
    release.write_text(recorded["header"]["kernel"] + "\n")


@pytest.mark.parametrize("path", DUMPS, ids=lambda path: f"{path.parts[-4]}-{path.parts[-3]}")
def test_dumps_are_read(path: Path, tmp_path: Path) -> None:
    recorded = json.loads(path.read_text())
    rebuild(recorded, tmp_path)
    host = load(str(tmp_path))
    header = recorded["header"]
    assert host.kernel == header["kernel"]
    assert {str(n): list(g.members) for n, g in host.groups.items()} == header["groups"]
    assert sorted(host.devices) == sorted(facts["bdf"] for facts in header["devices"])
    for facts in header["devices"]:
        device = host.devices[facts["bdf"]]
        details = device.details
        assert details is not None
        found = {
            "vendor": f"0x{device.vendor_id}",
            "device": f"0x{device.device_id}",
            "subsystem_vendor": f"0x{device.subsystem_vendor_id}",
            "subsystem_device": f"0x{device.subsystem_device_id}",
            "class": f"0x{device.class_code}",
            "revision": f"0x{device.revision}",
            "modalias": device.modalias,
            "driver": device.driver,
            "driver_override": device.driver_override or "(null)",
            "header_type": device.header_type,
            "group": None if device.group is None else str(device.group),
            "parent": device.parent,
            "boot_vga": None if device.boot_vga is None else str(int(device.boot_vga)),
            "numa_node": str(details.numa_node),
            "physfn": device.physfn,
        }
        assert found == {name: facts[name] for name in found}
        assert device.gaps == ()
        assert details.config_answers is True
    assert parse(dump(redact(host)), "x") == redact(host)


@pytest.mark.parametrize("path", DUMPS[:1], ids=str)
def test_the_listing_of_a_dump_is_the_same_machine(path: Path, tmp_path: Path) -> None:
    rebuild(json.loads(path.read_text()), tmp_path)
    listing, everything = (load(os.fspath(tmp_path), depth=depth) for depth in Depth)
    for address, device in everything.devices.items():
        assert listing.devices[address] == device._replace(fits=None, details=None)
