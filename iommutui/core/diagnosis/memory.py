"""Errors of DMA: mappings that fail, faults of the IOMMU, and interrupts."""

import re
from collections.abc import Iterator

from iommutui.core.diagnosis.base import Cause, Found, Message, Weight, groups_asked, means
from iommutui.core.roles import is_vfio, serves_host

_MAPPED = re.compile(r"dma_map ?\( ?(?:0x)?[0-9a-f]+, ?(0x[0-9a-f]+), ?(0x[0-9a-f]+)|iova[ =:]*(0x[0-9a-f]+)()")
_FAULT = re.compile(r"fault reason:? (0x)?([0-9a-f]{1,2})\b")


def map_invalid(found: Found) -> Iterator[Cause]:
    """EINVAL of VFIO_IOMMU_MAP_DMA (``vfio_iommu_iova_dma_valid()``): beyond the IOMMU's width, or reserved."""
    match = _MAPPED.search(found.text)
    start = int(match[1] or match[3], 16) if match else None
    end = start + max(int(match[2] or "1", 16), 1) - 1 if match and start is not None else 0
    for group in groups_asked(found) if start is not None else ():
        for region in group.regions or ():
            if region.type != "direct-relaxable" and region.start <= end and (start or 0) <= region.end:
                there = f"{region.start:#x}-{region.end:#x} ({region.type})"
                yield found.say("iova-reserved", group=group.id, start=f"{start:#x}", region=there)
    width = min((each.width for each in found.host.iommus or () if each.width is not None), default=None)
    if start is None or end >> (width or 39):
        where = f"The address {start:#x} is" if start is not None else "The mapped address is most likely"
        limit = f"{width} bits" if width else "39 bits on many desktops and laptops; Intel tells it in 'cap'"
        yield found.say("iova-too-wide", where=where, limit=limit)


def map_no_memory(found: Found) -> Iterator[Cause]:
    """ENOMEM of VFIO_IOMMU_MAP_DMA (``vfio_pin_pages_remote()``, ``vfio_lock_acct()``): RLIMIT_MEMLOCK."""
    limit = re.search(r"rlimit_memlock \((\d+)\)", found.text)
    yield found.say("memlock-limit", limit=f" ({int(limit[1]) // 1024} KiB)" if limit else "")
    if limit is None:
        yield found.say("too-little-memory")


_REASONS = {
    0x01: "no IOMMU context exists for its bus",
    0x02: "no IOMMU domain is attached to the device",
    0x05: "it wrote to memory that is not mapped for it",
    0x06: "it read memory that is not mapped for it",
    0x0C: "a page table entry has reserved bits set: this IOMMU does not understand the mapping",
    0x22: "it sent an interrupt for which no entry exists",
    0x25: "it sent an interrupt in the old format, which interrupt remapping blocks",
    0x26: "it sent an interrupt in the name of another device",
}
"""``dma_remap_fault_reasons`` and ``irq_remap_fault_reasons`` of drivers/iommu/intel/dmar.c."""


def fault(found: Found) -> Iterator[Cause]:
    """DMA, or an interrupt, that the IOMMU blocks (``dmar_fault_do_one()``, ``iommu_print_event()``)."""
    device, number = found.device, _FAULT.search(found.text)
    what = "it did DMA to memory that is not mapped for it"
    if number is not None and (number[1] or number[2].isdecimal()):
        what = _REASONS.get(int(number[2], 16 if number[1] else 10), what)  # in decimal before 5.11
    group = f" (group {device.group})" if device is not None and device.group is not None else ""
    stopped = f"The IOMMU stopped {found.it}{group}: {what}"
    if device is None:
        yield found.say("blocked-unknown", stopped=stopped)
    elif is_vfio(found.host, device, device.driver):
        yield found.say("blocked-in-guest", stopped=stopped)
    elif serves_host(found.host, device, device.driver):
        yield found.say("blocked-on-host", stopped=stopped)
    else:
        yield found.say("blocked-without-driver", stopped=stopped)


def interrupt_shared(found: Found) -> Iterator[Cause]:
    """EBUSY of VFIO_DEVICE_SET_IRQS for INTx (``vfio_intx_set_signal()``): the line is shared, and cannot be alone.

    A device whose INTx cannot be masked (``pci_intx_mask_supported()``), or ``nointxmask``, wants the line for itself.
    """
    host, device, line = found.host, found.device, re.search(r"flags mismatch irq (\d+)", found.text)
    taker = re.search(r"vs\. ?[0-9a-f]+ ?\((.+?)\)", found.text)
    irq = int(line[1]) if line else device.details.irq if device is not None and device.details is not None else None
    on_line = [d for d in host.devices.values() if irq and d.details is not None and d.details.irq == irq]
    others = [d for d in on_line if d != device and serves_host(host, d, d.driver) and not d.is_bridge]
    yield from (found.say("interrupt-shared", other, irq=irq) for other in others)
    if not others:
        yield found.say("interrupt-taken", taker=f" ({taker[1]})" if taker else "", irq=f" {irq}" if irq else "")
    if re.search(r"nointxmask=(?:1|y)", host.cmdline or ""):
        yield found.say("nointxmask")


