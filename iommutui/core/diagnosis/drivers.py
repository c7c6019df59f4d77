"""Errors of drivers: writes to the kernel's files (``bind``, ``new_id``...), probes, and loading and unloading modules.

The engine tries the same write on this Host: its reasons are the causes.
"""

from collections.abc import Iterator

from iommutui.core.diagnosis.base import WORKS_NOW, Cause, Found, Kind, Message, Weight, means
from iommutui.core.drivers import VFIO_PCI, underscored
from iommutui.core.engine import transition
from iommutui.core.events import Bind, Event, Probe, Unbind
from iommutui.core.host import Device, is_vfio
from iommutui.core.models import since
from iommutui.core.models.vfio_group import VFIO_GROUP
from iommutui.core.reasons import Outcome

# fmt: off
DRIVER_NOT_LOADED = Kind("driver-not-loaded", "No driver named {driver} is registered here, so it has no files below "
    "/sys/bus/pci/drivers.", "Load it with 'modprobe {driver}'.")
BIND_ASKS = Kind("bind-asks", "bind takes only a free device that {driver} matches by override or ids, named by its "
    "full address.", "'iommutui preview DEVICE={driver}' shows the writes in the right order.")
BOUND_ELSEWHERE = Kind("bound-elsewhere", "{device} is {on}, and unbind works only through the file of its own driver.",
    "Nothing is left to unbind from {driver}: go on, or write to /sys/bus/pci/drivers/{own}/unbind.")
DRIVER_FAILED = Kind("driver-failed", "{driver} could not start {device}; the kernel log says why above this line. "
    "After a virtual machine used the device, its reset has often failed.", "Power the machine off and on; if it works "
    "then, the device does not reset well between users.")
NOT_BOUND = Kind("not-bound", "{it} had no driver, so it had no link 'driver'.", "Go on without the unbind.")
NO_FRAMEBUFFER = Kind("no-framebuffer", "There is no such device now: a GPU driver has taken the display over, or the "
    "kernel uses another one.", "Leave the line out of the script, or unbind what 'ls /sys/bus/platform/drivers/*/' "
    "shows (such as simple-framebuffer.0).")
PART_OF_VFIO = Kind("part-of-vfio", "Since Linux 6.2 vfio_virqfd is part of the module vfio.", "Remove it from the "
    "list of modules (/etc/modules, mkinitcpio.conf, dracut); nothing is missing.")
DRIVER_THERE = Kind("driver-there", "The driver {driver} is registered on this machine, so its module is loaded or "
    "built in.", "Leave the command out.")
NO_SUCH_MODULE = Kind("no-such-module", "The running kernel[ ({release})] has no module {module}[, so {nothing} can be "
    "bound to it].", "If the kernel was updated, reboot. Otherwise install its other modules (linux-modules-extra, "
    "kernel-modules-extra) or a kernel that has it (CONFIG_VFIO_PCI); those of small boards and clouds often lack it.")
MODULE_HELD = Kind("module-held", "{device} is {on}[, and {users}]; that uses the module.", "Leave the module loaded, "
    "and unbind the device alone ('iommutui preview DEVICE=none').")
NVIDIA_HELD = Kind("module-held", "{device} is {on}[, and {users}]; that uses the module.", "Stop the display manager, "
    "nvidia-persistenced and whatever else uses the card, then unload nvidia_drm, nvidia_modeset, nvidia_uvm, nvidia.")
CARD_TAKEN = Kind("card-taken", "{device} is {on}[, with an override for {override}], so {module} finds no card.",
    "Give it back first: 'iommutui preview {device}={target}'.")
NO_CARD = Kind("no-card", "This machine shows no card that {module} could drive.", "'iommutui list' shows the "
    "devices.")
# fmt: on


def _answer(found: Found, device: Device, event: Event) -> Outcome:
    """The kernel's answer to the event if the device were in this state."""
    return transition(found.host.with_device(device), event, found.model)


def _would_bind(found: Found, device: Device, driver: str) -> Outcome:
    """The driver's answer if the device were free and its override named it."""
    return _answer(found, device._replace(driver=None, driver_override=driver), Bind(device.address, driver))


def _not_loaded(found: Found) -> list[Cause]:
    if found.wanted in found.host.lacks:
        return [no_such_module(found, found.wanted)]
    return [] if found.host.has_driver(found.wanted) else [found.say(DRIVER_NOT_LOADED)]


