"""Errors of starting a virtual machine: QEMU, libvirt, Proxmox, Cloud Hypervisor, DPDK on groups and VFIO's files."""

from collections.abc import Iterator

from iommutui.core.command_line import parameter_advice
from iommutui.core.diagnosis.base import DIRECT_REGION, SHUT_DOWN, Cause, Found, Kind, Message, means
from iommutui.core.drivers import VFIO_PCI
from iommutui.core.host import NO_IOMMU, is_vfio
from iommutui.core.topology import chipset_part

# fmt: off
BRIDGE_NOT_IN_THE_WAY = Kind("bridge-not-in-the-way", "{device} is a bridge {on} and blocks nothing: the kernel finds "
    "group {group} viable, and the tool is wrong.", "Leave it alone; use a version of the tool that skips bridges.")
VIABLE_NOW = Kind("viable-now", "Group {group} is viable as it is now, so something has changed since the message.",
    "Start the virtual machine again; if a host driver takes the device back, find out what binds it.")
NO_IOMMU_MODE = Kind("no-iommu-mode", "Group {group} is in no-IOMMU mode (/dev/vfio/noiommu-{group}): DPDK can use it, "
    "a virtual machine cannot.", "Turn on the IOMMU; a virtual machine needs a virtual one.")
NO_VFIO_NODE = Kind("no-vfio-node", "No device of group {group} is on a VFIO driver, and the file exists only while "
    "one is.", "'iommutui why {group}' shows what to bind.")
NODE_NOT_VISIBLE = Kind("node-not-visible", "A device of group {group} is on a VFIO driver, so the file exists on "
    "the host now.", "Try again; a container has /dev/vfio/{group} and /dev/vfio/vfio only if they are passed in.")
GROUP_OWNED = Kind("group-owned", "Group {group} is in use by {owner}: nobody else can open it, and no host driver may "
    "be bound in it.", SHUT_DOWN)
FOREIGN_DOMAIN = Kind("foreign-domain", "A kernel driver has attached group {group} to its own IOMMU domain.",
    "Stop what uses it (vhost-vdpa).")
UNKNOWN_OWNER = Kind("unknown-owner", "Only root can see which groups are in use, so another process may have this "
    "one.", "Ask again with sudo.")
NO_VFIO = Kind("no-vfio", "vfio-pci is not loaded.", "Run 'modprobe vfio-pci', and start it again.")
WORKS_AGAIN = Kind("works-again", "The IOMMU is on now{group_too}; something has changed since the message.",
    "Restart the program that printed it (libvirtd, virtqemud, Proxmox's page), and check that /dev/vfio/vfio exists.")
NOT_ON_VFIO = Kind("not-on-vfio", "{device} is {on}, and has to be on a VFIO driver before the virtual machine starts.",
    "'iommutui preview {device}=vfio-pci' shows how; in libvirt managed='yes' does it at each start.")
RESET_REACHES_GROUP = Kind("reset-reaches-group", "Resetting the card resets {device} as well, which is {on}, and the "
    "virtual machine does not have group {group}.", "Give this device to the same virtual machine{bind}.")
RESET_REACHES_BOARD = Kind("reset-reaches-board", "Resetting the card by its bus resets {device} as well, {what} that "
    "stays with the host.",
    "Harmless if the guest starts and restarts. Otherwise the device needs a reset of its own (newer firmware, the "
    "module vendor-reset), or a power cycle between two guests.")
NO_REMAPPING = Kind("no-interrupt-remapping", "The IOMMU may have no interrupt remapping, without which a device can "
    "forge interrupts; the kernel log then says '{log}'.",
    "Turn on x2APIC or interrupt remapping in the firmware setup. For guests that you trust: {advice}")
NO_TYPE1 = Kind("no-type1", "The modules vfio and vfio_iommu_type1 are not loaded; in a container the file may be "
    "missing.", "Run 'modprobe vfio-pci vfio_iommu_type1' on the host, and pass /dev/vfio/vfio into the container.")
# fmt: on


def not_viable(found: Found) -> Iterator[Cause]:
    """VFIO_GROUP_FLAGS_VIABLE is not set; or a tool with its own rule for the drivers of a group."""
    yield from found.in_the_way()
    for group in found.groups:
        members = found.host.members(group)
        yield from found.settings(members)
        viable = found.model.verdict(found.host, group).viable
        bridge = next((d for d in members if d.is_bridge and d.address in found.text), None)
        if viable and bridge is not None:
            yield found.say(BRIDGE_NOT_IN_THE_WAY, bridge, group.id)
        elif viable and group.claim is None and found.group is not None:
            yield found.say(VIABLE_NOW, group=group.id)


def _without_isolation(found: Found) -> list[Cause]:
    """No-IOMMU mode (CONFIG_VFIO_NOIOMMU): no container of type 1, so no virtual machine."""
    return [found.say(NO_IOMMU_MODE, group=group.id) for group in found.groups if group.name == NO_IOMMU]


