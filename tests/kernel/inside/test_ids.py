"""Drivers that bind devices by ``ids``, as with ``vfio-pci.ids=`` on the kernel's command line."""

import subprocess
from collections.abc import Iterator

import pytest

from iommutui.core.address import Address
from iommutui.core.drivers import STUB, VFIO_PCI
from iommutui.core.engine import transition
from iommutui.core.events import Event, Override, Probe, Unbind
from iommutui.core.models import model_for
from iommutui.sources import load

from . import pci

OWN, ID = "e1000e", "8086:10d3"
"""The host driver of the guest's network cards, and their id."""


def modprobe(*words: str) -> None:
    """Load a module, or with -r remove it."""
    subprocess.run(["modprobe", *words], check=True)


@pytest.fixture(params=[VFIO_PCI, STUB])
def taker(request: pytest.FixtureRequest, restored: pci.State) -> Iterator[str]:
    """A driver with ids, loaded before the cards' host driver, as the command line can ask for at boot."""
    name: str = request.param
    modprobe("-r", OWN, name)
    modprobe(name, f"ids={ID}")
    modprobe(OWN)
    yield name
    modprobe("-r", name)
    modprobe(name)


def test_ids_bind_a_device_unless_it_has_an_override(taker: str) -> None:
    cards = [Address(a) for a in pci.devices() if (pci.DEVICES / a / "device").read_text().strip() == "0x10d3"]
    assert [pci.driver(address) for address in cards] == [taker] * len(cards)
    card = cards[0]
    host = load()
    host = host._replace(cmdline=f"{host.cmdline} {taker}.ids={ID}")
    own: list[Event] = [Unbind(card), Override(card, OWN), Probe(card)]
    back: list[Event] = [Unbind(card), Override(card, None), Probe(card)]
    for event in [*own, *back]:
        host = transition(host, event, model_for(host.kernel)).host
        match event:
            case Unbind():
                pci.unbind(card)
            case Override():
                pci.set_override(card, event.driver)
            case _:
                (pci.SYSFS / "bus/pci/drivers_probe").write_text(card)
        assert pci.driver(card) == host.devices[card].driver, event
    assert host.devices[card].driver == taker
