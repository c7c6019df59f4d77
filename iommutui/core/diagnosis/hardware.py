"""Errors of the card itself: memory of its BARs, ROM, power, configuration space and reset."""

from collections.abc import Iterator

from iommutui.core.command_line import is_set, parameter_advice
from iommutui.core.diagnosis.base import Cause, Found, Message, Weight, means, silent
from iommutui.core.hazards.base import on_kernel_driver
from iommutui.core.host import Host
from iommutui.core.labels import device_name
from iommutui.core.models.base import since

_OWNERS = {
    **dict.fromkeys(("simpledrm", "simplefb", "simple-framebuffer"), "simple-framebuffer"),
    **dict.fromkeys(("efifb", "efi-framebuffer"), "efi-framebuffer"),
    **dict.fromkeys(("vesafb", "vesa-framebuffer"), "vesa-framebuffer"),
}
"""The platform driver and device of the firmware's framebuffer, by its name in ``/proc/iomem``."""


def cannot_reserve(found: Found) -> Iterator[Cause]:
    """``BAR n: can't reserve`` (``pci_request_region()``), or a write to the BAR that answers EBUSY."""
    host = found.host
    every = [found.device] if found.device is not None else [] if found.address else host.devices.values()
    for device in [d for d in every if found.device is not None or d.boot_vga]:
        screens = host.uses.screens_of(device.address) if host.uses is not None else ()
        owner = next((screen.firmware for screen in screens if screen.firmware), None)
        if not (device.class_code or "").startswith("03"):
            yield found.cause(
                "region-taken",
                f"Another driver holds the memory of {device.address}; /proc/iomem, read as root, names it.",
                "Unbind what /proc/iomem shows inside the range of that BAR.",
                device,
            )
            continue
        booted = "It is the display that the machine booted on. " if device.boot_vga else ""
        holder = f"{owner} holds" if owner else "A framebuffer of the firmware (efifb, simpledrm) most likely holds"
        removed = (device.class_code or "").startswith("0300") and since(host, (6, 0))
        yield found.cause(
            "boot-framebuffer",
            f"{booted}{holder} the memory of {device.address} ({device_name(device)}) for the firmware's picture.",
            "This kernel's vfio-pci removes such a framebuffer when it is bound: bind the card to vfio-pci once more."
            if removed
            else _unbind_framebuffer(host, owner),
            device,
        )


def _unbind_framebuffer(host: Host, owner: str | None) -> str:
    name, boot = _OWNERS.get(owner or ""), "initcall_blacklist=sysfb_init"
    how = (
        f"Unbind it as root before the virtual machine starts: echo {name}.0 > /sys/bus/platform/drivers/{name}/unbind."
        if name
        else "Unbind efi-framebuffer or simple-framebuffer below /sys/bus/platform/drivers."
    )
    if is_set(host, boot):
        return f"{how} {boot} is on the kernel command line already, and has not prevented it."
    return f"{how} Or boot with {boot} (which leaves the console dark until a driver takes the display)."


def rom(found: Found) -> Iterator[Cause]:
    """``pci_get_rom_size()``, and QEMU's ``vfio_pci_load_rom()``."""
    device = found.device
    if device is not None:
        yield from silent(found, device)
    why = (
        "it is the display that the machine booted on, whose ROM the firmware has shadowed or shut."
        if device is not None and device.boot_vga
        else "a card that sleeps, or that a driver has used before, often does not show it."
    )
    yield found.cause(
        "rom-unreadable",
        f"The ROM of {found.it} cannot be read: {why}",
        "Give the virtual machine a file with the ROM (romfile= in QEMU and Proxmox, <rom file=.../> in libvirt). Where "
        "the guest needs no boot screen from it, the message is harmless; rombar=0 (<rom bar='off'/>) ends it.",
    )


def asleep(found: Found) -> Iterator[Cause]:
    """D3cold (``pci_power_up()``), and vfio-pci's own runtime power management (5.18 and later, ``disable_idle_d3``)."""
    causes = list(silent(found, found.device)) if found.device is not None else []
    yield from causes or [found.cause(
        "runtime-power",
        f"{found.it} was put to sleep and did not wake up: vfio-pci powers down a device that nobody uses, and some do "
        "not come back from that.",
        parameter_advice(found.host, "vfio-pci.disable_idle_d3=1")
        + " Or write 0 to d3cold_allowed of the device and of the port above it.",
    )]  # fmt: skip


_REGRESSION = ("6.12.23", "6.13.11", "6.14.2")
"""Stable kernels in which ``pci_reset_bus()`` failed where it worked before, as people reported."""


