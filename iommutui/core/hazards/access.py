"""Hazards of the ways into the machine: displays, keyboards and pointers, networks; and sound."""

from collections.abc import Iterable, Iterator, Sequence

from iommutui.core.hazards.base import DANGER, INFO, WARN, Hazard, Kind, Moves, Topic, listed, openers_words
from iommutui.core.host import Device, serves_host
from iommutui.core.models import since
from iommutui.core.uses import Network, Screen

_SCREENS = (
    "Have another way in (SSH) before you apply, or plug the monitor into a display that stays with the host.",
    "Plug the monitor into a display that stays with the host.",
)
_STAYS = "[; the monitor on {remains} stays with the host]."
_PORTS = (
    "Plug it into a port of a controller that stays with the host, or have another way in (SSH).",
    "Plug it into a port of a controller that stays with the host.",
)
_WAYS = (
    "Work from the machine's own keyboard and screen, or move the address to an interface that stays.",
    "Move the address to an interface that stays.",
)
_THROUGH = " through {interface}[ ({chain})] on {device}[; {remains} stays with the host]."

# fmt: off
BOOT = Kind(
    "boot-display", Topic.DISPLAY, (DANGER, WARN, INFO), *_SCREENS,
    says="{device} is the display that this machine booted on[ ({shows})]; without its driver the screen goes dark "
    "or freezes" + _STAYS,
    asks="whether {device} is the display that this machine booted on")
MONITOR = Kind(
    "monitor", Topic.DISPLAY, (DANGER, WARN, INFO), *_SCREENS,
    says="A monitor is plugged into {monitors} of {device}, and goes dark" + _STAYS,
    asks="whether a monitor is plugged into {device}")
CONSOLE = Kind(
    "text-console", Topic.DISPLAY, (WARN,),
    "Detach the console first: echo 0 > /sys/class/vtconsole/vtcon1/bind (the one named 'frame buffer device').",
    says="The text console is drawn on {console} of {device}.")
FIRMWARE = Kind(
    "firmware-framebuffer", Topic.DISPLAY, (WARN,),
    "If the virtual machine then fails to start with 'BAR: can't reserve', let the host boot on another display.",
    says="The firmware's framebuffer ({name}) still lies in the memory of {device}; a virtual machine cannot use "
    "memory that the kernel has reserved.")
REMOVED = Kind(
    "framebuffer-removed", Topic.DISPLAY, (DANGER, WARN), *_SCREENS,
    says="When {device} goes to vfio-pci, this kernel removes the firmware's framebuffer ({name}[ of {owner}]): "
    "what it shows goes dark" + _STAYS)
IN_USE = Kind(
    "gpu-in-use", Topic.DISPLAY, (DANGER, INFO),
    "End these processes first (log out of the desktop, stop the display manager); they crash or hang otherwise.",
    says="{device} is in use by {who} ({nodes}).",
    asks="who has {device} open")
KEYBOARD = Kind(
    "last-keyboard", Topic.INPUT, (DANGER,), *_PORTS,
    says="{names} is on {device}, and no other keyboard remains.")
POINTER = Kind(
    "last-pointer", Topic.INPUT, (WARN,), *_PORTS,
    says="{names} is on {device}, and no other mouse or touchpad remains.")
INPUT = Kind(
    "input-leaves", Topic.INPUT, (INFO,), *_PORTS,
    says="{names} goes with {device}[; {remains} stays with the host].",
    asks="which keyboards and mice are on {device}")
PLAYING = Kind(
    "audio-playing", Topic.AUDIO, (WARN, INFO),
    "Stop it or choose another output first; a program that keeps the card open can make the unbind wait.",
    says="Sound is being played or recorded on {device} ({streams}[; held open by {who}]).",
    asks="whether {device} plays sound")
OPEN = Kind(
    "audio-open", Topic.AUDIO, (INFO,),
    "Sound servers usually release it by themselves; if the unbind waits, stop PipeWire or PulseAudio.",
    says="The sound card {device} is held open by {who}.")
SESSION = Kind(
    "ssh-session", Topic.NETWORK, (DANGER, WARN), *_WAYS,
    says="Your SSH session goes" + _THROUGH)
DEFAULT = Kind(
    "default-route", Topic.NETWORK, (DANGER, WARN, INFO), *_WAYS,
    says="The default route goes" + _THROUGH, asks="which network traffic goes through {device}")