def node_missing(found: Found) -> Iterator[Cause]:
    """ENOENT of ``/dev/vfio/N`` (``vfio_group_create()``), or of a device's file ``/dev/vfio/devices/vfioN``."""
    yield from _without_isolation(found)
    groups = found.groups if found.group is not None or found.device is not None else []
    for group in groups:
        members = found.host.members(group)
        if not any(is_vfio(found.host, d, d.driver) for d in members):
            yield found.say(NO_VFIO_NODE, group=group.id)
            yield from found.settings(members if found.device is None else [found.device])
        elif group.name != NO_IOMMU:
            yield found.say(NODE_NOT_VISIBLE, group=group.id)
    if not groups:
        yield from found.no_iommu()


def busy(found: Found) -> Iterator[Cause]:
    """EBUSY of opening ``/dev/vfio/N`` (``vfio_group_fops_open()``), or of a file of the device."""
    for group in found.groups:
        if group.claim is not None:
            yield found.say(GROUP_OWNED, group=group.id, owner=group.owner)
        elif group.foreign:
            yield found.say(FOREIGN_DOMAIN, group=group.id)
    if found.host.gap("claims"):
        yield found.say(UNKNOWN_OWNER)


def container_refused(found: Found) -> Iterator[Cause]:
    """EPERM (up to 6.5) or EINVAL of VFIO_SET_IOMMU or SET_CONTAINER (``vfio_iommu_type1_attach_group()``).

    Or of VFIO_DEVICE_BIND_IOMMUFD (``iommufd_device_bind()``), which says EBUSY while the group's file is open.
    """
    yield from _without_isolation(found)
    if found.errno == "EBUSY":
        return (yield from busy(found))
    yield from found.firmware_regions()
    yield from found.in_the_way()
    allowed = found.host.vfio
    iommufd = "iommufd" in found.text
    ruled_out = allowed.unsafe_interrupts_iommufd if iommufd else allowed.unsafe_interrupts_container
    if found.errno != "EINVAL" and not found.host.interrupt_remapping and not ruled_out:
        yield from no_remapping(found)


def no_remapping(found: Found) -> list[Cause]:
    """The container (``vfio_iommu_type1_attach_group()``) and iommufd (``iommufd_device_bind()``) each require it."""
    if "iommufd" in found.text or "msi interrupts are not secure" in found.text:
        module, log = "iommufd", "MSI interrupts are not secure"
    else:
        module, log = "vfio_iommu_type1", "No interrupt remapping support"
    advice = parameter_advice(found.host, f"{module}.allow_unsafe_interrupts=1")
    return [found.say(NO_REMAPPING, log=log, advice=advice)]


def firmware_asks(found: Found) -> list[Cause]:
    """``Firmware has requested this device have a 1:1 IOMMU mapping`` (``__iommu_group_set_domain()``, from 6.6)."""
    what = f"The firmware requires a 1:1 mapping for {found.it}, and the kernel does not hand over such a device."
    return found.firmware_regions() or [found.say(DIRECT_REGION, what=what)]


def no_type1(found: Found) -> list[Cause]:
    """No IOMMU driver of the container fits (``VFIO_CHECK_EXTENSION``): type 1 is not loaded, or isolates nothing."""
    return _without_isolation(found) or [found.say(NO_TYPE1)]


def off(found: Found) -> list[Cause]:
    """No ``iommu_group`` of the device, or of any (``virHostdevHostSupportsPassthroughVFIO()``), or no VFIO."""
    group = f", and {found.it} is in group {found.device.group}" if found.device is not None else ""
    there = found.host.has_driver(VFIO_PCI)
    return found.no_iommu() or [found.say(WORKS_AGAIN, group_too=group) if there else found.say(NO_VFIO)]


def not_on_vfio(found: Found) -> Iterator[Cause]:
    """libvirt with ``managed='no'``, and VFIO_GROUP_GET_DEVICE_FD of a device that VFIO does not know (ENODEV)."""
    device = found.device
    if device is not None and not is_vfio(found.host, device, device.driver):
        yield found.say(NOT_ON_VFIO)
        yield from found.settings([device])
    yield from found.in_the_way()


def depends_on(found: Found) -> Iterator[Cause]:
    """``depends on group N which is not owned`` (VFIO_DEVICE_GET_PCI_HOT_RESET_INFO)."""
    group = found.host.groups.get(found.group) if found.group is not None else None
    for device in found.host.members(group) if group is not None else []:
        what = chipset_part(device)
        if what:
            yield found.say(RESET_REACHES_BOARD, device, what=what)
        elif not device.is_bridge:  # A bridge is reset from above it, and is never handed over.
            there = is_vfio(found.host, device, device.driver)
            bind = "" if there else f" ('iommutui preview {device.address}=vfio-pci')"
            yield found.say(RESET_REACHES_GROUP, device, bind=bind)


