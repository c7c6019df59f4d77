"""The sentences of causes that depend on the machine: what it is, and what to do about it.

``{it}`` is what the message names, ``{device}`` and ``{group}`` what the cause is about, ``{on}`` where that device is,
``{set[name=value]}`` the advice to set a parameter, or to look further where it is set. Whoever says it gives the rest.
"""

from iommutui.core.reasons import Code

_OVERRIDE_FIRST = "Write {driver} to its driver_override first: 'iommutui preview {it}={driver}' shows the writes."
_SHUT_DOWN = "Shut that virtual machine down first, or leave the device to it."
REMEDIES = {
    Code.ALREADY_BOUND: "Unbind it first: 'iommutui preview {it}={wanted}' shows the writes in the right order.",
    Code.NOT_BOUND: "There is nothing to unbind: go on without it.",
    Code.OVERRIDE_DIFFERS: _OVERRIDE_FIRST,
    Code.NO_MATCH: _OVERRIDE_FIRST,
    Code.BRIDGE: "Leave it where it is.",
    Code.DENYLISTED: "For a guest that you trust: {set[vfio-pci.disable_denylist=1]}",
    Code.VFS_ENABLED: "Write 0 to its sriov_numvfs first, or hand over the virtual functions instead.",
    Code.NO_DRIVER: "Load it with 'modprobe {driver}', and check its name.",
    Code.OWNED: _SHUT_DOWN,
    Code.IN_USE: _SHUT_DOWN,
    Code.GROUP_FILE_OPEN: _SHUT_DOWN,
}
"""What to do about a reason of the engine."""

