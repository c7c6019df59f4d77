"""Errors of the card itself: memory of its BARs, ROM, power, configuration space and reset."""

import re
from collections.abc import Iterator

from iommutui.core.command_line import is_set
from iommutui.core.diagnosis.base import Cause, Found, Message, Weight, means, silent
from iommutui.core.hazards.base import on_kernel_driver
from iommutui.core.hazards.device import bus_mates
from iommutui.core.host import Host
from iommutui.core.labels import device_name
from iommutui.core.models.base import since

_OWNERS = {
    **dict.fromkeys(("simpledrm", "simplefb", "simple-framebuffer"), "simple-framebuffer"),
    **dict.fromkeys(("efifb", "efidrm", "efi-framebuffer"), "efi-framebuffer"),
    **dict.fromkeys(("vesafb", "vesadrm", "vesa-framebuffer"), "vesa-framebuffer"),
}
"""The platform driver and device of the firmware's framebuffer, by its name in ``/proc/iomem``."""


def cannot_reserve(found: Found) -> Iterator[Cause]:
    """``BAR n: can't reserve`` (``pci_request_region()``), or a write to the BAR that answers EBUSY."""
    host = found.host
    booted = [d for d in host.devices.values() if d.boots_display and found.address is None]
    for device in [found.device] if found.device is not None else booted:
        screens = host.uses.screens_of(device.address) if host.uses is not None else ()
        owner = next((screen.firmware for screen in screens if screen.firmware), None)
        free = owner is None and host.uses is not None and not host.uses.gap("firmware") and not device.boots_display
        if free or not (device.class_code or "").startswith("03"):
            yield found.say("region-taken", device)
            continue
        removed = (device.class_code or "").startswith("0300") and since(host, (6, 0))
        yield found.say(
            "boot-framebuffer",
            device,
            booted="It is the display that the machine booted on. " if device.boots_display else "",
            holder=f"{owner} holds" if owner else "A framebuffer of the firmware (efifb, simpledrm) most likely holds",
            name=device_name(device),
            how="This kernel's vfio-pci removes such a framebuffer when it is bound: bind the card to it once more."
            if removed
            else _unbind_framebuffer(host, owner),
        )


def _unbind_framebuffer(host: Host, owner: str | None) -> str:
    name, boot = _OWNERS.get(owner or ""), "initcall_blacklist=sysfb_init"
    how = "Unbind efi-framebuffer or simple-framebuffer below /sys/bus/platform/drivers."
    if name:
        how = f"Unbind it as root before the guest starts: echo {name}.0 > /sys/bus/platform/drivers/{name}/unbind."
    if is_set(host, boot):
        return f"{how} {boot} is on the kernel command line already, and has not prevented it."
    return f"{how} Or boot with {boot} (which leaves the console dark until a driver takes the display)."


def rom(found: Found) -> Iterator[Cause]:
    """``pci_get_rom_size()``, and QEMU's ``vfio_pci_load_rom()``."""
    boot = found.device is not None and found.device.boots_display
    shadowed = "it is the display that the machine booted on, whose ROM the firmware has shadowed or shut."
    hidden = "a card that sleeps, or that a driver has used before, often does not show it."
    yield from silent(found, found.device)
    yield found.say("rom-unreadable", why=shadowed if boot else hidden)


def asleep(found: Found) -> Iterator[Cause]:
    """D3cold (``pci_power_up()``), and the runtime power management of vfio-pci itself (``disable_idle_d3``)."""
    on_host = found.device is not None and on_kernel_driver(found.host, found.device)
    yield from silent(found, found.device) or [found.say("host-power" if on_host else "runtime-power")]


_REGRESSION = re.compile(
    r"(?:5\.15\.180|6\.1\.134|6\.6\.87|6\.12\.2[34]|6\.13\.1[12]|6\.14\.[23]|6\.15\.0-rc[12])(?!\d).*", re.DOTALL
)
"""Kernels with commit 479380efe162, which refuses to reset a bus below which a function has no reset of its own; commit
bc0b828ef6e5 takes it back, in 5.15.181, 6.1.135, 6.6.88, 6.12.25, 6.14.4 and 6.15-rc3 (6.13 ended with it)."""