def bound(found: Found) -> Iterator[Cause]:
    """A write to ``bind`` (``bind_store()``): up to 5.14 ENODEV whatever the driver's probe returns."""
    device, driver = found.device, found.wanted
    missing = _not_loaded(found)
    if missing or device is None:
        yield from missing or ([found.say(BIND_ASKS)] if found.address is None else [])
        return
    if "vfio" in driver:
        yield from found.of_no_use(device)
    now, would = _answer(found, device, Bind(device.address, driver)), _would_bind(found, device, driver)
    # A tool that got the errno of the driver's probe had set the override first, whatever it is now.
    if found.errno != would.result or found.errno == now.result:
        yield from found.refusals(now.reasons)
    if device.driver != driver:
        yield from found.refusals(would.reasons)
    yield from found.settings([device] if driver == VFIO_PCI else [])
    if now.ok:
        yield found.say(WORKS_NOW, what=f"{driver} would bind to {device.address}")


def unbound(found: Found) -> Iterator[Cause]:
    """A write to ``unbind`` (``unbind_store()``): ENODEV unless the device is on that very driver."""
    device, driver = found.device, found.driver
    if device is None:
        yield from _not_loaded(found) if driver is not None else ()
    elif device.driver is not None and driver not in (None, device.driver):
        yield found.say(BOUND_ELSEWHERE, own=device.driver)
    else:
        outcome = _answer(found, device, Unbind(device.address))
        yield from found.refusals(outcome.reasons)
        if outcome.ok:
            yield found.say(WORKS_NOW, what=f"{device.address} is on {device.driver}, and an unbind from it would work")


def probed(found: Found) -> Iterator[Cause]:
    """A write to ``drivers_probe``: EINVAL where the driver core refuses, ENODEV where there is no such device."""
    if found.device is not None:
        yield from found.refusals(_answer(found, found.device, Probe(found.device.address)).reasons)


def probe_failed(found: Found) -> Iterator[Cause]:
    """``probe with driver X failed with error -N``, before 6.11 ``X: probe of D failed`` (``call_driver_probe()``)."""
    device = found.device
    yield from found.silent()
    if device is None:
        yield from found.no_iommu() if found.address is None and "vfio" in found.wanted else ()
    elif not is_vfio(found.host, device, found.wanted):
        if not device.silent:
            yield found.say(DRIVER_FAILED)
    elif device.group is None:
        yield from found.no_iommu()
    else:
        yield from found.of_no_use(device)
        yield from found.refusals(_would_bind(found, device, found.wanted).reasons)


def no_file(found: Found) -> list[Cause]:
    """ENOENT of ``drivers/X/bind``, or of ``devices/D/driver/unbind``, which is there only while a driver is bound."""
    if found.driver is None:
        return [found.say(NOT_BOUND)]
    return _not_loaded(found) or [found.say(WORKS_NOW, what=f"{found.driver} is loaded")]


def errno(found: Found) -> Iterator[Cause]:
    """A bare errno: the causes for which this machine answers a write to the device with it."""
    device = found.device
    if found.errno == "EINVAL":
        yield from found.firmware_regions()
    if device is not None:
        driver = found.driver or device.driver_override or VFIO_PCI
        bind, would = Bind(device.address, driver), _would_bind(found, device, driver)
        for outcome in (
            _answer(found, device, bind),
            _answer(found, device._replace(driver_override=driver), bind),
            _answer(found, device, Unbind(device.address)),
            _answer(found, device, Probe(device.address)),
        ):
            yield from found.refusals(outcome.reasons if outcome.result == found.errno else ())
        # Up to 5.14 a probe that refuses is ENODEV to bind, and EINVAL in the log.
        if device.driver != driver and found.errno in (would.result, "EINVAL"):
            yield from found.refusals(would.reasons)
    # Up to 5.18 no probe is refused: a driver that must not bind there hits a BUG_ON.
    refused = found.model is not VFIO_GROUP and (device is not None or "write" in found.text)
    # In a start script it is usually the unbind of efi-framebuffer.0.
    in_script = ".sh" in found.text and not any(screen.firmware for screen in found.uses.screens)
    if found.errno == "EBUSY" or (found.errno == "EINVAL" and refused):
        yield from found.owners()
    elif found.errno == "ENODEV" and device is None and in_script:
        yield found.say(NO_FRAMEBUFFER)


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


def no_such_module(found: Found, module: str) -> Cause:
    """The running kernel cannot have this module."""
    vfio = underscored(module) == "vfio_pci" and not found.host.has_driver(VFIO_PCI)
    nothing = "nothing" if vfio else ""
    return found.say(NO_SUCH_MODULE, release=found.host.kernel or "", module=module, nothing=nothing)


def in_use(found: Found) -> Iterator[Cause]:
    """``Module X is in use`` (``delete_module()``, EWOULDBLOCK)."""
    module = underscored(found.words["module"])
    kind, driver = (NVIDIA_HELD, "nvidia") if module.startswith("nvidia") else (MODULE_HELD, module)
    devices = [device for device in found.host.devices.values() if underscored(device.driver or "") == driver]
    for device in devices:
        yield found.say(kind, device)
    if not devices:
        yield found.say(kind._replace(says="Another module ('lsmod' names it) or a program uses the module."))