ADDRESS = Kind(
    "network-address", Topic.NETWORK, (DANGER, WARN), *_WAYS,
    says="An address of this machine is reached" + _THROUGH)
MEMBER = Kind(
    "network-member", Topic.NETWORK, (WARN,),
    "Take it out of the bond, bridge or VLAN first; virtual machines and containers may use it.",
    says="A bond, bridge or VLAN goes" + _THROUGH)
# fmt: on


def displays(moves: Moves) -> Iterator[Hazard]:
    """Displays that go dark: less severe if the host keeps a monitor."""
    for device in moves.taken:
        screen = next(iter(moves.uses.of(device.address).screens), Screen(device.address))
        shows = screen.firmware is not None and bool(screen.monitors or screen.console)
        if not serves_host(moves.host, device, device.driver) and not shows:
            continue  # Without a driver only the firmware's framebuffer shows a picture.
        if device.boot_vga is None and not device.boot_display and _is_vga(device):
            gap = device.gap("boot_vga")
            yield BOOT.of(device, INFO, gap.why if gap is not None else "not-recorded")
        facts = _shown(screen)
        if device.boots_display or screen.monitors:
            kind, kept = BOOT if device.boots_display else MONITOR, _kept(moves)
            yield kind.of(device, WARN if kept else DANGER, **facts, remains=kept)
        elif facts["console"]:
            yield CONSOLE.of(device, **facts)
        elif device.is_display and (why := moves.uses.gap("screens")):
            yield MONITOR.of(device, INFO, why)


def _shown(screen: Screen) -> dict[str, str]:
    monitors, console = listed(screen.monitors), listed(screen.framebuffers) if screen.console else ""
    shown = ((monitors, f"a monitor is on {monitors}"), (console, f"the text console is on {console}"))
    return {"monitors": monitors, "console": console, "shows": " and ".join(words for there, words in shown if there)}


def _kept(moves: Moves) -> str:
    """The monitors that the host keeps, on displays that still show a picture."""
    dark = {device.address for device in moves.taken} | {screen.device for screen in _removed(moves)}
    return listed(f"{name} of {s.device}" for s in moves.uses.screens if s.device not in dark for name in s.monitors)


def _is_vga(device: Device) -> bool:
    """Whether it has ``boot_vga`` (``pci_dev_attrs_are_visible``); classes 0302 and 0380 do not."""
    return (device.class_code or "").startswith("0300")


def firmware_framebuffer(moves: Moves) -> Iterator[Hazard]:
    """The firmware's framebuffer is in a BAR, which a virtual machine then cannot map (BOOTFB, efifb, simpledrm)...

    unless vfio-pci removes it when it takes a device of class 0300, not of 0302 or 0380: from 6.0
    (``aperture_remove_conflicting_pci_devices()``, commit d17378062079), and up to 6.4 whichever VGA card it takes
    (fixed by commit 5ae3716cfdcd).
    """
    gone, removed = {device.address for device in moves.taken}, _removed(moves)
    for device in moves.taken:
        for screen in moves.uses.of(device.address).screens:
            if screen.firmware is not None and screen not in removed:
                yield FIRMWARE.of(device, name=screen.firmware)
    for screen in removed:
        takers = [d for d in moves.given if _is_vga(d)]
        device = next((d for d in takers if d.address == screen.device), takers[0])
        kept = _kept(moves)
        alone = screen.device not in gone and not kept and bool(screen.monitors or screen.console)
        owner = screen.device if screen.device != device.address else ""
        yield REMOVED.of(device, DANGER if alone else WARN, name=screen.firmware or "", owner=owner, remains=kept)


def _removed(moves: Moves) -> list[Screen]:
    """The displays whose firmware's framebuffer vfio-pci removes."""
    host, given = moves.host, [device.address for device in moves.given if _is_vga(device)]
    if not given or not since(host, (6, 0)):
        return []
    shown = (s for s in moves.uses.screens if s.firmware is not None)
    return [s for s in shown if s.device in given or (s.device in host.devices and not since(host, (6, 5)))]


