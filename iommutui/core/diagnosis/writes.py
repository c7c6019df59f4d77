"""Errors of the kernel's files (``bind``, ``unbind``, ``new_id``, ``drivers_probe``...) and of drivers' probes.

The engine tries the same write on this Host: its reasons are the causes.
"""

from collections.abc import Iterator

from iommutui.core.diagnosis.base import Cause, Found, Kind, Message, Weight, means
from iommutui.core.diagnosis.modules import no_such_module
from iommutui.core.diagnosis.start import busy
from iommutui.core.drivers import VFIO_PCI
from iommutui.core.engine import transition
from iommutui.core.events import Bind, Probe, Unbind
from iommutui.core.host import Device, is_vfio
from iommutui.core.models.vfio_group import VFIO_GROUP
from iommutui.core.reasons import Outcome
from iommutui.core.uses import Screen

# fmt: off
DRIVER_NOT_LOADED = Kind("driver-not-loaded", "No driver named {driver} is registered here, so it has no files below "
    "/sys/bus/pci/drivers.", "Load it with 'modprobe {driver}'.")
BIND_ASKS = Kind("bind-asks", "bind takes only a free device that {driver} matches by override or ids, named by its "
    "full address.", "'iommutui preview DEVICE={driver}' shows the writes in the right order.")
WOULD_BIND = Kind("would-bind", "{driver} would bind to {device} now.",
    "Try again; 'iommutui preview {device}={driver}' shows the writes.")
BOUND_ELSEWHERE = Kind("bound-elsewhere", "{device} is {on}, and unbind works only through the file of its own driver.",
    "Nothing is left to unbind from {driver}: go on, or write to /sys/bus/pci/drivers/{own}/unbind.")
WOULD_UNBIND = Kind("would-unbind", "{device} is {on} now, and an unbind from it would work.",
    "Try again, through the file 'unbind' of that driver.")
DRIVER_FAILED = Kind("driver-failed", "{driver} could not start {device}; the kernel log says why above this line. "
    "After a virtual machine used the device, its reset has often failed.",
    "Power the machine off and on; if it works then, the device does not reset well between users.")
NOT_BOUND = Kind("not-bound", "{it} had no driver, so it had no link 'driver'.{now}", "Go on without the unbind.")
LOADED_NOW = Kind("loaded-now", "{driver} was not loaded then; it is now.", "Try again.")
OTHER_FRAMEBUFFER = Kind("other-framebuffer", "The firmware's framebuffer on {device} belongs to {owner}.",
    "Unbind what 'ls /sys/bus/platform/drivers/*/' shows below that driver (such as simple-framebuffer.0).")
NO_FRAMEBUFFER = Kind("no-framebuffer", "There is no such device now: a GPU driver has taken the display over, or the "
    "kernel uses simple-framebuffer.0.", "There is nothing to unbind: leave the line out of the script.")
VFS_ENABLED = Kind("vfs-enabled", "{device} has virtual functions enabled, and vfio-pci refuses it then.",
    "Write 0 to /sys/bus/pci/devices/{device}/sriov_numvfs first.")
SCRIPT_FRAMEBUFFER = Kind("script-framebuffer", "In a start script this is usually the unbind of efi-framebuffer.0, "
    "which does not exist now.", "Leave that line out: the driver of the card or simple-framebuffer.0 has taken its "
    "place.")
# fmt: on


def _would_bind(found: Found, device: Device, driver: str) -> Outcome:
    """The driver's answer if the device were free and its override named it."""
    ready = device._replace(driver=None, driver_override=driver)
    return transition(found.host.with_device(ready), Bind(device.address, driver), found.model)


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
    now, would = transition(found.host, Bind(device.address, driver), found.model), _would_bind(found, device, driver)
    # A tool that got the errno of the driver's probe had set the override first, whatever it is now.
    if found.errno != would.result or found.errno == now.result:
        yield from found.refusals(now.reasons)
    if device.driver != driver:
        yield from found.refusals(would.reasons)
    yield from found.settings([device] if driver == VFIO_PCI else [])
    if now.ok:
        yield found.say(WOULD_BIND)


