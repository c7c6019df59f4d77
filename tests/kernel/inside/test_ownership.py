"""Facts about ownership that a walk does not reach, on this kernel, compared with the engine's answer."""

from pathlib import Path

import pytest

from iommutui.core.address import Address
from iommutui.core.engine import transition
from iommutui.core.events import ClaimGroup, Override, Probe, Unbind
from iommutui.core.models import model_for, since
from iommutui.sources import load

from . import pci
from .owner import OWNER, Files


@pytest.fixture
def card() -> Address:
    """A network card that is alone in its group."""
    host = load()
    alone = [d for d in host.devices.values() if d.group is not None and len(host.groups[d.group].members) == 1]
    return next(d.address for d in alone if d.driver == "e1000e")


def test_unbinding_the_last_vfio_device_ends_the_claim(restored: pci.State, card: Address) -> None:
    """Its container is detached while the owner still has every file open, so the host owns the group again."""
    host = load()
    if not since(host, (5, 19)):
        pytest.skip("older kernels wait for the container")
    number = pci.group(card)
    files = Files()
    pci.bind(card, "vfio-pci")
    assert pci.wait_for(Path(f"/dev/vfio/{number}").exists)
    assert files.claim(number, ()) == "ok"
    try:
        pci.unbind(card)
        pci.set_override(card, None)
        (pci.SYSFS / "bus/pci/drivers_probe").write_text(card)
        bound = pci.driver(card)
    finally:
        files.release_all()
    events = (Override(card, "vfio-pci"), Unbind(card), Probe(card), ClaimGroup(number, OWNER, devices=False),
              Unbind(card), Override(card, None), Probe(card))  # fmt: skip
    for event in events:
        outcome = transition(host, event, model_for(host.kernel))
        host = outcome.host
    assert (outcome.result, bound) == ("ok", host.devices[card].driver)
    assert host.groups[number].claim is None