def no_device(found: Found) -> Iterator[Cause]:
    """ENODEV from loading a module: it found no device to drive."""
    module = underscored(found.words.get("module", "nvidia")).partition("_")[0]
    vendor = _MAKERS.get(module)
    every = [found.device] if found.device else list(found.host.devices.values())
    cards = [d for d in every if d.vendor_id == vendor and d.is_display]
    for device in cards:
        yield from found._replace(device=device).silent()
        if device.driver not in (None, module) or device.driver_override not in (None, module):
            given = device.driver is None or is_vfio(found.host, device, device.driver)
            override, target = device.driver_override or "", "default" if given else module
            yield found.say(CARD_TAKEN, device, override=override, module=module, target=target)
    if not cards and vendor is not None:
        yield found.say(NO_CARD, module=module)


# fmt: off
MESSAGES = (
    Message("bind is refused", "/bind*! | cannot bind to driver <driver>: | failed to bind pci device | failed to "
            "bind*! | cannot bind*! | cannot bind @ to vfio | failed to bind device @ to driver", bound),
    Message("unbind is refused", "/unbind*! | failed to unbind pci device | cannot unbind*!", unbound),
    Message("drivers_probe is refused", "drivers_probe*!", probed),
    Message("probe failed", "probe with driver <driver> failed with error | <driver>: probe of @ failed with error | "
            "probe of @ failed with error | <driver>: probe of @ rejects match | probe of @ rejects match | device "
            "denylist, driver probing disallowed", probe_failed),
    means("the id is known", "new_id*file exists | add pci device id*to vfio-pci*file exists", "id-known",
          "The driver knows this id already, which is harmless.", "Go on. Prefer driver_override, which names one "
          "device: 'iommutui preview {name}=vfio-pci' shows the writes."),
    Message("no such file of a driver", "/driver/unbind*no such file or directory | /driver/unbind: directory "
            "nonexistent | /drivers/*/bind: no such file or directory | /drivers/*/unbind: no such file or directory | "
            "/drivers/*/new_id*no such file or directory | /drivers/*/bind: directory nonexistent | /drivers/*/unbind: "
            "directory nonexistent | /drivers/*/new_id: directory nonexistent | cannot open "
            "/sys/bus/pci/drivers/*/bind*no such file | driver <driver> is not loaded", no_file),
    Message("no framebuffer to unbind", "framebuffer*/unbind*no such device | -framebuffer/unbind*no such file",
            lambda found: [found.say(NO_FRAMEBUFFER)]),
    means("virtual functions are enabled", "sriov_numvfs*device or resource busy", "vfs-enabled", "Virtual functions "
          "are enabled already, and their number can change only by way of 0.", "Write 0 to sriov_numvfs first."),
    *(Message(phrase, phrase, errno, Weight.ERRNO) for phrase in
      ("device or resource busy", "invalid argument", "no such device")),
    means("a file below /sys is denied", "/sys/*permission denied | bind: permission denied | /new_id: permission "
          "denied | /driver_override: permission denied", "not-root", "Only root may write this file. In 'sudo echo "
          "... > FILE' the shell opens FILE as yourself, before sudo.", "Use 'echo ... | sudo tee FILE', a root shell, "
          "or 'iommutui apply', which becomes root by itself."),
    means("/sys is read-only", "/sys/*read-only file system", "read-only-sysfs", "/sys is mounted read-only here, as "
          "in a container.", "Do it on the host, as root."),
    means("the id is not known", "remove_id*no such device", "id-unknown", "The driver has no such dynamic id, so "
          "there is nothing to remove.", "Go on without it."),
    means("an id is malformed", "new_id*invalid argument | remove_id*invalid argument", "id-format", "The file takes "
          "vendor and device in hex with a space between, as '10de 2204'.", "Write them without 0x, colons or quotes."),
    means("no reset by this file", "/reset*inappropriate ioctl | failed to reset pci device*but trying to continue | "
          "cant reset pci device", "reset-file", "The kernel cannot reset {it} alone. A virtual machine that has every "
          "function of the card resets it by its bus, so this is often harmless.", "Go on if the virtual machine "
          "starts and restarts; 'iommutui why {it}' says what resets the device."),
    means("no driver_override", "/driver_override*no such file | /driver_override: directory nonexistent", "no-device",
          "There is no such device (names start with the domain, usually 0000:), or the kernel is older than 3.16.",
          "'iommutui list' shows the devices as they are now."),
    means("virtual functions are not offered", "sriov_numvfs*! | not enough mmio resources for sr-iov | sr-iov: bus "
          "number out of range", "sriov-not-offered", "Only the driver of the physical function can enable them, no "
          "more than sriov_totalvfs, and only if the firmware has left address space and bus numbers.",
          "Bind that function to its own driver; turn on SR-IOV, ARI and Above 4G decoding in the firmware. "
          "{+pci=realloc}"),
    means("no such console", "vtconsole/*no such file | /vtcon#/bind*!", "no-console", "There is no text console of "
          "that number, so nothing has to be unbound from it.", "Leave the line out of the script."),
    Message("module not found", "find module vfio_virqfd | module not found: vfio_virqfd | module <module> not found | "
            "could not load module <module>: no such file | failed to find module <module>: | modprobe: cant load "
            "module <module>( | failed to load pci stub module | failed to load pci driver module", not_found),
    Message("module is in use", "module <module> is in use | could not remove <module>: device or resource busy | "
            "could not remove <module>: resource temporarily unavailable", in_use),
    Message("module finds no device", "could not insert <module>: no such device | no nvidia gpu found | no nvidia "
            "devices probed | the nvidia probe routine was not called | obtained ownership of the nvidia device | "
            "couldnt communicate with the nvidia driver | no devices were found", no_device),
    means("nvidia waits at unbind", "attempting to remove device | with non-zero usage count", "nvidia-in-use",
          "The unbind of {it} waits in the kernel until nobody has it open[: {users}]. If no process shows, it is the "
          "kernel itself (nvidia_drm with modeset, a console).", "Before the unbind stop the display manager and "
          "nvidia-persistenced, and unload nvidia_drm, nvidia_modeset and nvidia_uvm. Once an unbind waits, that does "
          "not always help, and it may take a reboot."),
    means("module is built in or not there", "module <module> is builtin | module <module> is not currently loaded",
          "built-in", "{module} is built into the kernel, or not loaded: there is nothing to load or unload.",
          "Leave the command out of the script; nothing is missing.", weight=Weight.HARMLESS),
    means("module may not be loaded", "could not insert <module>: operation not permitted | could not remove <module>: "
          "operation not permitted", "not-root", "Only root may load or unload modules, and with Secure Boot only "
          "signed ones are accepted.", "Use sudo, on the host and not in a container."),
    means("module is not signed", "required key not available | key was rejected by service | loading of unsigned "
          "module is rejected | lockdown:*is restricted", "secure-boot", "With Secure Boot the kernel accepts only "
          "modules signed with a key that it knows.", "Enrol the module's key (mokutil --import), or turn Secure Boot "
          "off."),
    means("driver and library differ", "driver/library version mismatch", "other-version", "The loaded nvidia module "
          "and the libraries differ in version.", "Reboot, or unload nvidia_drm, nvidia_modeset, nvidia_uvm, nvidia."),
    means("module of another kernel", "exec format error | disagrees about version of symbol | unknown symbol in "
          "module | invalid module format | could not insert <module>: invalid argument", "other-kernel",
          "The module was built for another kernel.", "Reboot into that kernel, or rebuild the module (dkms "
          "autoinstall)."),
    means("the card does not answer its driver", "rminitadapter failed | rm_init_adapter failed | fallen off the bus | "
          "host controller not responding, assume dead", "card-lost", "{it} no longer answers its driver: it lost "
          "power, did not survive a reset or a change of power state, or a virtual machine left it in a state that the "
          "driver does not know.", "Power the machine off and on. {+vfio-pci.disable_idle_d3=1} Hand over all "
          "functions of the card together.", unless=Found.silent),
    means("nvidia finds its memory taken", "request_mem_region failed | bar0 is 0m @ | i/o region assigned to your "
          "nvidia", "bar-lost", "The memory of {it} is used by another driver, or the firmware assigned none.",
          "Turn on Above 4G decoding, and unbind the other driver (efifb, simpledrm). {+pci=realloc}"),
    means("amdgpu cannot start the card", "fatal error during gpu init | psp*failed | atombios stuck | unable to "
          "locate a bios rom | trn=2 ack should not assert | hw_init of ip block*failed | asic reset failed | "
          "amdgpu*ring*test failed | smu error 0x | amd_*: failed to reset device | cannot create duplicate filename",
          "amd-reset", "{it} was not reset properly after its last user (a virtual machine, or amdgpu before): many "
          "AMD chips (Polaris, Vega, Navi 1x, many APUs) cannot be started twice without a power cycle.",
          "Power the machine off and on. The module vendor-reset helps chips that it knows (reset_method "
          "device_specific); otherwise leave the card on vfio-pci between virtual machines."),
    means("code 43 in the guest", "code 43 | error 43", "guest-driver", "The driver in the guest found the card and "
          "gave up on it; the host did hand it over.", "Give the guest a clean ROM, hide the hypervisor (kvm hidden "
          "and a Hyper-V vendor_id, for old NVIDIA drivers), and hand over every function of the card."),
)
# fmt: on