def unbound(found: Found) -> Iterator[Cause]:
    """A write to ``unbind`` (``unbind_store()``): ENODEV unless the device is on that very driver."""
    device, driver = found.device, found.driver
    if device is None:
        yield from _not_loaded(found) if driver is not None else ()
    elif device.driver is not None and driver not in (None, device.driver):
        yield found.say(BOUND_ELSEWHERE, own=device.driver)
    else:
        outcome = transition(found.host, Unbind(device.address), found.model)
        yield from found.refusals(outcome.reasons)
        if outcome.ok:
            yield found.say(WOULD_UNBIND)


def probed(found: Found) -> Iterator[Cause]:
    """A write to ``drivers_probe``: EINVAL where the driver core refuses, ENODEV where there is no such device."""
    if found.device is not None:
        yield from found.refusals(transition(found.host, Probe(found.device.address), found.model).reasons)


def probe_failed(found: Found) -> Iterator[Cause]:
    """``probe with driver X failed with error -N``, before 6.11 ``X: probe of D failed`` (``call_driver_probe()``)."""
    device = found.device
    if device is None:
        yield from found.no_iommu() if found.address is None and "vfio" in found.wanted else ()
        return
    yield from found.silent(device)
    if is_vfio(found.host, device, found.wanted) and device.group is None:
        yield from found.no_iommu()
    elif is_vfio(found.host, device, found.wanted):
        yield from found.of_no_use(device)
        yield from found.refusals(_would_bind(found, device, found.wanted).reasons)
    elif not found.silent(device):
        yield found.say(DRIVER_FAILED)


def no_file(found: Found) -> list[Cause]:
    """ENOENT of ``drivers/X/bind``, or of ``devices/D/driver/unbind``, which is there only while a driver is bound."""
    if found.driver is None:
        return [found.say(NOT_BOUND)]
    return _not_loaded(found) or [found.say(LOADED_NOW)]


def framebuffer_unbind(found: Found) -> list[Cause]:
    """``unbind`` of the firmware's framebuffer: the platform device is gone once a GPU driver has taken over."""
    there = [(found.host.devices.get(screen.device), screen.firmware) for screen in _framebuffers(found)]
    others = [found.say(OTHER_FRAMEBUFFER, device, owner=owner) for device, owner in there]
    return others or [found.say(NO_FRAMEBUFFER)]


def _framebuffers(found: Found) -> list[Screen]:
    """The displays that still have a framebuffer of the firmware."""
    return [screen for screen in found.uses.screens if screen.firmware]


def errno(found: Found) -> Iterator[Cause]:
    """A bare errno: the causes for which this machine answers a write to the device with it."""
    device, host = found.device, found.host
    if found.errno == "EINVAL":
        yield from found.firmware_regions()
    if device is not None:
        driver = found.driver or device.driver_override or VFIO_PCI
        bind, unbind, probe = Bind(device.address, driver), Unbind(device.address), Probe(device.address)
        named = host.with_device(device._replace(driver_override=driver))
        for before, event in ((host, bind), (named, bind), (host, unbind), (host, probe)):
            outcome = transition(before, event, found.model)
            if outcome.result == found.errno:
                yield from found.refusals(outcome.reasons)
        would = _would_bind(found, device, driver)
        # Up to 5.14 a probe that refuses is ENODEV to bind, and EINVAL in the log.
        if device.driver != driver and found.errno in (would.result, "EINVAL"):
            yield from found.refusals(would.reasons)
    if found.errno == "EBUSY":
        # ``vfio_pci_core_register_device()``
        for each in [device] if device is not None else host.devices.values() if found.address is None else ():
            if each.virtfns:
                yield found.say(VFS_ENABLED, each)
        yield from busy(found)
    elif found.errno == "ENODEV" and device is None and ".sh" in found.text and not _framebuffers(found):
        yield found.say(SCRIPT_FRAMEBUFFER)
    elif found.errno == "EINVAL" and found.model is not VFIO_GROUP and (device is not None or "write" in found.text):
        # Up to 5.18 no probe is refused: a driver that must not bind there hits a BUG_ON.
        yield from busy(found)


