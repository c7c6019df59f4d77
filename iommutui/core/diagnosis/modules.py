"""Errors of ``modprobe``, ``insmod`` and ``rmmod``, and of drivers of graphics cards as they load and unload."""

from collections.abc import Iterator

from iommutui.core.diagnosis.base import Cause, Found, Kind, Message, Weight, means
from iommutui.core.drivers import VFIO_PCI, underscored
from iommutui.core.host import is_vfio
from iommutui.core.models import since

# fmt: off
PART_OF_VFIO = Kind("part-of-vfio", "Since Linux 6.2 vfio_virqfd is part of the module vfio.",
    "Remove it from the list of modules (/etc/modules, mkinitcpio.conf, dracut); nothing is missing.")
DRIVER_THERE = Kind("driver-there", "The driver {driver} is registered on this machine, so its module is loaded or "
    "built in.", "Leave the command out.")
NO_SUCH_MODULE = Kind("no-such-module", "The running kernel{release} has no module {module}{nothing}.",
    "If the kernel was updated, reboot. Otherwise install its other modules (linux-modules-extra, "
    "kernel-modules-extra) or a kernel that has it (CONFIG_VFIO_PCI); those of small boards and clouds often lack it.")
INSMOD_PATH = Kind("insmod-path", "insmod takes the path of a file, not the name of a module.",
    "'modprobe {module}' finds the file, if there is one.")
MODULE_HELD = Kind("module-held", "{who} uses the module.",
    "Leave the module loaded, and unbind the device alone ('iommutui preview DEVICE=none').")
NVIDIA_HELD = Kind("module-held", "{who} uses the module.",
    "Stop the display manager, nvidia-persistenced and whatever else uses the card, then unload nvidia_drm, "
    "nvidia_modeset, nvidia_uvm, nvidia.")
CARD_TAKEN = Kind("card-taken", "{device} is {on}{override}, so {module} finds no card.",
    "Give it back first: 'iommutui preview {device}={target}'.")
NO_CARD = Kind("no-card", "This machine shows no card that {module} could drive.", "'iommutui list' shows the devices.")
CARD_LOST = Kind("card-lost", "{it} no longer answers its driver: it lost power, did not survive a reset or a "
    "change of power state, or a virtual machine left it in a state that the driver does not know.",
    "Power the machine off and on. {set[vfio-pci.disable_idle_d3=1]} Hand over all functions of the card together.")
NVIDIA_IN_USE = Kind("nvidia-in-use", "The unbind of {it} waits in the kernel until nobody has it open: {who}.",
    "Before the unbind stop the display manager and nvidia-persistenced, and unload nvidia_drm, nvidia_modeset and "
    "nvidia_uvm. Once an unbind waits, that does not always help, and it may take a reboot.")
# fmt: on

_MAKERS = {"nvidia": "10de", "nouveau": "10de", "amdgpu": "1002", "radeon": "1002", "i915": "8086", "xe": "8086"}


def not_found(found: Found) -> Iterator[Cause]:
    """The module is not in ``/lib/modules/RELEASE``."""
    usual = "vfio_virqfd" if "vfio_virqfd" in found.text else "vfio_pci"
    module = underscored(found.words.get("module", usual))
    drivers = found.host.drivers or ()
    there = [d.name for d in drivers if module in (underscored(d.name), underscored(d.module or ""))]
    if module == "vfio_virqfd" and since(found.host, (6, 2)):
        yield found.say(PART_OF_VFIO)
    elif there:
        yield found.say(DRIVER_THERE, driver=there[0])
    else:
        yield no_such_module(found, module)
        if "insmod" in found.text:
            yield found.say(INSMOD_PATH, module=module)


def no_such_module(found: Found, module: str) -> Cause:
    """The running kernel cannot have this module."""
    release = f" ({found.host.kernel})" if found.host.kernel else ""
    unbindable = underscored(module) == "vfio_pci" and not found.host.has_driver(VFIO_PCI)
    nothing = ", so nothing can be bound to it" if unbindable else ""
    return found.say(NO_SUCH_MODULE, release=release, module=module, nothing=nothing)


def in_use(found: Found) -> Iterator[Cause]:
    """``Module X is in use`` (``delete_module()``, EWOULDBLOCK)."""
    module = underscored(found.words["module"])
    kind, driver = (NVIDIA_HELD, "nvidia") if module.startswith("nvidia") else (MODULE_HELD, module)
    devices = [device for device in found.host.devices.values() if underscored(device.driver or "") == driver]
    for device in devices:
        who = found.users(device)
        yield found.say(kind, device, who=f"{device.address} is on {device.driver}{who and f', and {who}'}; that")
    if not devices:
        yield found.say(kind, who="Another module ('lsmod' names it) or a program")


