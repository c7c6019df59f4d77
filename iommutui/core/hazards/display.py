"""What a person sees this machine by."""

from collections.abc import Iterator, Sequence

from iommutui.core.hazards.base import Hazard, Severity, Topic, taken
from iommutui.core.host import Host
from iommutui.core.intents import Goal


def boot_display(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """The display that the firmware and the console started on (``boot_vga``)."""
    for device, _ in taken(host, goals):
        if device.boot_vga and device.driver is not None:
            yield Hazard("boot-display", Topic.DISPLAY, Severity.DANGER, device.address)