def gpu_in_use(moves: Moves) -> Iterator[Hazard]:
    """Processes that have a node of a display controller open: ``/dev/dri/*``, ``/dev/nvidia*``, ``/dev/kfd``."""
    for device in moves.leaving:
        openers = moves.uses.of(device.address).openers if device.is_display else ()
        if openers:
            yield IN_USE.of(device, who=openers_words(openers), nodes=listed(sorted({o.node for o in openers})))
        elif device.is_display and (why := moves.uses.gap("openers")):
            yield IN_USE.of(device, INFO, why)


def inputs(moves: Moves) -> Iterator[Hazard]:
    """Keyboards and pointers that leave with a device, judged by those that remain.

    A Bluetooth one does not show its adapter, so it neither leaves nor remains for certain.
    """
    gone = {device.address for device in moves.leaving}
    for device in moves.leaving:
        own = [i for i in moves.uses.of(device.address).inputs if not i.wireless]
        kept = [i for i in moves.uses.inputs if i.device not in gone and not i.wireless] if own else []
        remains = listed(i.name for i in kept)
        keyboards, pointers = [i.name for i in own if i.keyboard], [i.name for i in own if i.pointer]
        no_keyboard = bool(keyboards) and not any(i.keyboard for i in kept)
        no_pointer = bool(pointers) and not any(i.pointer for i in kept)
        if no_keyboard:
            yield KEYBOARD.of(device, names=listed(keyboards), remains=remains)
        if no_pointer:
            yield POINTER.of(device, names=listed(pointers), remains=remains)
        if own and not no_keyboard and not no_pointer:
            yield INPUT.of(device, names=listed(i.name for i in own), remains=remains)
        if (device.class_code or "").startswith("0c03") and (why := moves.uses.gap("inputs")):
            yield INPUT.of(device, INFO, why)


def sounds(moves: Moves) -> Iterator[Hazard]:
    """Sound cards in use."""
    for device in moves.leaving:
        own = moves.uses.of(device.address)
        playing = listed(f"{sound.card} {stream}" for sound in own.sounds for stream in sound.playing)
        who = openers_words(own.openers) if own.sounds else ""
        if playing:
            yield PLAYING.of(device, streams=playing, who=who)
        elif who:
            yield OPEN.of(device, who=who)
        elif (own.sounds or (device.class_code or "").startswith("0403")) and (why := moves.uses.gap("sounds")):
            yield PLAYING.of(device, INFO, why)


def networks(moves: Moves) -> Iterator[Hazard]:
    """The worst loss among each device's interfaces. It is less severe if another device takes over."""
    gone, why = {device.address for device in moves.leaving}, moves.uses.gap("network")
    for device in moves.leaving:
        own = moves.uses.of(device.address).network
        carried = {SESSION: [u for u in own if u.session], DEFAULT: [u for u in own if u.default_route]}
        if not any(carried.values()):
            carried = {ADDRESS: [u for u in own if u.address]}
        for kind, lost in carried.items():
            if lost:
                kept = (use for use in moves.uses.network if use.device not in gone)
                remains = _carries_on(kind, lost, kept)
                yield kind.of(device, WARN if remains else DANGER, **_facts(lost), remains=remains)
        members = [use for use in own if len(use.chain) > 1]
        if members and not any(carried.values()):
            yield MEMBER.of(device, **_facts(members))
        if why and (own or (device.class_code or "").startswith("02") or device.interfaces):
            yield DEFAULT.of(device, INFO, why)


def _carries_on(kind: Kind, lost: Sequence[Network], kept: Iterable[Network]) -> str:
    """The remaining interface that does the same: another member of a bond, or another route.

    The session is bound to its address, so only a bond keeps it.
    """
    tops = {use.top for use in lost}
    for use in kept:
        same = use.top in tops
        if same and use.bonded:
            return use.own
        if not same and ((kind is DEFAULT and use.default_route) or (kind is ADDRESS and use.address)):
            return use.top
    return ""


def _facts(uses: Sequence[Network]) -> dict[str, str]:
    chains = listed(" ← ".join(use.chain) for use in uses) if any(len(use.chain) > 1 for use in uses) else ""
    return {"interface": listed(use.own for use in uses), "chain": chains}


KINDS = (
    *(BOOT, MONITOR, CONSOLE, FIRMWARE, REMOVED, IN_USE, KEYBOARD, POINTER, INPUT, PLAYING, OPEN),
    *(SESSION, DEFAULT, ADDRESS, MEMBER),
)
CHECKS = (displays, firmware_framebuffer, gpu_in_use, inputs, sounds, networks)