# fmt: off
CAUSES = {
    # of the IOMMU and its groups
    "no-group": ("{what}", "The IOMMU covers other devices of this machine, but not this one."),
    "direct-region": ("{what}",
        "Look for a setting of the slot in the firmware setup (shared memory, RMRR), or use another device. Kernels "
        "with the patch relax_rmrr (Proxmox: intel_iommu=on,relax_rmrr) ignore it at your own risk."),
    "bridge-not-in-the-way": ("{device} is a bridge {on} and blocks nothing: the kernel finds group {group} viable, "
        "and the tool is wrong.",
        "Leave the bridge alone: vfio-pci refuses bridges. Use a version of the tool that skips them."),
    "viable-now": ("Group {group} is viable as it is now, so something has changed since the message.",
        "Start the virtual machine again; if a host driver takes the device back, look at what binds it."),
    "no-iommu-mode": ("Group {group} is in no-IOMMU mode (/dev/vfio/noiommu-{group}): DPDK can use it, a virtual "
        "machine cannot.", "Turn on the IOMMU; a virtual machine needs a virtual one."),
    "no-vfio-node": ("No device of group {group} is on a VFIO driver, and the file exists only while one is.",
        "'iommutui why {group}' shows what to bind."),
    "node-not-visible": ("A device of group {group} is on a VFIO driver, so the host has the file now.",
        "Try again; a container has /dev/vfio/{group} and /dev/vfio/vfio only if they are passed in."),
    "group-owned": ("Group {group} is in use by {owner}, and nobody else can open it.{more}", _SHUT_DOWN),
    "foreign-domain": ("A kernel driver has group {group} on a domain of its own.", "Stop what uses it (vhost-vdpa)."),
    "unknown-owner": ("Which groups are in use can be seen by root only, so another process may have this one.",
        "Ask again with sudo."),
    "no-vfio": ("vfio-pci is not loaded.", "Run 'modprobe vfio-pci', and start it again."),
    "works-again": ("The IOMMU is on as the machine is now{group_too}; something has changed since the message.",
        "Restart what said it (libvirtd, virtqemud, Proxmox's page), and check that /dev/vfio/vfio is there."),
    "not-on-vfio": ("{device} is {on}, and has to be on a VFIO driver before the virtual machine starts.",
        "'iommutui preview {device}=vfio-pci' shows how; in libvirt managed='yes' does it at each start."),
    "reset-reaches-group": ("Resetting the card resets {device} as well, which is {on}, and the virtual machine does "
        "not have group {group}.", "Give this device to the same virtual machine{bind}."),
    "reset-reaches-board": ("Resetting the card by its bus resets {device} as well, {what} that stays with the host.",
        "Harmless if the guest starts and restarts. Otherwise the device needs a reset of its own (newer firmware, the "
        "module vendor-reset), or a power cycle between two guests."),
    "no-type1": ("The modules vfio and vfio_iommu_type1 are not loaded; in a container the file may be missing.",
        "Run 'modprobe vfio-pci vfio_iommu_type1' on the host, and pass /dev/vfio/vfio into the container."),
    # of writes and probes
    "driver-not-loaded": ("No driver named {driver} is registered here, so it has no files below /sys/bus/pci/drivers.",
        "Load it with 'modprobe {driver}'."),
    "bind-asks": ("bind takes a free device that {driver} matches, by its override or its ids, and no other name than "
        "the whole address.", "'iommutui preview DEVICE={driver}' shows the writes in the right order."),
    "would-bind": ("As the machine is now, {driver} would take {device}.",
        "Try again; 'iommutui preview {device}={driver}' shows the writes."),
    "bound-elsewhere": ("{device} is {on}, and unbind works only through the file of its own driver.",
        "Nothing is left to unbind from {driver}: go on, or write to /sys/bus/pci/drivers/{own}/unbind."),
    "would-unbind": ("{device} is {on} now, and an unbind from it would work.",
        "Try again, through the file 'unbind' of that driver."),
    "driver-failed": ("{driver} could not start {device}; the kernel log says why before this line. After a virtual "
        "machine had the device, its reset has often not worked.",
        "Power the machine off and on; if it works then, the device does not reset well between users."),
    "not-responding": ("{device} does not answer: its configuration space reads as all ones (so a header type of 127 "
        "or 7f). It sleeps in D3cold or has fallen off the bus.",
        "Unplug the machine for a moment; check power cables, slot, and a laptop's switch for the card. If "
        "vfio-pci put it to sleep: {set[vfio-pci.disable_idle_d3=1]}"),
    "id-known": ("The driver knows this id already, which is harmless.{state}",
        "Go on. Better use driver_override, which names one device: 'iommutui preview {name}=vfio-pci' shows the "
        "writes."),
    "not-bound": ("{it} had no driver, so there was no link 'driver'. {now}", "Go on without the unbind."),
    "loaded-now": ("{driver} was not loaded then; it is now.", "Try again."),
    "other-framebuffer": ("The firmware's framebuffer on {device} belongs to {owner}.",
        "Unbind what 'ls /sys/bus/platform/drivers/*/' shows below that driver (as simple-framebuffer.0)."),
    "no-framebuffer": ("There is no such device now: a GPU driver has taken the display over, or the kernel uses "
        "simple-framebuffer.0.", "There is nothing to unbind: leave the line out of the script."),
    "script-framebuffer": ("In a start script this is mostly the unbind of efi-framebuffer.0, and none is here now.",
        "Leave that line out: the kernel's driver of the card has taken its place, or simple-framebuffer.0 has."),
    # of modules
    "part-of-vfio": ("Since Linux 6.2 vfio_virqfd is a part of the module vfio, so there is no such module any more.",
        "Take it out of the list of modules (/etc/modules, mkinitcpio.conf, dracut); nothing is missing."),
    "driver-there": ("The driver {driver} is registered on this machine, so its module is loaded or built in.",
        "Leave the command out."),
    "no-such-module": ("The running kernel{release} has no module {module}{nothing}.",
        "After an update of the kernel reboot. Otherwise install its other modules (linux-modules-extra, "
        "kernel-modules-extra) or a kernel that has it (CONFIG_VFIO_PCI); those of small boards and clouds often lack "
        "it."),
    "insmod-path": ("insmod takes the path of a file, not the name of a module.",
        "'modprobe {module}' finds the file, if there is one."),
    "module-held": ("{who} uses the module.", "{how}"),
    "card-taken": ("{device} is {on}{override}, so {module} finds no card.",
        "Give it back first: 'iommutui preview {device}={target}'."),
    "no-card": ("This machine shows no card that {module} could drive.", "'iommutui list' shows the devices."),
    "card-lost": ("{it} does not answer its driver any more: it lost power, did not survive a reset or a change of "
        "power state, or a virtual machine left it in a state that the driver does not know.",
        "Power the machine off and on. {set[vfio-pci.disable_idle_d3=1]} Hand over all functions of the card "
        "together."),
    "nvidia-in-use": ("The unbind of {it} waits in the kernel until nobody has it open: {who}.",
        "Before the unbind stop the display manager and nvidia-persistenced, and unload nvidia_drm, nvidia_modeset and "
        "nvidia_uvm. Afterwards that does not always help: one that waits already may need a reboot."),
    # of memory and interrupts
    "iova-reserved": ("The mapping at {start} meets a region of group {group} that the host reserves: {region}.",
        "Give the guest another memory layout: another machine type, or a smaller PCI window."),
    "iova-too-wide": ("{where} beyond the address width of the IOMMU ({limit}): the guest put a large BAR there.",
        "Give the guest fewer address bits: -cpu host,host-phys-bits-limit=39, or guest-phys-bits=39 from QEMU 9.1 "
        "(args: in Proxmox). Or a smaller 64-bit PCI window (OVMF: X-PciMmio64Mb)."),
    "memlock-limit": ("All memory of the guest is pinned for DMA, and the limit of locked memory of the process{limit} "
        "is lower.",
        "Raise it above the guest's memory: 'ulimit -l', memlock in /etc/security/limits.conf, LimitMEMLOCK=infinity "
        "in a unit, <memtune><hard_limit> in libvirt."),
    "too-little-memory": ("Or the host has not enough free memory to pin all of the guest's.",
        "Give the guest less memory; ballooning does not help here."),
    "blocked-in-guest": ("{stopped}. It is {on}: the guest's driver or firmware did it, often as the guest starts or "
        "ends.", "Harmless once at a start. Otherwise power-cycle the card, and look at the driver in the guest."),
    "blocked-on-host": ("{stopped}. It is {on}, a host driver; or the firmware still uses it (display, USB).",
        "Update firmware and kernel; with iommu=pt host drivers are not translated. If it began when a neighbour was "
        "handed over, look at the group: 'iommutui why {device}'."),
    "blocked-without-driver": ("{stopped}. It has no driver now, so a former driver, a guest or the firmware left it "
        "running.", "Bind it to a driver, or turn the device off in the firmware setup."),
    "blocked-unknown": ("{stopped}. The address in brackets is the device.",
        "'iommutui list' shows what it is and its driver."),
    "interrupt-shared": ("{it} shares interrupt line {irq} with {device}, which is {on}, and vfio-pci cannot mask its "
        "interrupt alone.",
        "If the host can do without that, unbind it: 'iommutui preview {device}=none'. Or put one of the two into "
        "another slot, or make the guest's driver use MSI."),
    "interrupt-taken": ("Another driver{taker} has the interrupt line{irq} of {it}, which cannot share it.",
        "/proc/interrupts names the driver: unbind its device, use another slot, or make the guest's driver use MSI."),
    "nointxmask": ("nointxmask=1 on the kernel command line makes vfio-pci want every interrupt line for itself.",
        "Remove it."),
    # of the card
    "region-taken": ("Another driver holds the memory of {device}; /proc/iomem, read as root, names it.",
        "Unbind what /proc/iomem shows inside the range of that BAR."),
    "boot-framebuffer": ("{booted}{holder} the memory of {device} ({name}) for the firmware's picture.", "{how}"),
    "rom-unreadable": ("The ROM of {it} cannot be read: {why}",
        "Give the guest a file with the ROM (romfile=, <rom file=.../> in libvirt). Where it needs no boot screen from "
        "the device, the message is harmless, and rombar=0 (<rom bar='off'/>) ends it."),
    "runtime-power": ("{it} did not wake up: vfio-pci powers down a device that nobody uses, and some do not come "
        "back.", "{set[vfio-pci.disable_idle_d3=1]} Or write 0 to d3cold_allowed of the device and of the port above."),
    "host-power": ("{it} is {on}, a host driver, and did not wake up: it has lost power, alone or with its card.",
        "Power the machine off and on. Then write on to its power/control, or boot with pcie_port_pm=off, so that it "
        "does not sleep."),
    "reset-regression": ("This kernel ({kernel}) has a fault: it resets a bus only where each of its functions can be "
        "reset alone.", "Update to the next release of its series, or to 6.15 and later."),
    "bus-reset": ("{it} is reset with its bus, which needs every device on it in one virtual machine: {others}{kept}.",
        "Hand over all: 'iommutui plan --card {it}'. The message is harmless if the guest starts and restarts."),
    "no-reset": ("The kernel knows no way to reset {it} alone, and a reset of its bus was not possible.",
        "Give all devices behind its port to one virtual machine; otherwise it may need a power cycle between two "
        "guests. (Qubes, Xen: no-strict-reset.)"),
}
# fmt: on
