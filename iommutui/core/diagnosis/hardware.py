"""Errors of the hardware: the BARs, ROM, power and reset of a card; its DMA, faults of the IOMMU, and interrupts."""

import re
from collections.abc import Iterator

from iommutui.core.diagnosis.base import Cause, Found, Kind, Message, Weight, means
from iommutui.core.hazards.device import bus_mates
from iommutui.core.host import is_vfio, serves_host
from iommutui.core.models import since

# fmt: off
REGION_TAKEN = Kind("region-taken", "Another driver holds the memory of {device}; /proc/iomem, read as root, names it.",
    "Unbind what /proc/iomem shows inside the range of that BAR.")
REMOVED_AT_BIND = Kind("boot-framebuffer", "The firmware's framebuffer {holds} the memory of {device}.",
    "This kernel's vfio-pci removes such a framebuffer when it is bound: bind the card to it once more.")
BOOT_FRAMEBUFFER = Kind("boot-framebuffer", "The firmware's framebuffer ({owner}) {holds} the memory of {device}.",
    "Unbind it as root before the guest starts: echo {name}.0 > /sys/bus/platform/drivers/{name}/unbind. If that does "
    "not help: {+initcall_blacklist=sysfb_init} (The console then stays dark until a driver takes the display.)")
HOST_POWER = Kind("host-power", "{it} is {on}, a host driver, and did not wake up: it has lost power.",
    "Power the machine off and on. Then write on to its power/control, or boot with pcie_port_pm=off.")
RESET_REGRESSION = Kind("reset-regression", "This kernel ({kernel}) has a bug: it resets a bus only if each function "
    "on it can be reset alone.", "Update to the next release of its series, or to 6.15 and later.")
BUS_RESET = Kind("bus-reset", "{it} is reset with its bus, so every device on that bus must be in one guest: "
    "{others}[; still on the host: {kept}].", "Hand over all of them: 'iommutui plan --card {it}'. The message is "
    "harmless if the guest starts and restarts.")
NO_RESET = Kind("no-reset", "The kernel knows no way to reset {it} alone, and a reset of its bus was not possible.",
    "Give everything behind its port to one virtual machine, or power-cycle it between guests. (Qubes, Xen: "
    "no-strict-reset.)")
IOVA_RESERVED = Kind("iova-reserved", "The mapping at {start} overlaps a region of group {group} that the host "
    "reserves: {region}.", "Give the guest another memory layout: another machine type, or a smaller PCI window.")
IOVA_TOO_WIDE = Kind("iova-too-wide", "The mapped address is most likely beyond the IOMMU's address width ({limit}), "
    "often of a large BAR.", "Give the guest fewer address bits: -cpu host,host-phys-bits-limit=39, or "
    "guest-phys-bits=39 from QEMU 9.1 (args: in Proxmox). Or a smaller 64-bit PCI window (OVMF: X-PciMmio64Mb).")
BLOCKED_IN_GUEST = Kind("blocked-in-guest", "The IOMMU stopped {it}: its DMA or interrupt is not mapped. It is {on}: "
    "the guest's driver or firmware caused it.", "Harmless once at a start. Otherwise power-cycle the card, and look "
    "at the driver in the guest.")
BLOCKED_ON_HOST = Kind("blocked-on-host", "The IOMMU stopped {it}: its DMA or interrupt is not mapped. It is {on}, a "
    "host driver; or the firmware still uses it.", "Update firmware and kernel; with iommu=pt host drivers are not "
    "translated. If it began when a neighbour was handed over, look at the group: 'iommutui why {device}'.")
BLOCKED_WITHOUT_DRIVER = Kind("blocked-without-driver", "The IOMMU stopped {it}: its DMA or interrupt is not mapped. "
    "It has no driver now, so a former driver, a guest or the firmware left it running.", "Bind it to a driver, or "
    "turn the device off in the firmware setup.")
INTERRUPT_SHARED = Kind("interrupt-shared", "{it} shares interrupt line {irq} with {device}, which is {on}, and "
    "vfio-pci cannot mask its interrupt alone.", "Unbind it if the host can do without: 'iommutui preview "
    "{device}=none'. Or use another slot, or MSI in the guest.")
# fmt: on