def no_device(found: Found) -> Iterator[Cause]:
    """ENODEV from loading a module: it found no device to drive."""
    module = underscored(found.words.get("module", "nvidia")).partition("_")[0]
    vendor = _MAKERS.get(module)
    every = [found.device] if found.device else list(found.host.devices.values())
    cards = [d for d in every if d.vendor_id == vendor and d.is_display]
    for device in cards:
        yield from found.silent(device)
        if device.driver not in (None, module) or device.driver_override not in (None, module):
            given = device.driver is None or is_vfio(found.host, device, device.driver)
            override = f", with an override for {device.driver_override}" if device.driver_override else ""
            target = "default" if given else module
            yield found.say(CARD_TAKEN, device, override=override, module=module, target=target)
    if not cards and vendor is not None:
        yield found.say(NO_CARD, module=module)


def lost(found: Found) -> list[Cause]:
    """A driver that has lost its card (``rm_init_adapter``, ``xhci_hc_died``)."""
    return found.silent(found.device) or [found.say(CARD_LOST)]


def nvidia_hangs(found: Found) -> list[Cause]:
    """``nv_pci_remove()`` waits while the usage count is not zero, and no signal interrupts it."""
    kernel = "no process is seen, so it is the kernel (nvidia_drm with modeset, a console)"
    return [found.say(NVIDIA_IN_USE, who=found.users(found.device) or kernel)]


# fmt: off
MESSAGES = (
    Message("module not found", "find module vfio_virqfd | module not found: vfio_virqfd | module <module> not found | "
            "could not load module <module>: no such file | failed to find module <module>: | modprobe: cant load "
            "module <module>( | failed to load pci stub module | failed to load pci driver module", not_found),
    Message("module is in use", "module <module> is in use | could not remove <module>: device or resource busy | "
            "could not remove <module>: resource temporarily unavailable", in_use),
    Message("module finds no device", "could not insert <module>: no such device | no nvidia gpu found | no nvidia "
            "devices probed | the nvidia probe routine was not called | obtained ownership of the nvidia device | "
            "couldnt communicate with the nvidia driver | no devices were found", no_device),
    Message("nvidia waits at unbind", "attempting to remove device | with non-zero usage count", nvidia_hangs),
    means("module is built in or not there", "module <module> is builtin | module <module> is not currently loaded",
          "built-in", "{module} is built into the kernel, or not loaded: there is nothing to load or unload.", "Leave "
          "the command out of the script; nothing is missing.", weight=Weight.HARMLESS),
    means("module may not be loaded", "could not insert <module>: operation not permitted | could not remove <module>: "
          "operation not permitted", "not-root", "Only root may load or unload modules, and with Secure Boot only "
          "signed ones are accepted.", "Use sudo, on the host and not in a container."),
    means("module is not signed", "required key not available | key was rejected by service | loading of unsigned "
          "module is rejected | lockdown:*is restricted", "secure-boot", "With Secure Boot the kernel accepts only "
          "modules signed with a key that it knows.", "Enrol the module's key (mokutil --import), or turn Secure "
          "Boot off."),
    means("module of another kernel", "exec format error | disagrees about version of symbol | unknown symbol in "
          "module | invalid module format | could not insert <module>: invalid argument", "other-kernel", "The module "
          "was built for another kernel.", "Reboot into that kernel, or rebuild the module (dkms autoinstall)."),
    means("driver and library differ", "driver/library version mismatch", "other-version", "The loaded nvidia module "
          "and the libraries differ in version.", "Reboot, or unload nvidia_drm, nvidia_modeset, nvidia_uvm, nvidia."),
    Message("the card does not answer its driver", "rminitadapter failed | rm_init_adapter failed | fallen off the bus "
            "| host controller not responding, assume dead", lost),
    means("nvidia finds its memory taken", "request_mem_region failed | bar0 is 0m @ | i/o region assigned to your "
          "nvidia", "bar-lost", "The memory of {it} is used by another driver, or the firmware assigned none.", "Turn "
          "on Above 4G decoding, and unbind the other driver (efifb, simpledrm). {set[pci=realloc]}"),
    means("amdgpu cannot start the card", "fatal error during gpu init | psp*failed | atombios stuck | unable to "
          "locate a bios rom | trn=2 ack should not assert | hw_init of ip block*failed | asic reset failed | "
          "amdgpu*ring*test failed | smu error 0x | amd_*: failed to reset device | cannot create duplicate filename",
          "amd-reset", "{it} was not reset properly after its last user (a virtual machine, or amdgpu before): many "
          "AMD chips (Polaris, Vega, Navi 1x, many APUs) cannot be started twice without a power cycle.", "Power the "
          "machine off and on. The module vendor-reset helps chips that it knows (reset_method device_specific); "
          "otherwise leave the card on vfio-pci between virtual machines."),
    means("code 43 in the guest", "code 43 | error 43", "guest-driver", "The driver in the guest found the card and "
    "gave up on it; the host did hand it over.", "Give the guest a clean ROM, hide the hypervisor (kvm "
          "hidden and a Hyper-V vendor_id, for old NVIDIA drivers), and hand over every function of the card."),
)
# fmt: on
