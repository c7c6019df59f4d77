"""Errors of DMA: mappings that fail, faults of the IOMMU, and interrupts."""

import re
from collections.abc import Iterator

from iommutui.core.diagnosis.base import Cause, Found, Message, Weight, groups_asked, means
from iommutui.core.roles import is_vfio, serves_host

_MAPPED = re.compile(r"dma_map ?\( ?(?:0x)?[0-9a-f]+, ?(0x[0-9a-f]+), ?(0x[0-9a-f]+)|iova[ =:]*(0x[0-9a-f]+)()")
_FAULT = re.compile(r"fault reason:? (0x)?([0-9a-f]{1,2})\b")


def map_invalid(found: Found) -> Iterator[Cause]:
    """EINVAL of VFIO_IOMMU_MAP_DMA: beyond the IOMMU's width, or in a reserved region (``vfio_iommu_iova_dma_valid``)."""
    match = _MAPPED.search(found.text)
    start = int(match[1] or match[3], 16) if match else None
    end = start + max(int(match[2] or "1", 16), 1) - 1 if match and start is not None else 0
    width = min((each.width for each in found.host.iommus or () if each.width is not None), default=None)
    for group in groups_asked(found) if start is not None else ():
        for region in group.regions or ():
            if region.type != "direct-relaxable" and region.start <= end and (start or 0) <= region.end:
                yield Cause(
                    "iova-reserved",
                    f"The mapping at {start:#x} meets a region of group {group.id} that the host reserves: "
                    f"{region.start:#x}-{region.end:#x} ({region.type}).",
                    "Give the guest another memory layout: another machine type, or a smaller window for its devices.",
                    group.id,
                )
    if start is None or end >> (width or 39):
        where = f"The address {start:#x} is" if start is not None else "The mapped address is most likely"
        limit = (
            f"{width} bits" if width else "39 bits on many desktops and laptops, 'cap' of the unit tells it on Intel"
        )
        yield found.cause(
            "iova-too-wide",
            f"{where} beyond the address width of the IOMMU ({limit}): the guest's firmware put a large BAR there.",
            "Give the guest fewer address bits: QEMU -cpu host,host-phys-bits-limit=39, from QEMU 9.1 guest-phys-bits=39 "
            "(Proxmox: args:). Or give it less memory, or a smaller 64-bit PCI window (OVMF: X-PciMmio64Mb).",
        )


def map_no_memory(found: Found) -> Iterator[Cause]:
    """ENOMEM of VFIO_IOMMU_MAP_DMA (``vfio_pin_pages_remote()``, ``vfio_lock_acct()``): RLIMIT_MEMLOCK."""
    limit = re.search(r"rlimit_memlock \((\d+)\)", found.text)
    given = f" ({int(limit[1]) // 1024} KiB)" if limit else ""
    yield found.cause(
        "memlock-limit",
        f"All memory of the guest is pinned for DMA, and the limit of locked memory of the process{given} is lower.",
        "Raise it above the guest's memory: 'ulimit -l unlimited' in the shell that starts QEMU, memlock in /etc/security/"
        "limits.conf, LimitMEMLOCK=infinity in a unit; in libvirt <memtune><hard_limit>, where its own is too low.",
    )
    if limit is None:
        yield found.cause("too-little-memory", "Or the host has not enough free memory to pin all of the guest's.",
                          "Give the guest less memory; ballooning does not help here.")  # fmt: skip


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
    """A device did DMA or sent an interrupt that the IOMMU blocks (``dmar_fault_do_one()``, ``iommu_print_event()``)."""
    device, number = found.device, _FAULT.search(found.text)
    what = "it did DMA to memory that is not mapped for it"
    if number is not None and (number[1] or number[2].isdecimal()):
        what = _REASONS.get(int(number[2], 16 if number[1] else 10), what)  # in decimal before 5.11
    if device is not None and is_vfio(found.host, device, device.driver):
        why = f"It is on {device.driver}, so the guest's driver or its firmware did it, often as the guest starts or ends."
        remedy = "Harmless once at a start. Otherwise power-cycle the card, and look at the driver in the guest."
    elif device is not None and serves_host(found.host, device, device.driver):
        why = f"It is on {device.driver}, a host driver; or the firmware still uses it (a display that it set up, USB)."
        remedy = (
            "Update firmware and kernel. If it began when a neighbour was handed over, they may share a requester id: "
            f"'iommutui why {device.address}' shows its group. With iommu=pt host drivers are not translated."
        )
    else:
        why = "It has no driver now, so a former driver, a guest or the firmware left it running."
        remedy = "Bind it to a driver, or turn the device off in the firmware setup."
    if device is None:
        why, remedy = "The number in brackets is the device.", "'iommutui list' shows what it is and its driver."
    group = f" (group {device.group})" if device is not None and device.group is not None else ""
    yield found.cause("dma-blocked", f"The IOMMU stopped {found.it}{group}: {what}. {why}", remedy)


