"""``unbind``, ``bind`` and ``drivers_probe`` of a controller with a PCI domain of its own below it (VMD).

``vmd_remove()`` stops and removes all that is behind it, as ``remove`` does; ``vmd_probe()`` scans for it again.
"""

from iommutui.core.address import Address
from iommutui.core.engine import binding
from iommutui.core.engine.hotplug import below, rescan, stop, take_away
from iommutui.core.events import Bind, Probe, Rescan, Unbind
from iommutui.core.host import Host
from iommutui.core.models.base import Model
from iommutui.core.outcome import OK, Outcome, in_use
from iommutui.core.vmd import VMD, behind, controller_of


def unbind(host: Host, event: Unbind, model: Model) -> Outcome:
    """What is behind goes first; the first device of it that is in use is waited for."""
    device = host.devices.get(event.device)
    if device is None or not behind(host, device):
        return binding.unbind(host, event, model)
    gone = below(host, device.address)[1:]
    after, waiting = stop(host, gone, model)
    if waiting is not None:
        return Outcome(OK, after, in_use(*waiting), blocks=True)
    left = {**host.removed, **{address: after.devices[address] for address in gone}}
    return binding.unbind(take_away(after, gone, model)._replace(removed=left), event, model)


def bind(host: Host, event: Bind, model: Model) -> Outcome:
    """What is behind comes back with the driver."""
    return _found_again(host, event.device, binding.bind(host, event, model), model)


def probe(host: Host, event: Probe, model: Model) -> Outcome:
    """What is behind comes back with the driver."""
    return _found_again(host, event.device, binding.probe(host, event, model), model)


def _found_again(host: Host, address: Address, outcome: Outcome, model: Model) -> Outcome:
    before, now = host.devices.get(address), outcome.host.devices.get(address)
    if before is None or now is None or before.driver == VMD or now.driver != VMD:
        return outcome
    removed = outcome.host.removed
    own = {a for a, d in removed.items() if (above := controller_of(outcome.host, d)) and above.address == address}
    scanned = rescan(outcome.host._replace(removed={a: removed[a] for a in own}), Rescan(), model).host
    return outcome._replace(host=scanned._replace(removed={a: d for a, d in removed.items() if a not in own}))