def no_reset(found: Found) -> Iterator[Cause]:
    """QEMU's ``no available reset mechanism`` (``vfio_pci_hot_reset()``), libvirt's ``no FLR, PM reset or bus``."""
    device, host = found.device, found.host
    if host.kernel is not None and _REGRESSION.fullmatch(host.kernel):
        yield found.say("reset-regression", kernel=host.kernel)
    others = (bus_mates(host, device) if device is not None else None) or []
    kept = ", ".join(f"{d.address} on {d.driver}" for d in others if on_kernel_driver(host, d))
    methods = device.details.reset_methods if device is not None and device.details is not None else None
    if others:
        names = ", ".join(d.address for d in others)
        yield found.say("bus-reset", others=names, kept=f"; still on the host: {kept}" if kept else "")
    elif not methods:
        yield found.say("no-reset")


# fmt: off
MESSAGES = (
    Message("cannot reserve a BAR", "bar #*cant reserve | cant reserve [mem | vfio_region_write*device or resource "
            "busy | vfio_region_read*device or resource busy | failed to mmap*performance may be slow", cannot_reserve),
    Message("the ROM cannot be read", "invalid pci rom header signature | invalid pci rom data signature | cannot read "
            "device rom | option rom contents are probably invalid | no more image in the pci rom | rom [*bogus "
            "alignment", rom),
    Message("the device does not wake up", "stuck in d3 | unable to change power state from d3 | refused to change "
            "power state | cant change power state from d3 | config space inaccessible | unknown pci header type | "
            "unknown header type 7f | to d0, device inaccessible", asleep),
    Message("no way to reset", "no available reset mechanism | no flr, pm reset or bus reset available | unable to "
            "reset pci device | not doing bus reset | failed to reset device", no_reset),
    means("no address space for a BAR", "bar #*no space for | bar #*failed to assign | cant assign; no space | no "
          "compatible bridge window | bridge window*failed to assign | rom [mem*failed to assign | not available "
          "because of resource collisions | cant enable device: bar", "no-address-space", "The firmware has left too "
          "little address space for a BAR of {it}; often a large one (resizable BAR).", "Turn on Above 4G decoding in "
          "the firmware setup. {set[pci=realloc]} A smaller BAR (resizable BAR off) helps as well."),
    means("not ready after a reset", "not ready #ms after | timed out waiting for pending transaction | reset recovery "
          "- restoring bars", "reset-did-not-return", "{it} was reset and did not come back, or forgot its state: its "
          "reset does not work.", "Power the machine off and on. Try another reset (write bus or flr to its "
          "reset_method, from 5.15), the module vendor-reset for AMD, or a newer firmware of the card. "
          "{set[vfio-pci.disable_idle_d3=1]}"),
    means("device is in use while it is unbound", "device is currently in use, task | blocked until device is released "
          "| relaying device request to user | no device request channel registered", "unbind-waits", "Somebody "
          "unbinds {it} from vfio-pci while a virtual machine has it open, and the kernel waits until it is released.",
          "Shut the virtual machine down; the unbind then ends by itself."),
    means("kernel crash at a bind", "kernel bug at drivers/vfio | vfio_group_nb_verify", "bug-on", "A host driver was "
          "bound to a device of a group that a virtual machine has; up to Linux 5.18 the kernel does not survive that.",
          "Reboot. Shut virtual machines down before you bind anything in their group, or use 5.19 and later."),
    means("errors on the PCI Express link", "pcie bus error | aer: corrected error | aer: uncorrected | aer:*error "
          "received: @ | aer:*error message received from @ | unrecoverable error detected | dpc: containment event",
          "link-errors", "{it} has errors on its link: a bad contact or riser, or power saving of the link.", "Reseat "
          "the card, set the slot to an older PCIe generation, or boot with pcie_aspm=off."),
    means("IGD of Intel", "igd opregion | requested igd | legacy mode disabled", "igd", "QEMU's legacy mode for "
          "Intel's own graphics needs it at 00:02.0 of a guest of type pc (i440fx) with its ROM.", "Leave legacy mode "
          "and hand it over as a second display with x-igd-opregion=on and a romfile."),
    means("a note of vfio-pci", "enabling device (# | changed vga decodes | hiding ecap | hiding cap | deactivate vga "
          "console", "note", "This is a note, not an error; it appears at every start.", "Nothing to do about it.",
          weight=Weight.HARMLESS),
)
# fmt: on