def interrupt_shared(found: Found) -> Iterator[Cause]:
    """EBUSY of VFIO_DEVICE_SET_IRQS for INTx (``vfio_intx_set_signal()``): the line is shared, and cannot be alone.

    A device whose INTx cannot be masked (``pci_intx_mask_supported()``), or ``nointxmask``, wants the line for itself.
    """
    device, line = found.device, re.search(r"flags mismatch irq (\d+)", found.text)
    taker = re.search(r"vs\. ?[0-9a-f]+ ?\((.+?)\)", found.text)
    irq = int(line[1]) if line else device.details.irq if device is not None and device.details is not None else None
    others = [d for d in found.host.devices.values() if irq and d.details is not None and d.details.irq == irq
              and d != device and serves_host(found.host, d, d.driver) and not d.is_bridge]  # fmt: skip
    for other in others:
        yield found.cause(
            "interrupt-shared",
            f"{found.it} shares interrupt line {irq} with {other.address}, which is on {other.driver}, and it cannot "
            "share: vfio-pci can neither mask its interrupt nor tell it from the other's.",
            f"If the host can do without it, unbind the other device: 'iommutui preview {other.address}=none'. Or put "
            "one of the cards into another slot, or make the guest's driver use MSI.",
            other,
        )
    if not others:
        yield found.cause(
            "interrupt-shared",
            f"Another driver{f' ({taker[1]})' if taker else ''} has the interrupt line{f' {irq}' if irq else ''} of "
            f"{found.it}, which cannot share it.",
            "/proc/interrupts shows the driver beside the number of the line: unbind its device, put one of the cards "
            "into another slot, or make the guest's driver use MSI.",
        )
    if re.search(r"nointxmask=(?:1|y)", found.host.cmdline or ""):
        text = "nointxmask=1 on the kernel command line makes vfio-pci want every interrupt line for itself."
        yield found.cause("nointxmask", text, "Remove it.")


# fmt: off
MESSAGES = (
    Message("DMA mapping is invalid", "vfio_map_dma*invalid argument | dma_map*invalid argument | iommudmamap*invalid "
            "argument | ioas_map*invalid argument | memory listener initialization failed*invalid argument",
            map_invalid),
    Message("no memory to map for DMA", "vfio_map_dma*cannot allocate memory | dma_map*cannot allocate memory | "
            "rlimit_memlock | memory listener initialization failed*cannot allocate memory | iommudmamap*cannot "
            "allocate memory | cannot limit locked memory | cannot set up dma remapping*cannot allocate memory | "
            "ioas_map*cannot allocate memory", map_no_memory),
    Message("DMA is blocked by the IOMMU", "request device [@]*fault | request device @*fault addr | dma read*request "
            "device | dma write*request device | io_page_fault | invalid_device_request | illegal_dev_table_entry | "
            "intr-remap: request device | access is not set | smmu*unhandled context fault", fault),
    Message("interrupt line cannot be shared", "vfio_device_set_irqs failure: device or resource busy | interrupt "
            "intx*vfio_device_set_irqs failure | interrupt intx*device or resource busy | flags mismatch irq # | "
            "failed to enable intx | could not enable intx | setup intx fd*device or resource busy", interrupt_shared),
    means("the IOMMU reports faults", "drhd: handling fault status reg", "dma-fault",
          "The IOMMU has stopped DMA; the line after this one names the device and the reason.",
          "Put that line into --error as well."),
    means("the IOMMU waits for a device", "completion-wait loop timed out | iotlb_inv_timeout | invalidation time-out "
          "error | qi_submit_sync | device-tlb*timed out", "device-gone",
          "A device does not answer the IOMMU any more: it lost power, or did not come back from a reset or from "
          "D3cold.", "Look which card was handed over or reset just before. Power the machine off and on; {parameter} "
          "Or boot with pcie_aspm=off, or use another slot.", parameter="vfio-pci.disable_idle_d3=1"),
    means("bad address to map", "vfio_map_dma*bad address | dma_map*bad address | ioas_map*bad address", "peer-to-peer",
          "What is to be mapped is a BAR of another device, not memory. QEMU goes on without: only DMA from one "
          "handed-over device straight to another does not work.", "Nothing to do, unless the guest needs such DMA."),
    means("interrupt that nobody wants", "nobody cared | disabling irq #", "stuck-interrupt",
          "A device holds its interrupt line asserted and no driver answers, so the kernel turns the line off; every "
          "device on it stops working.", "/proc/interrupts names who shares the line. Make the guest's driver use MSI, "
          "or put the card elsewhere."),
    means("no interrupt vectors left", "interrupt msi*no space left | interrupt msi*vfio_device_set_irqs failure",
          "no-vectors", "The host has no interrupt vectors left, or the guest asked for more than the device has.",
          "Give the guest's driver fewer queues; x2APIC in the firmware setup gives the host more vectors."),
    means("a note of the IOMMU", "no atsr found | read/write to iommu perf counter | dmar: iommu enabled | iommuv2 "
          "functionality not available | masking broken intx support | received unaligned region", "note",
          "This is a note and no error. ('DMAR: IOMMU enabled' says only that the parameter was read.)",
          "'iommutui list' shows whether there are groups.", weight=Weight.HARMLESS),
)
# fmt: on