def cannot_reserve(found: Found) -> Iterator[Cause]:
    """``BAR n: can't reserve`` (``pci_request_region()``), or a write to the BAR that answers EBUSY."""
    displays = [d for d in found.host.devices.values() if d.boots_display and found.address is None]
    for device in [found.device] if found.device is not None else displays:
        owner = next((screen.firmware for screen in found.uses.of(device.address).screens if screen.firmware), "")
        holds = "holds" if owner else "most likely holds"
        free = not owner and not found.uses.gap("firmware") and not device.boots_display
        if free or not device.is_display:
            yield found.say(REGION_TAKEN, device)
        elif (device.class_code or "").startswith("0300") and since(found.host, (6, 0)):
            yield found.say(REMOVED_AT_BIND, device, holds=holds)
        else:
            # The owner is a name in /proc/iomem, as simpledrm, efifb or vesa-framebuffer.
            name = next((kind for kind in ("efi", "vesa") if owner.startswith(kind)), "simple") + "-framebuffer"
            yield found.say(BOOT_FRAMEBUFFER, device, holds=holds, owner=owner or "efifb, simpledrm", name=name)


def asleep(found: Found) -> list[Cause]:
    """D3cold (``pci_power_up()``); elsewhere the runtime power management of vfio-pci itself (``disable_idle_d3``)."""
    on_host = found.device is not None and serves_host(found.host, found.device, found.device.driver)
    return found.silent() or ([found.say(HOST_POWER)] if on_host else [])


_REGRESSION = re.compile(
    r"(?:5\.15\.180|6\.1\.134|6\.6\.87|6\.12\.2[34]|6\.13\.1[12]|6\.14\.[23]|6\.15\.0-rc[12])(?!\d).*", re.DOTALL
)
"""Kernels with commit 479380efe162, which refuses to reset a bus below which a function has no reset of its own; commit
bc0b828ef6e5 takes it back, in 5.15.181, 6.1.135, 6.6.88, 6.12.25, 6.14.4 and 6.15-rc3 (6.13 ended with it)."""


def no_reset(found: Found) -> Iterator[Cause]:
    """QEMU's ``no available reset mechanism`` (``vfio_pci_hot_reset()``), libvirt's ``no FLR, PM reset or bus``."""
    device, host = found.device, found.host
    if host.kernel is not None and _REGRESSION.fullmatch(host.kernel):
        yield found.say(RESET_REGRESSION, kernel=host.kernel)
    others = (bus_mates(host, device) if device is not None else None) or []
    kept = ", ".join(f"{d.address} on {d.driver}" for d in others if serves_host(host, d, d.driver))
    if others:
        names = ", ".join(d.address for d in others)
        yield found.say(BUS_RESET, others=names, kept=kept)
    elif device is None or device.details is None or not device.details.reset_methods:
        yield found.say(NO_RESET)


_MAPPED = re.compile(r"dma_map ?\( ?(?:0x)?[0-9a-f]+, ?(0x[0-9a-f]+), ?(0x[0-9a-f]+)|iova[ =:]*(0x[0-9a-f]+)")


def map_invalid(found: Found) -> Iterator[Cause]:
    """EINVAL of VFIO_IOMMU_MAP_DMA (``vfio_iommu_iova_dma_valid()``): beyond the IOMMU's width, or reserved."""
    width = min((each.width for each in found.host.iommus or () if each.width is not None), default=None)
    limit = f"{width} bits" if width else "39 bits on many desktops and laptops; Intel reports it in 'cap'"
    match = _MAPPED.search(found.text)
    if match is None:
        yield found.say(IOVA_TOO_WIDE, limit=limit)
        return
    start = int(match[1] or match[3], 16)
    end = start + max(int(match[2] or "1", 16), 1) - 1
    for group in found.groups:
        for region in group.regions or ():
            if region.type != "direct-relaxable" and region.start <= end and start <= region.end:
                there = f"{region.start:#x}-{region.end:#x} ({region.type})"
                yield found.say(IOVA_RESERVED, group=group.id, start=f"{start:#x}", region=there)
    if end >> (width or 39):
        yield found.say(IOVA_TOO_WIDE, limit=limit)


def fault(found: Found) -> list[Cause]:
    """DMA, or an interrupt, that the IOMMU blocks (``dmar_fault_do_one()``, ``iommu_print_event()``)."""
    device = found.device
    if device is None:
        return []
    if is_vfio(found.host, device, device.driver):
        return [found.say(BLOCKED_IN_GUEST)]
    return [found.say(BLOCKED_ON_HOST if serves_host(found.host, device, device.driver) else BLOCKED_WITHOUT_DRIVER)]


