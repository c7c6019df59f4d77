"""``transition(Host, event, model) -> Outcome``: what the kernel does with one write or ioctl.

The mechanics are in ``core.engine``, with the versions in which they changed; they ask the model for what it decides.
"""

from collections.abc import Callable

from iommutui.core.engine.binding import override
from iommutui.core.engine.claims import claim_device, claim_group, release_device, release_group
from iommutui.core.engine.domains import bind, probe, unbind
from iommutui.core.engine.hotplug import remove, rescan
from iommutui.core.events import (
    Bind,
    ClaimDevice,
    ClaimGroup,
    Event,
    Override,
    Probe,
    ReleaseDevice,
    ReleaseGroup,
    Remove,
    Rescan,
    Unbind,
)
from iommutui.core.host import Host
from iommutui.core.models.base import Model
from iommutui.core.outcome import Outcome

_HANDLERS: dict[type, Callable[..., Outcome]] = {
    Override: override,
    Unbind: unbind,
    Bind: bind,
    Probe: probe,
    ClaimGroup: claim_group,
    ClaimDevice: claim_device,
    ReleaseGroup: release_group,
    ReleaseDevice: release_device,
    Remove: remove,
    Rescan: rescan,
}


def transition(host: Host, event: Event, model: Model) -> Outcome:
    """What the kernel answers to the event under the model, and the Host that it leaves behind."""
    outcome = _HANDLERS[type(event)](host, event, model)
    if outcome.groups:
        return outcome
    return outcome._replace(groups=_concerned(host, event))


def _concerned(host: Host, event: Event) -> tuple[int, ...]:
    if isinstance(event, ClaimGroup | ReleaseGroup):
        return (event.group,) if event.group in host.groups else ()
    if isinstance(event, Rescan):
        return ()
    device = host.devices.get(event.device)
    return () if device is None or device.group is None else (device.group,)
