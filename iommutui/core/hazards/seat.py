"""What a person at the machine sees, types, points and hears with: its seat, in the words of logind."""

from collections.abc import Collection, Iterator, Sequence

from iommutui.core.address import Address
from iommutui.core.card import is_display
from iommutui.core.hazards.base import (
    DANGER,
    INFO,
    WARN,
    Hazard,
    HazardCheck,
    Kind,
    Topic,
    given_away,
    listed,
    on_kernel_driver,
    openers_words,
    taken,
    unbound,
    unknown,
    uses_of,
)
from iommutui.core.host import Device, Host
from iommutui.core.models.base import since
from iommutui.core.plan.intents import Goal
from iommutui.core.uses import Input, Screen

_SCREENS = (
    ("Have another way in (SSH) before you apply, or plug the monitor into a display that stays with the host."),
    "Plug the monitor into a display that stays with the host.",
)

BOOT = Kind(
    "boot-display", Topic.DISPLAY, "the display that the machine booted on", (DANGER, WARN, INFO), *_SCREENS,
    says="{device} is the display that this machine booted on[ ({shows})]; without its driver the screen goes dark "
    "or freezes[; the monitor on {remains} stays with the host].",
    asks="whether {device} is the display that this machine booted on",
)  # fmt: skip
MONITOR = Kind(
    "monitor", Topic.DISPLAY, "a monitor that is plugged in", (DANGER, WARN, INFO), *_SCREENS,
    says="A monitor is plugged into {monitors} of {device}, and goes dark[; the monitor on {remains} stays with the "
    "host].",
    asks="whether a monitor is plugged into {device}",
)  # fmt: skip
CONSOLE = Kind(
    "text-console", Topic.DISPLAY, "the text console (fbcon)", (WARN,),
    "Detach the console first: echo 0 > /sys/class/vtconsole/vtcon1/bind (the one named 'frame buffer device').",
    says="The text console is drawn on {console}, which {device} has.",
)  # fmt: skip
FIRMWARE = Kind(
    "firmware-framebuffer", Topic.DISPLAY, "a BAR on which the firmware's framebuffer lies", (WARN,),
    "If the virtual machine then fails to start with 'BAR: can't reserve', let the host boot on another display.",
    says="The framebuffer of the firmware ({name}) still lies in the memory of {device}, and a virtual machine "
    "cannot have memory that the kernel has reserved.",
)  # fmt: skip
REMOVED = Kind(
    "framebuffer-removed", Topic.DISPLAY, "the firmware's framebuffer, which vfio-pci removes", (DANGER, WARN),
    *_SCREENS,
    says="When {device} goes to vfio-pci, this kernel removes the framebuffer of the firmware ({name}[ of {owner}]): "
    "what it shows goes dark[; the monitor on {remains} stays with the host].",
)  # fmt: skip
IN_USE = Kind(
    "gpu-in-use", Topic.DISPLAY, "a GPU that processes have open", (DANGER, INFO),
    "End these processes first (log out of the desktop, stop the display manager); they crash or hang otherwise.",
    says="{device} is in use by {who} ({nodes}).",
    asks="who has {device} open",
)  # fmt: skip