# fmt: off
MESSAGES = (
    Message("bind is refused", "/bind*! | cannot bind to driver <driver>: | failed to bind pci device | failed to "
            "bind*! | cannot bind*! | cannot bind @ to vfio | failed to bind device @ to driver", bound),
    Message("unbind is refused", "/unbind*! | failed to unbind pci device | cannot unbind*!", unbound),
    Message("drivers_probe is refused", "drivers_probe*!", probed),
    Message("probe failed", "probe with driver <driver> failed with error | <driver>: probe of @ failed with error | "
            "probe of @ failed with error | <driver>: probe of @ rejects match | probe of @ rejects match | device "
            "denylist, driver probing disallowed", probe_failed),
    means("the id is known", "new_id*file exists | add pci device id*to vfio-pci*file exists", "id-known", "The driver "
          "knows this id already, which is harmless.{now}", "Go on. Prefer driver_override, which names one device: "
          "'iommutui preview {name}=vfio-pci' shows the writes."),
    Message("no such file of a driver", "/driver/unbind*no such file or directory | /driver/unbind: directory "
            "nonexistent | /drivers/*/bind: no such file or directory | /drivers/*/unbind: no such file or directory | "
            "/drivers/*/new_id*no such file or directory | /drivers/*/bind: directory nonexistent | /drivers/*/unbind: "
            "directory nonexistent | /drivers/*/new_id: directory nonexistent | cannot open "
            "/sys/bus/pci/drivers/*/bind*no such file | driver <driver> is not loaded", no_file),
    Message("no framebuffer to unbind", "framebuffer*/unbind*no such device | -framebuffer/unbind*no such file",
            framebuffer_unbind),
    means("virtual functions are enabled", "sriov_numvfs*device or resource busy", "vfs-enabled", "Virtual functions "
    "are enabled already, and their number can change only by way of 0.", "Write 0 to sriov_numvfs first."),
    *(Message(phrase, phrase, errno, Weight.ERRNO) for phrase in
      ("device or resource busy", "invalid argument", "no such device")),
    means("a file below /sys is denied", "/sys/*permission denied | /bind: permission denied | /unbind: permission "
          "denied | cannot open /sys/bus/pci/drivers/*permission denied | /new_id: permission denied | "
          "/driver_override: permission denied | /sys/bus/pci/drivers/*: permission denied", "not-root", "Only root "
          "may write this file. In 'sudo echo ... > FILE' the shell opens FILE as yourself, before sudo.", "Use 'echo "
          "... | sudo tee FILE', a root shell, or 'iommutui apply', which becomes root by itself."),
    means("/sys is read-only", "/sys/*read-only file system", "read-only-sysfs", "/sys is mounted read-only here, as "
          "in a container.", "Do it on the host, as root."),
    means("the id is not known", "remove_id*no such device", "id-unknown", "The driver has no such dynamic id, so "
    "there is nothing to remove.", "Go on without it."),
    means("an id is malformed", "new_id*invalid argument | remove_id*invalid argument", "id-format", "The file takes "
          "vendor and device in hex with a space between, as '10de 2204'.", "Write them without 0x, colons or quotes."),
    means("no reset by this file", "/reset*inappropriate ioctl | failed to reset pci device*but trying to continue | "
          "cant reset pci device", "reset-file", "The kernel cannot reset {it} alone. A virtual machine that has "
          "every function of the card resets it by its bus, so this is often harmless.", "Go on if the "
          "virtual machine starts and restarts; 'iommutui why {it}' says what resets the device."),
    means("no driver_override", "/driver_override*no such file | /driver_override: directory nonexistent", "no-device",
          "There is no such device (names start with the domain, usually 0000:), or the kernel is older than 3.16.",
          "'iommutui list' shows the devices as they are now."),
    means("virtual functions are not offered", "sriov_numvfs*! | not enough mmio resources for sr-iov | sr-iov: bus "
          "number out of range", "sriov-not-offered", "Only the driver of the physical function can enable them, no "
          "more than sriov_totalvfs, and only if the firmware has left address space and bus numbers.", "Bind that "
          "function to its own driver; turn on SR-IOV, ARI and Above 4G decoding in the firmware. {set[pci=realloc]}"),
    means("no such console", "vtconsole/*no such file | /vtcon#/bind*!", "no-console", "There is no text console of "
          "that number, so nothing has to be unbound from it.", "Leave the line out of the script."),
)
# fmt: on
