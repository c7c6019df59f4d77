"""Detecting changes of a machine without events."""

from pathlib import Path

from iommutui.sources.live import signature


def test_the_signature_changes_when_a_device_changes_its_driver(tmp_path: Path) -> None:
    bus = tmp_path / "bus"
    for name in ("devices/0000:05:00.0", "drivers/igb", "drivers/vfio-pci"):
        (bus / name).mkdir(parents=True)
    (bus / "drivers/igb/0000:05:00.0").touch()
    before = signature(str(bus))
    (bus / "drivers/igb/0000:05:00.0").rename(bus / "drivers/vfio-pci/0000:05:00.0")
    assert signature(str(bus)) != before
    assert signature(str(tmp_path / "nowhere")) == frozenset()