def displays(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """Displays that go dark: less bad while a monitor stays with the host."""
    gone = {device.address for device, _ in taken(host, goals)}
    for device, _ in taken(host, goals):
        screen = next(uses_of(host).screens_of(device.address), None)
        shows = screen is not None and screen.firmware is not None and bool(screen.monitors or screen.console)
        if not on_kernel_driver(host, device) and not shows:
            continue  # Without a driver only the firmware's framebuffer shows a picture.
        if screen is None and not (is_display(device) or device.boots_display):
            continue
        kept = _kept(host, goals, gone)
        facts = _screen_facts(screen, kept)
        worst = WARN if kept else DANGER
        if device.boot_vga is None and not device.boot_display and _is_vga(device):
            gap = device.gap("boot_vga")
            yield BOOT.of(device, INFO, unknown=gap.why if gap is not None else "not-recorded")
        if device.boots_display:
            yield BOOT.of(device, worst, facts)
        elif screen is not None and screen.monitors:
            yield MONITOR.of(device, worst, facts)
        elif screen is not None and screen.console and screen.framebuffers:
            yield CONSOLE.of(device, WARN, facts)
        elif is_display(device) and (why := unknown(host, "screens")):
            yield MONITOR.of(device, INFO, unknown=why)


def _kept(host: Host, goals: Sequence[Goal], gone: Collection[Address]) -> str:
    """The monitors that stay with the host, on displays that go on showing something."""
    dark = {screen.device for screen in _removed(host, goals)}
    screens = uses_of(host).screens
    left = (s for s in screens if s.device not in gone and s.device not in dark)
    return listed(f"{name} of {s.device}" for s in left for name in s.monitors)


def _is_vga(device: Device) -> bool:
    """Whether it has ``boot_vga`` (``pci_dev_attrs_are_visible``); classes 0302 and 0380 do not."""
    return (device.class_code or "").startswith("0300")


def _screen_facts(screen: Screen | None, kept: str) -> tuple[tuple[str, str], ...]:
    monitors = listed(screen.monitors) if screen is not None else ""
    console = listed(screen.framebuffers) if screen is not None and screen.console else ""
    shown = ((monitors, f"a monitor is on {monitors}"), (console, f"the text console is on {console}"))
    shows = " and ".join(words for there, words in shown if there)
    return ("monitors", monitors), ("console", console), ("shows", shows), ("remains", kept)


def firmware_framebuffer(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """The firmware's framebuffer lies on a BAR: a virtual machine cannot map it (BOOTFB, efifb, simpledrm)...

    unless vfio-pci removes it when it takes a device of class 0300, not of 0302 or 0380: from 6.0
    (``aperture_remove_conflicting_pci_devices()``, commit d17378062079), and up to 6.4 whichever VGA card it takes
    (mended by commit 5ae3716cfdcd).
    """
    gone = {device.address for device, _ in taken(host, goals)}
    removed = _removed(host, goals)
    for device, _ in taken(host, goals):
        for screen in uses_of(host).screens_of(device.address):
            if screen.firmware is not None and screen not in removed:
                yield FIRMWARE.of(device, WARN, (("name", screen.firmware),))
    for screen in removed:
        takers = [d for d in given_away(host, goals) if _is_vga(d)]
        device = next((d for d in takers if d.address == screen.device), takers[0])
        kept = _kept(host, goals, gone)
        alone = screen.device not in gone and not kept and bool(screen.monitors or screen.console)
        owner = screen.device if screen.device != device.address else ""
        facts = (("name", screen.firmware or ""), ("owner", owner), ("remains", kept))
        yield REMOVED.of(device, DANGER if alone else WARN, facts)


def _removed(host: Host, goals: Sequence[Goal]) -> list[Screen]:
    """The displays whose firmware's framebuffer vfio-pci removes."""
    if not since(host, (6, 0)):
        return []
    given = {device.address for device in given_away(host, goals) if _is_vga(device)}
    if not given:
        return []
    any_card = not since(host, (6, 5))
    shown = (s for s in uses_of(host).screens if s.firmware is not None)
    return [s for s in shown if s.device in given or (any_card and s.device in host.devices)]


def gpu_in_use(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """Processes that have a node of a display controller open: ``/dev/dri/*``, ``/dev/nvidia*``, ``/dev/kfd``."""
    why = unknown(host, "openers")
    for device in unbound(host, goals):
        if not is_display(device):
            continue
        openers = uses_of(host).openers_of(device.address)
        if openers:
            facts = (("who", openers_words(openers)), ("nodes", listed(sorted({o.node for o in openers}))))
            yield IN_USE.of(device, DANGER, facts)
        elif why:
            yield IN_USE.of(device, INFO, unknown=why)


_PORTS = (
    "Plug it into a port of a controller that stays with the host, or have another way in (SSH).",
    "Plug it into a port of a controller that stays with the host.",
)

KEYBOARD = Kind(
    "last-keyboard", Topic.INPUT, "the last keyboard", (DANGER,), *_PORTS,
    says="{names} is on {device}, and no other keyboard remains.",
)  # fmt: skip
POINTER = Kind(
    "last-pointer", Topic.INPUT, "the last mouse or touchpad", (WARN,), *_PORTS,
    says="{names} is on {device}, and no other mouse or touchpad remains.",
)  # fmt: skip
INPUT = Kind(
    "input-leaves", Topic.INPUT, "a keyboard or pointer, while others remain", (INFO,), *_PORTS,
    says="{names} goes with {device}[; {remains} stays with the host].",
    asks="which keyboards and mice are on {device}",
)  # fmt: skip


def inputs(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """Keyboards and pointers that go with a device, by what remains.

    One on Bluetooth does not show which adapter it comes through, so it neither goes nor remains for certain.
    """
    leaving = unbound(host, goals)
    gone = {device.address for device in leaving}
    every = [i for i in uses_of(host).inputs if not i.wireless]
    kept = [i for i in every if i.device not in gone]
    for device in leaving:
        own = [i for i in every if i.device == device.address]
        keyboards, pointers = [i for i in own if i.keyboard], [i for i in own if i.pointer]
        no_keyboard = bool(keyboards) and not any(i.keyboard for i in kept)
        no_pointer = bool(pointers) and not any(i.pointer for i in kept)
        if no_keyboard:
            yield KEYBOARD.of(device, DANGER, _input_facts(keyboards, kept))
        if no_pointer:
            yield POINTER.of(device, WARN, _input_facts(pointers, kept))
        if own and not no_keyboard and not no_pointer:
            yield INPUT.of(device, INFO, _input_facts(own, kept))
        if (device.class_code or "").startswith("0c03") and (why := unknown(host, "inputs")):
            yield INPUT.of(device, INFO, unknown=why)


def _input_facts(lost: Sequence[Input], kept: Sequence[Input]) -> tuple[tuple[str, str], ...]:
    return ("names", listed(i.name for i in lost)), ("remains", listed(i.name for i in kept))


PLAYING = Kind(
    "audio-playing", Topic.AUDIO, "sound that is being played or recorded", (WARN, INFO),
    "Stop it or choose another output first; a program that keeps the card open can make the unbind wait.",
    says="Sound is being played or recorded on {device} ({streams}[; held open by {who}]).",
    asks="whether {device} plays sound",
)  # fmt: skip
OPEN = Kind(
    "audio-open", Topic.AUDIO, "a sound card that programs have open", (INFO,),
    "Sound servers usually release it by themselves; if the unbind waits, stop PipeWire or PulseAudio.",
    says="The sound card {device} is held open by {who}.",
)  # fmt: skip


def sounds(host: Host, goals: Sequence[Goal]) -> Iterator[Hazard]:
    """Sound cards in use."""
    why = unknown(host, "sounds")
    for device in unbound(host, goals):
        own = [s for s in uses_of(host).sounds if s.device == device.address]
        playing = [f"{sound.card} {stream}" for sound in own for stream in sound.playing]
        openers = uses_of(host).openers_of(device.address) if own else ()
        who = listed(opener.name for opener in openers if opener.name)
        if playing:
            yield PLAYING.of(device, WARN, (("streams", listed(playing)), ("who", who)))
        elif openers:
            yield OPEN.of(device, INFO, (("who", who or "a process"),))
        elif why and (own or (device.class_code or "").startswith("0403")):
            yield PLAYING.of(device, INFO, unknown=why)


CHECKS = (
    HazardCheck(displays, (BOOT, MONITOR, CONSOLE)),
    HazardCheck(firmware_framebuffer, (FIRMWARE, REMOVED)),
    HazardCheck(gpu_in_use, (IN_USE,)),
    HazardCheck(inputs, (KEYBOARD, POINTER, INPUT)),
    HazardCheck(sounds, (PLAYING, OPEN)),
)
