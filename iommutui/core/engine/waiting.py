"""What waits behind an unbind, and goes on when the device is released."""

from iommutui.core.engine.binding import bind, override
from iommutui.core.engine.hotplug import finish_removal
from iommutui.core.events import Override
from iommutui.core.host import Host
from iommutui.core.models.base import Model, unbind_pending


def go_on(host: Host, model: Model) -> Host:
    """The Host after a release: a ``remove`` that waited goes on, then writes of whose device the unbind has ended.

    ``bind`` waits since 5.15 (seen on 6.1 and 6.12; before, ``bind_store`` says ENODEV), an override up to 6.11 (seen
    on 5.10 and 6.1; later ``driver_override_store`` does not take the lock of the device).

    They get the lock of the device in their order, and are judged only then: a driver that matched when ``bind`` was
    written has to match still (``__pci_device_probe``), and the group may be another owner's (6.12: EBUSY).
    """
    host = finish_removal(host, model)
    for event in host.waiting:
        device = host.devices.get(event.device)
        if device is not None and unbind_pending(host.group_of(event.device), device):
            continue
        host = host._replace(waiting=tuple(other for other in host.waiting if other is not event))
        host = (override(host, event, model) if isinstance(event, Override) else bind(host, event, model)).host
    return host
