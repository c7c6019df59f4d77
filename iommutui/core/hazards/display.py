"""What a person sees this machine by."""

from collections.abc import Iterator, Sequence

from iommutui.core.hazards.base import (
    DANGER,
    INFO,
    WARN,
    Check,
    Hazard,
    Kind,
    Topic,
    listed,
    on_kernel_driver,
    taken,
    unbound,
    unknown,
)
from iommutui.core.host import Device, Host
from iommutui.core.plan.intents import Goal
from iommutui.core.uses import Screen

_OTHER_WAY = "Have another way in (SSH) before you apply, or plug the monitor into a display that stays with the host."

BOOT = Kind("boot-display", Topic.DISPLAY, "the display that the machine booted on", (DANGER, WARN, INFO), _OTHER_WAY)
MONITOR = Kind("monitor", Topic.DISPLAY, "a monitor that is plugged in", (DANGER, WARN, INFO), _OTHER_WAY)
CONSOLE = Kind(
    "text-console", Topic.DISPLAY, "the text console (fbcon)", (WARN,),
    "Detach the console first: echo 0 > /sys/class/vtconsole/vtcon1/bind (the one named 'frame buffer device').",
)  # fmt: skip
FIRMWARE = Kind(
    "firmware-framebuffer", Topic.DISPLAY, "a BAR on which the firmware's framebuffer lies", (WARN,),
    "If the virtual machine then fails to start with 'BAR: can't reserve', let the host boot on another display.",
)  # fmt: skip
IN_USE = Kind(
    "gpu-in-use", Topic.DISPLAY, "a GPU that processes have open", (DANGER, INFO),
    "End these processes first (log out of the desktop, stop the display manager); they crash or hang otherwise.",
)  # fmt: skip


def displays(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """Displays that go dark: less bad while a monitor stays with the host."""
    gone = {device.address for device, _ in taken(host, goals)}
    screens = host.uses.screens if host.uses is not None else ()
    kept = listed(f"{name} of {s.device}" for s in screens if s.device not in gone for name in s.monitors)
    for device, _ in taken(host, goals):
        if not on_kernel_driver(host, device):
            continue
        screen = next((s for s in screens if s.device == device.address), None)
        facts = _facts(screen, kept)
        worst = WARN if kept else DANGER
        if device.boot_vga is None and _is_vga(device):
            gap = device.gap("boot_vga")
            yield BOOT.of(device, INFO, unknown=gap.why if gap is not None else "not-recorded")
        if device.boot_vga:
            yield BOOT.of(device, worst, facts)
        elif screen is not None and screen.monitors:
            yield MONITOR.of(device, worst, facts)
        elif screen is not None and screen.console and screen.framebuffers:
            yield CONSOLE.of(device, WARN, facts)
        elif _is_display(device) and (why := unknown(host, "screens")):
            yield MONITOR.of(device, INFO, unknown=why)


def _is_display(device: Device) -> bool:
    return (device.class_code or "").startswith("03")


def _is_vga(device: Device) -> bool:
    """Whether the kernel shows ``boot_vga`` of it (``pci_dev_attrs_are_visible``), as it does of no 0302 and 0380."""
    return (device.class_code or "").startswith("0300")


def _facts(screen: Screen | None, kept: str) -> tuple[tuple[str, str], ...]:
    monitors = listed(screen.monitors) if screen is not None else ""
    console = listed(screen.framebuffers) if screen is not None and screen.console else ""
    return ("monitors", monitors), ("console", console), ("remains", kept)


def firmware_framebuffer(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """The firmware's framebuffer lies on a BAR: a virtual machine cannot map it (BOOTFB, efifb, simpledrm).

    From 6.1 vfio-pci removes it from devices of class 0300 when it is bound
    (``aperture_remove_conflicting_pci_devices()``), not from those of class 0302 or 0380.
    """
    if host.uses is None:
        return
    for device, _ in taken(host, goals):
        name = next((s.firmware for s in host.uses.screens_of(device.address) if s.firmware), None)
        if name is not None:
            yield FIRMWARE.of(device, WARN, (("name", name),))


def gpu_in_use(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """Processes that have a node of a display controller open: ``/dev/dri/*``, ``/dev/nvidia*``, ``/dev/kfd``."""
    why = unknown(host, "openers")
    for device in unbound(host, goals):
        if not _is_display(device):
            continue
        openers = host.uses.openers_of(device.address) if host.uses is not None else ()
        if openers:
            who = listed(f"{o.name or 'a process'} (pid {o.pid})" if o.pid else o.name or "a process" for o in openers)
            facts = (("who", who), ("nodes", listed(sorted({o.node for o in openers}))))
            yield IN_USE.of(device, DANGER, facts)
        elif why:
            yield IN_USE.of(device, INFO, unknown=why)


CHECKS = (
    Check(displays, (BOOT, MONITOR, CONSOLE)),
    Check(firmware_framebuffer, (FIRMWARE,)),
    Check(gpu_in_use, (IN_USE,)),
)