def no_reset(found: Found) -> Iterator[Cause]:
    """QEMU's ``no available reset mechanism`` (``vfio_pci_hot_reset()``), libvirt's ``no FLR, PM reset or bus reset``."""
    device, host = found.device, found.host
    if (host.kernel or "").startswith(_REGRESSION):
        text = f"Kernels of this release ({host.kernel}) were reported to refuse resets of a bus that worked before."
        yield found.cause("reset-regression", text, "Update the kernel.")
    behind = device.parent if device is not None else None  # without a port above there is no bus to reset
    others = [d for d in host.devices.values() if d.parent == behind and d != device] if behind is not None else []
    kept = ", ".join(f"{d.address} on {d.driver}" for d in others if on_kernel_driver(host, d))
    methods = device.details.reset_methods if device is not None and device.details is not None else None
    if others:
        yield found.cause(
            "bus-reset",
            f"{found.it} can be reset only with its bus, which needs every function of the card in one virtual machine: "
            f"{', '.join(d.address for d in others)}" + (f"; on the host are still {kept}." if kept else "."),
            f"Hand them over together: 'iommutui plan --card {found.it}'. The message is harmless if the virtual machine "
            "starts and restarts.",
        )
    elif not methods:
        yield found.cause(
            "no-reset",
            f"The kernel knows no way to reset {found.it} alone, and a reset of its bus was not possible.",
            "Give all devices behind the same port to one virtual machine. Otherwise it can start once, and the machine "
            "has to be power-cycled before the device works again. (Qubes, Xen: no-strict-reset.)",
        )


# fmt: off
MESSAGES = (
    Message("cannot reserve a BAR", "bar #*cant reserve | cant reserve [mem | vfio_region_write*device or resource "
            "busy | vfio_region_read*device or resource busy | failed to mmap*performance may be slow", cannot_reserve),
    Message("the ROM cannot be read", "invalid pci rom header signature | invalid pci rom data signature | cannot read "
            "device rom | option rom contents are probably invalid | no more image in the pci rom | rom [*bogus "
            "alignment | has no rom, legacy mode disabled", rom),
    Message("the device does not wake up", "stuck in d3 | unable to change power state from d3 | refused to change "
            "power state | cant change power state from d3 | config space inaccessible | unknown pci header type | "
            "unknown header type 7f | to d0, device inaccessible", asleep),
    Message("no way to reset", "no available reset mechanism | no flr, pm reset or bus reset available | unable to "
            "reset pci device | not doing bus reset | failed to reset device", no_reset),
    means("no address space for a BAR", "bar #*no space for | bar #*failed to assign | cant assign; no space | no "
          "compatible bridge window | bridge window*failed to assign | failed moving device bar | rom [mem*failed to "
          "assign", "no-address-space", "The firmware has left too little address space for a BAR of {it}; often a "
          "large one (resizable BAR).", "Turn on Above 4G decoding in the firmware setup. {parameter} A smaller BAR "
          "(resizable BAR off) helps as well.", parameter="pci=realloc"),
    means("not ready after a reset", "not ready #ms after | timed out waiting for pending transaction | reset recovery "
          "- restoring bars", "reset-did-not-return", "{it} was reset and did not come back, or forgot its state: its "
          "reset does not work.", "Power the machine off and on. Try another reset (write bus or flr to its "
          "reset_method, from 5.15), the module vendor-reset for AMD, or a newer firmware of the card. {parameter}",
          parameter="vfio-pci.disable_idle_d3=1"),
    means("device is in use while it is unbound", "device is currently in use, task | blocked until device is released "
          "| relaying device request to user | no device request channel registered", "unbind-waits",
          "Somebody unbinds {it} from vfio-pci while a virtual machine has it open, and the kernel waits until it lets "
          "go.", "Shut the virtual machine down; the unbind then ends by itself."),
    means("kernel crash at a bind", "kernel bug at drivers/vfio | vfio_group_nb_verify", "bug-on",
          "A host driver was bound to a device of a group that a virtual machine has; up to Linux 5.18 the kernel does "
          "not survive that.", "Reboot. Shut virtual machines down before you bind anything in their group, or use "
          "5.19 and later."),
    means("errors on the PCI Express link", "pcie bus error | aer: corrected error | aer: uncorrected", "link-errors",
          "{it} has errors on its link: a bad contact or riser, or power saving of the link.",
          "Reseat the card, set the slot to an older PCIe generation, or boot with pcie_aspm=off."),
    means("a note of vfio-pci", "enabling device (# | changed vga decodes | hiding ecap | hiding cap | deactivate vga "
          "console", "note", "This is a note and no error: it is said at every start.", "Nothing to do about it.",
          weight=Weight.HARMLESS),
)
# fmt: on