def interrupt_shared(found: Found) -> list[Cause]:
    """EBUSY of VFIO_DEVICE_SET_IRQS for INTx (``vfio_intx_set_signal()``): the line is shared, but must not be.

    A device whose INTx cannot be masked (``pci_intx_mask_supported()``), or ``nointxmask``, wants the line for itself.
    """
    host, device = found.host, found.device
    irq = device.details.irq if device is not None and device.details is not None else None
    on_line = [d for d in host.devices.values() if irq and d.details is not None and d.details.irq == irq]
    others = [d for d in on_line if d != device and serves_host(host, d, d.driver) and not d.is_bridge]
    return [found.say(INTERRUPT_SHARED, other, irq=str(irq)) for other in others]


# fmt: off
MESSAGES = (
    Message("DMA mapping is invalid", "vfio_map_dma*invalid argument | dma_map*invalid argument | ioas_map*invalid "
            "argument | memory listener initialization failed*invalid argument | dmamap*invalid argument", map_invalid),
    means("no memory to map for DMA", "vfio_map_dma*cannot allocate memory | dma_map*cannot allocate memory | "
          "rlimit_memlock | memory listener initialization failed*cannot allocate memory | cannot limit locked memory "
          "| cannot set up dma remapping*cannot allocate memory | ioas_map*cannot allocate memory | dmamap*cannot "
          "allocate memory", "memlock-limit", "The guest's memory is pinned for DMA, and RLIMIT_MEMLOCK is lower, or "
          "the host has too little free memory.", "Raise the limit above the guest's memory: 'ulimit -l', memlock in "
          "/etc/security/limits.conf, LimitMEMLOCK=infinity in a unit, <memtune><hard_limit> in libvirt. Or give the "
          "guest less memory; ballooning does not help here."),
    means("DMA is blocked by the IOMMU", "request device [@]*fault | request device @*fault addr | dma read*request "
          "device | dma write*request device | io_page_fault | invalid_device_request | illegal_dev_table_entry | "
          "intr-remap: request device | access is not set | smmu*unhandled context fault", "blocked-unknown",
          "The IOMMU stopped {it}: its DMA or interrupt is not mapped. The address in brackets is the device.",
          "'iommutui list' shows what it is and its driver.", unless=fault),
    means("interrupt line cannot be shared", "vfio_device_set_irqs failure: device or resource busy | interrupt "
          "intx*device or resource busy | flags mismatch irq # | failed to enable intx | could not enable intx | setup "
          "intx fd*device or resource busy", "interrupt-taken", "Another driver has the interrupt line that {it} needs "
          "exclusively.", "/proc/interrupts names the driver: unbind its device, use another slot, or make the guest's "
          "driver use MSI. Remove nointxmask=1 if it is on the kernel command line.", unless=interrupt_shared),
    means("a mapping failed", "dma mapping failed, unable to continue", "dma-map", "QEMU ends because memory could not "
          "be mapped; the line before says why.", "Pass that line to --error too.", weight=Weight.ERRNO),
    means("the IOMMU reports faults", "drhd: handling fault status reg", "dma-fault", "The IOMMU has stopped DMA; the "
          "next line names device and reason.", "Pass that line to --error too.", weight=Weight.ERRNO),
    means("the IOMMU waits for a device", "completion-wait loop timed out | iotlb_inv_timeout | invalidation time-out "
          "error | qi_submit_sync | device-tlb*timed out", "device-gone", "A device no longer answers the IOMMU: it "
          "lost power, or did not come back from a reset or from D3cold.", "Check which card was handed over or reset "
          "just before. Power the machine off and on; {+vfio-pci.disable_idle_d3=1} Or boot with pcie_aspm=off, or use "
          "another slot."),
    means("bad address to map", "vfio_map_dma*bad address | dma_map*bad address | ioas_map*bad address", "peer-to-peer",
          "The range to map is a BAR of another device, not memory. QEMU goes on without it: only DMA directly between "
          "handed-over devices does not work.", "Nothing to do, unless the guest needs such DMA."),
    means("no memory for the guest", "unable to map backing store for guest ram | cannot set up guest memory | could "
          "not allocate*guest ram | dma_map*no space left", "guest-memory", "Too little free memory or huge pages, or "
          "too many DMA mappings (65535).", "Reserve huge pages at boot, or give the guest less memory."),
    means("unhandled interrupt", "nobody cared | disabling irq #", "stuck-interrupt", "A device holds its interrupt "
          "line asserted and no driver answers, so the kernel turns the line off; every device on it stops working.",
          "/proc/interrupts shows who shares the line. Make the guest's driver use MSI, or put the card elsewhere."),
    means("a note, not an error", "no atsr found | read/write to iommu perf counter | dmar: iommu enabled | iommuv2 "
          "functionality not available | setting identity map | vfio_pci: add [ | masking broken intx support | "
          "received unaligned region | enabling device (# | changed vga decodes | hiding ecap | hiding cap | "
          "deactivate vga console", "note", "This is a note, not an error. ('DMAR: IOMMU enabled' says only that the "
          "parameter was read.)", "'iommutui list' shows whether there are groups.", weight=Weight.HARMLESS),
    means("no interrupt vectors left", "interrupt msi*no space left | interrupt msi*vfio_device_set_irqs failure",
          "no-vectors", "The host has no interrupt vectors left, or the guest asked for more than the device has.",
          "Give the guest's driver fewer queues; x2APIC in the firmware setup gives the host more vectors."),
    means("IGD of Intel", "igd opregion | requested igd | legacy mode disabled", "igd", "QEMU's legacy mode for "
          "Intel's own graphics needs it at 00:02.0 of a guest of type pc (i440fx) with its ROM.", "Leave legacy mode "
          "and hand it over as a second display with x-igd-opregion=on and a romfile."),
    Message("cannot reserve a BAR", "bar #*cant reserve | cant reserve [mem | vfio_region_write*device or resource "
            "busy | vfio_region_read*device or resource busy | failed to mmap*performance may be slow", cannot_reserve),
    means("the ROM cannot be read", "invalid pci rom header signature | invalid pci rom data signature | cannot read "
          "device rom | option rom contents are probably invalid | no more image in the pci rom | rom [*bogus "
          "alignment", "rom-unreadable", "The ROM of {it} cannot be read: the firmware has shadowed or disabled that "
          "of the display that the machine booted on, and a card that sleeps, or that a driver has used before, often "
          "does not show it.", "Give the guest a file with the ROM (romfile=, <rom file=.../> in libvirt). Where it "
          "needs no boot screen from the device, the message is harmless, and rombar=0 (<rom bar='off'/>) removes it.",
          unless=Found.silent),
    means("the device does not wake up", "stuck in d3 | unable to change power state from d3 | refused to change power "
          "state | cant change power state from d3 | config space inaccessible | unknown pci header type | unknown "
          "header type 7f | to d0, device inaccessible", "runtime-power", "{it} did not wake up: vfio-pci powers down "
          "idle devices, and some stay down.", "{+vfio-pci.disable_idle_d3=1} Or write 0 to d3cold_allowed of the "
          "device and of the port above.", unless=asleep),
    Message("no way to reset", "no available reset mechanism | no flr, pm reset or bus reset available | unable to "
            "reset pci device | not doing bus reset | failed to reset device", no_reset),
    means("no address space for a BAR", "bar #*no space for | bar #*failed to assign | cant assign; no space | no "
          "compatible bridge window | bridge window*failed to assign | rom [mem*failed to assign | not available "
          "because of resource collisions | cant enable device: bar", "no-address-space", "The firmware has left too "
          "little address space for a BAR of {it}; often a large one (resizable BAR).", "Turn on Above 4G decoding in "
          "the firmware setup. {+pci=realloc} A smaller BAR (resizable BAR off) helps as well."),
    means("not ready after a reset", "not ready #ms after | timed out waiting for pending transaction | reset recovery "
          "- restoring bars", "reset-did-not-return", "{it} did not come back from a reset, or forgot its state.",
          "Power the machine off and on. Try another reset (write bus or flr to its reset_method, from 5.15), "
          "vendor-reset for AMD, or newer firmware. {+vfio-pci.disable_idle_d3=1}"),
    means("device is in use while it is unbound", "device is currently in use, task | blocked until device is released "
          "| relaying device request to user | no device request channel registered", "unbind-waits",
          "Somebody unbinds {it} from vfio-pci while a virtual machine has it open, and the kernel waits until it is "
          "released.", "Shut the virtual machine down; the unbind then ends by itself."),
    means("kernel crash at a bind", "kernel bug at drivers/vfio | vfio_group_nb_verify", "bug-on", "A host driver was "
          "bound to a device of a group that a virtual machine has; up to Linux 5.18 the kernel does not survive that.",
          "Reboot. Shut virtual machines down before you bind anything in their group, or use Linux 5.19 or later."),
    means("errors on the PCI Express link", "pcie bus error | aer: corrected error | aer: uncorrected | aer:*error "
          "received: @ | aer:*error message received from @ | unrecoverable error detected | dpc: containment event",
          "link-errors", "{it} has errors on its link: a bad contact or riser, or link power saving.",
          "Reseat the card, set the slot to an older PCIe generation, or boot with pcie_aspm=off."),
)
# fmt: on