# fmt: off
MESSAGES = (
    Message("group is not viable", "not viable | failed to get group # | bound to their vfio bus driver | devices not "
            "bound to vfio-pci | groupviable | not all devices in iommu group bound to vfio | wrong driver devices",
            not_viable),
    Message("no file of the group", "/dev/vfio/#*no such file | no such file*/dev/vfio/# | opengroup*no such file | "
            "/dev/vfio/devices/*no such file | couldnt open directory*vfio-dev | iommu group # not found",
            node_missing),
    Message("the group is busy", "/dev/vfio/#*device or resource busy | opengroup*device or resource busy | already in "
            "use by | not reattaching active device | device is already attached | not already in use", busy),
    means("another virtual machine has it", "is in use by driver qemu", "libvirt-owner", "libvirt has given {it} to "
          "another virtual machine, which the message names.", "Shut it down, or remove the device from it."),
    Message("container is refused", "set iommu for container | failed to select iommu type | set group*container*! | "
            "set container*! | setup container*! | containersetiommu | failed to assign device*operation not permitted "
            "| groupsetcontainer | cannot set up dma remapping | error bind device*to iommufd | error attach*to id= | "
            "platform rmrr requirement", container_refused),
    Message("no interrupt remapping", "no interrupt remapping | msi interrupts are not secure | "
            "allow_unsafe_interrupts | interrupt remapping hardware not found | no southbridge ioapic found | failed "
            "to enable irq remapping | disabling interrupt remapping | doesnt support x2apic mode", no_remapping),
    Message("firmware asks for a 1:1 mapping", "requested this device have a 1:1 | without a 1:1 mapping | ineligible "
            "for iommu domain attach due to platform rmrr", firmware_asks),
    Message("host does not support passthrough", "host doesnt support passthrough of host pci devices | host doesnt "
            "support vfio | device assignment is currently not supported on this system | iommu not present | host "
            "doesnt support legacy pci passthrough | no iommu detected | no iommu found | iommu*not enabled | iommu "
            "not found", off),
    Message("device has no IOMMU group", "no iommu_group found | failed to get iommu group | error getting iommu group "
            "| vfionoiommugroup | iommu_group: no such file | cannot open iommu_group | not part of an iommu group | "
            "not managed by vfio driver | iommu group not found", off),
    Message("device is not on a VFIO driver", "must be manually detached | error getting device*from group # | "
            "groupgetdevicefd | verify all devices in group | failed to get vfio device fd", not_on_vfio),
    Message("reset depends on another group", "depends on group #", depends_on),
    means("permission denied on a group's file", "/dev/vfio/#*permission denied | /dev/vfio/devices/*permission denied "
          "| vfio*permission denied | opengroup*permission denied | permission denied*/dev/vfio/#", "node-permissions",
          "{node} belongs to root by default; libvirt changes that by itself.", "Give it to the user "
          "who starts QEMU (chown USER {node}); never make it writable for everyone."),
    means("operation not permitted on a group's file", "/dev/vfio/#*operation not permitted | opengroup*operation not "
          "permitted | /dev/vfio/devices/*operation not permitted | /dev/vfio/vfio*operation not permitted",
          "device-cgroup", "The device cgroup of the container, or of the service that runs the virtual machine, "
          "refuses this; the file's own permissions would give 'Permission denied'.", "Allow the file there: "
          "docker --device {node} --device /dev/vfio/vfio, LXC lxc.cgroup2.devices.allow, systemd DeviceAllow=, "
          "libvirt cgroup_device_acl in /etc/libvirt/qemu.conf (or let libvirt attach it)."),
    means("/dev/vfio/vfio is denied", "/dev/vfio/vfio*permission denied | opencontainer*permission denied | permission "
          "denied*/dev/vfio/vfio", "control-file-permissions", "/dev/vfio/vfio is meant to be open to everyone (0666, "
          "Documentation/driver-api/vfio.rst): it gives no access to any device. systemd 254 made it 0600 by mistake "
          "on some machines.", "Update systemd, or run 'udevadm trigger /dev/vfio/vfio', or 'chmod 0666 "
          "/dev/vfio/vfio' until the next boot. The files /dev/vfio/N stay as they are."),
    Message("nothing at /dev/vfio/vfio", "/dev/vfio/vfio*no such file | /dev/vfio/vfio*no such device | vfio "
            "support*initialized | opencontainer*no such file | no available iommu models", no_type1),
    means("MSI-X table where it does not fit", "table & pba overlap", "msix-table", "The MSI-X table of {it}, as its "
          "configuration space shows it, overlaps something else: the card is faulty or does not answer.", "Try "
          "x-msix-relocation=bar2 (or another free BAR) for the device, and check whether its host driver starts it."),
    means("no iommufd", "/dev/iommu*no such file | /dev/iommu*no such device", "no-iommufd", "This kernel has no "
          "iommufd, or its module is not loaded.", "Run 'modprobe iommufd' (from 6.2), or leave iommufd= out."),
    means("group in several address spaces", "used in multiple address spaces", "one-address-space", "Devices of group "
          "{group} are placed so that the guest's virtual IOMMU gives them different address spaces; the host's IOMMU "
          "cannot tell the members of a group apart, so they must share one.", "Take the virtual IOMMU (intel-iommu, "
          "virtio-iommu) out of the guest, or put all of them behind one pcie-to-pci-bridge in the guest."),
    means("not assignable by Xen", "libxl*pci device*is not assignable", "not-assignable", "{it} is not on pciback, "
    "the driver with which Xen hands devices over.", "Run 'xl pci-assignable-add {it}' first."),
    means("firmware's tables are broken", "your bios is broken; dmar | rmrr entry for device*is broken | firmware "
          "bug*dmar", "broken-tables", "The firmware describes the IOMMU wrongly, so the kernel may leave it off, or "
          "not use it for some devices.", "Update the firmware; 'iommutui list' shows whether there are groups."),
    means("no file of no-IOMMU mode", "/dev/vfio/noiommu-#*no such file", "no-noiommu-node", "The file is there only "
          "in no-IOMMU mode, while the device is on vfio-pci.", "{set[vfio.enable_unsafe_noiommu_mode=1]} With an "
          "IOMMU that is on, use /dev/vfio/N instead."),
    means("switch without ACS", "lacking acs and cannot be assigned | lacks acs | requires acs | pci device @ is not "
          "assignable", "no-acs", "A switch above {it} does not isolate what is behind it (no ACS); libvirt's strict "
          "check refuses that.", "Hand over the whole group of the device. relaxed_acs_check=1 in "
          "/etc/libvirt/qemu.conf lifts the check; it adds no isolation."),
    means("no legacy VGA", "does not support requested feature x-vga", "no-legacy-vga", "Legacy VGA needs a device "
    "of class 0300, a kernel with CONFIG_VFIO_PCI_VGA, and vfio-pci.disable_vga not set.", "Leave "
          "x-vga=on (Proxmox: primary GPU) out; a guest that boots with UEFI does not need it."),
    means("no such host device", "no such host device | node device not found | could not access /sys/bus/pci/devices/ "
          "| pci device*not found | no pci device info for device | no node device with matching name", "no-device",
          "There was no such device when the message was printed: addresses change with cards, slots and firmware.",
          "'iommutui list' shows the devices as they are now; put the current address into the configuration."),
    means("guest's hardware", "attempted double use of pci address | slot # function # already in use | no pci bus "
          "found for device vfio-pci | bus pcie.0 does not support hotplugging | q35 machine model is not enabled | "
          "failed moving device bar", "guest-hardware", "The guest has no free slot of that kind for it; the host is "
          "not involved.", "Use machine type q35 with a pcie-root-port for it, and remove its guest <address>."),
    means("hook failed", "hook script execution failed | hooks/qemu*exit status", "hook-failed", "A libvirt hook "
          "script failed, so the virtual machine did not start.", "Run it as root, and pass its last line to --error."),
    means("the network uses the device", "routing table indicates that interface", "routed", "The machine has a route "
          "through this interface, so the tool leaves it alone.", "Remove the address first (ip addr flush)."),
    means("no mediated device", "mdev_supported_types/*! | mdev*no space left", "no-mdev", "The parent device has no "
    "such instance left (available_instances), or too little memory.", "Remove one, or choose a smaller type."),
    means("AppArmor or SELinux denial", "apparmor=denied*vfio | avc: denied*vfio", "mandatory-access", "AppArmor or "
          "SELinux denies QEMU access to the file; its permissions are not the reason.", "Let libvirt attach the "
          "device (it adds the rule), or add /dev/vfio/* to the profile."),
    means("start timed out", "start failed*got timeout | timed out waiting for qemu | monitor socket*timeout | cannot "
          "acquire state change lock", "pinning", "With a device handed over, all memory of the guest is allocated and "
          "pinned before it starts, which can take longer than the tool waits.", "Give the guest less memory, use huge "
          "pages, or start it with a longer timeout (qm start ID --timeout 300)."),
    means("KVM is missing", "could not access kvm kernel module | kvm is not available | failed to initialize kvm | "
          "could not insert kvm_", "no-kvm", "KVM is off: this is about the processor's virtualization (VT-x, AMD-V), "
          "not about the IOMMU.", "Turn on VT-x or SVM in the firmware setup, and load kvm_intel or kvm_amd."),
)
# fmt: on