# fmt: off
MESSAGES = (
    Message("DMA mapping is invalid", "vfio_map_dma*invalid argument | dma_map*invalid argument | iommudmamap*invalid "
            "argument | vfiodmamap*invalid argument | ioas_map*invalid argument | memory listener initialization "
            "failed*invalid argument", map_invalid),
    Message("no memory to map for DMA", "vfio_map_dma*cannot allocate memory | dma_map*cannot allocate memory | "
            "rlimit_memlock | vfiodmamap*cannot allocate memory | memory listener initialization failed*cannot "
            "allocate memory | iommudmamap*cannot allocate memory | cannot limit locked memory | cannot set up dma "
            "remapping*cannot allocate memory | ioas_map*cannot allocate memory", map_no_memory),
    Message("DMA is blocked by the IOMMU", "request device [@]*fault | request device @*fault addr | dma read*request "
            "device | dma write*request device | io_page_fault | invalid_device_request | illegal_dev_table_entry | "
            "intr-remap: request device | access is not set | smmu*unhandled context fault", fault),
    Message("interrupt line cannot be shared", "vfio_device_set_irqs failure: device or resource busy | interrupt "
            "intx*device or resource busy | flags mismatch irq # | failed to enable intx | could not enable intx | "
            "setup intx fd*device or resource busy", interrupt_shared),
    means("a mapping failed", "dma mapping failed, unable to continue", "dma-map", "QEMU ends because memory could not "
          "be mapped for the device; the line before this one says why.", "Pass that line to --error as well.",
          weight=Weight.ERRNO),
    means("the IOMMU reports faults", "drhd: handling fault status reg", "dma-fault", "The IOMMU has stopped DMA; the "
          "line after this one names the device and the reason.", "Pass that line to --error as well.",
          weight=Weight.ERRNO),
    means("the IOMMU waits for a device", "completion-wait loop timed out | iotlb_inv_timeout | invalidation time-out "
          "error | qi_submit_sync | device-tlb*timed out", "device-gone", "A device does not answer the IOMMU any "
          "more: it lost power, or did not come back from a reset or from D3cold.", "Look which card was handed over "
          "or reset just before. Power the machine off and on; {set[vfio-pci.disable_idle_d3=1]} Or boot with "
          "pcie_aspm=off, or use another slot."),
    means("bad address to map", "vfio_map_dma*bad address | dma_map*bad address | ioas_map*bad address", "peer-to-peer",
          "What is to be mapped is a BAR of another device, not memory. QEMU goes on without: only DMA from one "
          "handed-over device straight to another does not work.", "Nothing to do, unless the guest needs such DMA."),
    means("no memory for the guest", "unable to map backing store for guest ram | cannot set up guest memory | could "
          "not allocate*guest ram | dma_map*no space left", "guest-memory", "The host has not enough free memory or "
          "huge pages for the guest, or too many mappings of DMA (65535).", "Reserve huge pages at boot (hugepages=), "
          "or give the guest less memory."),
    means("unhandled interrupt", "nobody cared | disabling irq #", "stuck-interrupt", "A device holds its "
          "interrupt line asserted and no driver answers, so the kernel turns the line off; every device on it stops "
          "working.", "/proc/interrupts names who shares the line. Make the guest's driver use MSI, or put the card "
          "elsewhere."),
    means("no interrupt vectors left", "interrupt msi*no space left | interrupt msi*vfio_device_set_irqs failure",
          "no-vectors", "The host has no interrupt vectors left, or the guest asked for more than the device has.",
          "Give the guest's driver fewer queues; x2APIC in the firmware setup gives the host more vectors."),
    means("a note of the IOMMU", "no atsr found | read/write to iommu perf counter | dmar: iommu enabled | iommuv2 "
          "functionality not available | setting identity map | vfio_pci: add [ | masking broken intx support | "
          "received unaligned region", "note", "This is a note, not an error. ('DMAR: IOMMU enabled' says only that "
          "the parameter was read.)", "'iommutui list' shows whether there are groups.", weight=Weight.HARMLESS),
)
# fmt: on
