"""``transition(Host, event, model) -> Outcome``: the effect of one write or ioctl.

The mechanics that do not depend on the model have a module each here, with the versions in which they changed:
matching, binding, claims, hot-plug. They call the model for its rules.
"""

from collections.abc import Callable

from iommutui.core import events
from iommutui.core.engine import binding, claims, hotplug
from iommutui.core.events import Event
from iommutui.core.host import Host
from iommutui.core.models import Model
from iommutui.core.reasons import Outcome

_HANDLERS: dict[type, Callable[..., Outcome]] = {
    events.Override: binding.override,
    events.Unbind: hotplug.unbind,
    events.Bind: hotplug.probe,
    events.Probe: hotplug.probe,
    events.ClaimGroup: claims.claim_group,
    events.ClaimDevice: claims.claim_device,
    events.ReleaseGroup: claims.release_group,
    events.ReleaseDevice: claims.release_device,
    events.Remove: hotplug.remove,
    events.Rescan: hotplug.rescan,
}


def transition(host: Host, event: Event, model: Model) -> Outcome:
    """The kernel's answer to the event under the model, and the resulting Host."""
    outcome = _HANDLERS[type(event)](host, event, model)
    if outcome.groups:
        return outcome
    return outcome._replace(groups=_concerned(host, event))


def _concerned(host: Host, event: Event) -> tuple[int, ...]:
    if isinstance(event, events.ClaimGroup | events.ReleaseGroup):
        return (event.group,) if event.group in host.groups else ()
    if isinstance(event, events.Rescan):
        return ()
    device = host.devices.get(event.device)
    return () if device is None or device.group is None else (device.group,)
