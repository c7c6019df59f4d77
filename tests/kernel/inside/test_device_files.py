"""VFIO device files and iommufd, on a kernel that has them, compared with the engine's answers."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from iommutui.core.address import Address
from iommutui.core.engine import transition
from iommutui.core.events import Bind, ClaimDevice, ClaimGroup, Event, Override, Probe, ReleaseDevice, Unbind
from iommutui.core.models import MODELS
from iommutui.sources import load

from . import pci
from .owner import DeviceFiles, Files
from .program import Run
from .writes import Write, write_of

pytestmark = [
    pytest.mark.skipif(os.environ.get("IOMMUTUI_GUEST") != "gpu", reason="needs the topology gpu"),
    pytest.mark.skipif(not Path("/dev/iommu").exists(), reason="this kernel is built without iommufd"),
]

DISPLAY, SOUND, USB, NET = (Address(f"0000:01:00.{number}") for number in range(4))
SOON, LATE = 1.5, 60.0


@pytest.fixture
def files(restored: pci.State) -> Iterator[DeviceFiles]:
    """Device files, closed before drivers are restored: an unbind would wait for them."""
    opened = DeviceFiles()
    yield opened
    opened.close()


def to_vfio(device: Address) -> tuple[Event, ...]:
    return Override(device, "vfio-pci"), Unbind(device), Probe(device)


def cdev(device: Address, owner: str) -> ClaimDevice:
    return ClaimDevice(device, owner, cdev=True)


FREE = Unbind(DISPLAY), Unbind(SOUND)
TWO = *FREE, *to_vfio(USB), *to_vfio(NET)
SCENES: dict[str, tuple[Event, ...]] = {
    "beside a kernel driver": (*to_vfio(NET), cdev(NET, "a"), ClaimGroup(11, "b"), cdev(DISPLAY, "a")),
    "one iommufd": (*TWO, cdev(USB, "a"), cdev(NET, "a"), cdev(NET, "a"), cdev(NET, "b"), Probe(SOUND)),
    "two iommufds": (*TWO, cdev(USB, "a"), cdev(NET, "b"), ClaimGroup(11, "a"), ReleaseDevice(USB, "a"),
                     cdev(NET, "b")),
    "any device": (*FREE, Unbind(USB), *to_vfio(NET), Override(SOUND, "uio_pci_generic"), Probe(SOUND), cdev(NET, "a")),
    "what waits": (*TWO, cdev(NET, "a"), Unbind(NET), cdev(NET, "a"), Override(NET, None), Probe(NET),
                   Bind(NET, "e1000e"), ReleaseDevice(NET, "a"), cdev(USB, "b")),
}  # fmt: skip


@pytest.mark.parametrize("scene", SCENES)
def test_kernel_and_engine_agree(files: DeviceFiles, scene: str) -> None:
    host, waiting = load(), []
    assert host.devices[NET].group == 11
    for event in SCENES[scene]:
        before = host
        outcome = transition(host, event, MODELS["dma-owner"])
        host = outcome.host
        if isinstance(event, ClaimDevice):
            answer = files.claim(event)
        elif isinstance(event, ReleaseDevice):
            answer = files.release(event.device)
        elif isinstance(event, ClaimGroup):
            answer = Files().claim(event.group, ())
        else:
            assert isinstance(event, Override | Unbind | Bind | Probe)
            write = write_of(event, before.devices[event.device].driver)
            answer = write.wait(SOON if outcome.blocks else LATE)
            waiting += [write] if answer == "blocks" else []
        assert answer == ("blocks" if outcome.blocks else outcome.result), event
        if isinstance(event, ReleaseDevice):
            assert [write.wait(LATE) for write in waiting] == ["ok"] * len(waiting)
        pci.wait_for(lambda: pci.driver(NET) == host.devices[NET].driver)  # noqa: B023 - called at once
        assert {a: pci.driver(a) for a in (DISPLAY, SOUND, USB, NET)} == {
            a: host.devices[a].driver for a in (DISPLAY, SOUND, USB, NET)
        }, event


def test_a_device_being_unbound_still_belongs_to_its_owner(iommutui: Run, files: DeviceFiles) -> None:
    for event in TWO:
        write_of(event, pci.driver(event.device)).wait(LATE)  # type: ignore[union-attr]
    assert files.claim(cdev(NET, "a")) == "ok"
    write = Write(pci.DRIVERS / "vfio-pci/unbind", NET)
    try:
        assert pci.wait_for(lambda: pci.driver(NET) is None)
        group = iommutui("list", "--json").group(11)
        assert group["state"] == "user"
        assert f"pid {os.getpid()}" in group["owner"]
        assert f"{NET}  being unbound" in iommutui("why", NET).out
        assert iommutui("preview", f"{NET}=default").code == 3
    finally:
        files.release(NET)
    assert write.wait(LATE) == "ok"
