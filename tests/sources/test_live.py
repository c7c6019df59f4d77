"""Events from the kernel."""

import sys
from types import SimpleNamespace

import pytest

from iommutui.sources.live import Unavailable, Watcher, watch

pyudev = pytest.importorskip("pyudev")


class FakeObserver:
    """An observer whose events the test sends itself."""

    def __init__(self, monitor: object, callback: object, name: str) -> None:
        self.callback = callback
        self.stops = 0

    def start(self) -> None:
        pass

    def send_stop(self) -> None:
        self.stops += 1


def event(action: str, subsystem: str, path: str) -> SimpleNamespace:
    return SimpleNamespace(action=action, subsystem=subsystem, device_path=path, sys_name=path.rpartition("/")[2])


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> tuple[Watcher, list[str]]:
    monkeypatch.setattr(pyudev, "MonitorObserver", FakeObserver)
    found: list[str] = []
    return Watcher(None, lambda: found.append("changed")), found


def test_events_are_passed_on(received: tuple[Watcher, list[str]]) -> None:
    watcher, found = received
    watcher.receive(event("unbind", "pci", "/devices/pci0000:00/0000:00:02.0"))
    watcher.receive(event("add", "vfio", "/devices/virtual/vfio/14"))
    watcher.receive(event("add", "drivers", "/bus/pci/drivers/nvidia"))
    assert found == ["changed"] * 3


def test_other_events_are_not_passed_on(received: tuple[Watcher, list[str]]) -> None:
    watcher, found = received
    watcher.receive(event("change", "pci", "/devices/pci0000:00/0000:00:02.0"))
    watcher.receive(event("add", "drivers", "/bus/usb/drivers/hub"))
    assert found == []


def test_no_events_are_passed_on_after_the_stop(received: tuple[Watcher, list[str]]) -> None:
    watcher, found = received
    watcher.stop()
    watcher.stop()
    watcher.receive(event("add", "vfio", "/devices/virtual/vfio/14"))
    assert found == []
    assert watcher._observer.stops == 1


def test_a_missing_pyudev_makes_events_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyudev", None)
    found = watch(lambda: None)
    assert isinstance(found, Unavailable)
    assert "pip install" in found.remedy


def test_a_missing_libudev_makes_events_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ImportError("No library named udev")

    monkeypatch.setattr(pyudev, "Context", fail)
    found = watch(lambda: None)
    assert isinstance(found, Unavailable)
    assert "libudev" in found.why


def test_a_failing_netlink_socket_makes_events_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(pyudev, "Context", lambda: None)
    monkeypatch.setattr(pyudev.Monitor, "from_netlink", fail)
    assert isinstance(watch(lambda: None), Unavailable)


def test_the_watcher_starts_and_stops_on_this_machine() -> None:
    found = watch(lambda: None)
    if isinstance(found, Unavailable):
        pytest.skip(found.why)
    found.stop()
    found._observer.join(5)
    assert not found._observer.is_alive()
