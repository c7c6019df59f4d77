"""Errors of the kernel's files (``bind``, ``unbind``, ``new_id``, ``drivers_probe``...) and of drivers' probes.

The engine is asked what it says to the same write on this Host: its reasons are the causes.
"""

from collections.abc import Iterator

from iommutui.core.diagnosis.base import (
    Cause,
    Found,
    Message,
    Weight,
    firmware_regions,
    means,
    no_iommu,
    refusals,
    settings,
    silent,
)
from iommutui.core.diagnosis.start import busy
from iommutui.core.drivers import VFIO_PCI
from iommutui.core.engine.transition import transition
from iommutui.core.events import Bind, Probe, Unbind
from iommutui.core.host import Device
from iommutui.core.models.vfio_group import VFIO_GROUP
from iommutui.core.outcome import Outcome
from iommutui.core.roles import is_vfio


def _would_bind(found: Found, device: Device, driver: str) -> Outcome:
    """What the driver would say if the device were free and its override named it."""
    ready = device._replace(driver=None, driver_override=driver)
    return transition(found.host.with_device(ready), Bind(device.address, driver), found.model)


def _not_loaded(found: Found) -> Iterator[Cause]:
    driver = found.driver or VFIO_PCI
    if not found.host.has_driver(driver):
        text = f"No driver named {driver} is registered here, so it has no files below /sys/bus/pci/drivers."
        yield found.cause("driver-not-loaded", text, f"Load it with 'modprobe {driver}'.")


def bound(found: Found) -> Iterator[Cause]:
    """A write to ``bind`` (``bind_store()``): up to 5.14 ENODEV whatever the driver's probe returns."""
    device, driver = found.device, found.driver or VFIO_PCI
    yield from _not_loaded(found)
    if device is None or not found.host.has_driver(driver):
        return
    now = transition(found.host, Bind(device.address, driver), found.model)
    yield from refusals(found, now.reasons)
    if device.driver != driver:
        yield from refusals(found, _would_bind(found, device, driver).reasons)
    yield from settings(found, [device] if driver == VFIO_PCI else [])
    if now.ok:
        text = f"As the machine is now, {driver} would take {device.address}."
        yield found.cause(
            "works-now", text, f"Try again; 'iommutui preview {device.address}={driver}' shows the writes."
        )


def unbound(found: Found) -> Iterator[Cause]:
    """A write to ``unbind`` (``unbind_store()``): ENODEV unless the device is on that very driver."""
    device, driver = found.device, found.driver
    if device is None:
        yield from _not_loaded(found) if driver is not None else ()
    elif device.driver is not None and driver not in (None, device.driver):
        text = f"{device.address} is on {device.driver}, and unbind works only through the file of its own driver."
        remedy = (
            f"Nothing is left to unbind from {driver}: go on, or write to /sys/bus/pci/drivers/{device.driver}/unbind."
        )
        yield found.cause("bound-elsewhere", text, remedy)
    else:
        outcome = transition(found.host, Unbind(device.address), found.model)
        yield from refusals(found, outcome.reasons)
        if outcome.ok:
            text = f"{device.address} is on {device.driver} now, and an unbind from it would work."
            yield found.cause("works-now", text, "Try again, through the file 'unbind' of that driver.")


def probed(found: Found) -> Iterator[Cause]:
    """A write to ``drivers_probe``: EINVAL where the driver core refuses, ENODEV where there is no such device."""
    if found.device is not None:
        yield from refusals(found, transition(found.host, Probe(found.device.address), found.model).reasons)


def probe_failed(found: Found) -> Iterator[Cause]:
    """``probe with driver X failed with error -N``, before 6.11 ``X: probe of D failed`` (``call_driver_probe()``)."""
    device, driver = found.device, found.words.get("driver") or VFIO_PCI
    if device is None:
        yield from no_iommu(found) if found.address is None and "vfio" in driver else ()
        return
    yield from silent(found, device)
    if is_vfio(found.host, device, driver):
        yield from refusals(found, _would_bind(found, device, driver).reasons)
    elif not list(silent(found, device)):
        yield found.cause(
            "driver-failed",
            f"{driver} could not start {device.address}; the lines before this one in the kernel log say why. After a "
            "virtual machine has had the device, it often means that its reset did not work.",
            "Power the machine off and on; if it works then, the device does not reset well between users.",
        )


def new_id_exists(found: Found) -> Iterator[Cause]:
    """EEXIST of ``new_id`` (``new_id_store()``): the driver's dynamic or static table has the id."""
    device = found.device
    state = f" {device.address} is on {device.driver} now." if device is not None and device.driver else ""
    yield found.cause(
        "id-known",
        f"The driver knows this id already, which is harmless.{state}",
        "Go on without it. Better use driver_override, which names one device and not every card of the same id: "
        f"'iommutui preview {device.address if device else 'DEVICE'}=vfio-pci' shows the writes.",
    )


def no_file(found: Found) -> Iterator[Cause]:
    """ENOENT of ``drivers/X/bind``, or of ``devices/D/driver/unbind``, which is there only while a driver is bound."""
    yield from _not_loaded(found) if found.driver is not None else ()
    if found.driver is None:
        on = found.device.driver if found.device is not None else None
        now = f"It is on {on} now." if on else "There is nothing to unbind."
        yield found.cause("not-bound", f"{found.it} had no driver, so there was no link 'driver'. {now}",
                          "Go on without the unbind.")  # fmt: skip
    elif found.host.has_driver(found.driver):
        yield found.cause("loaded-now", f"{found.driver} was not loaded then; it may be now.", "Try again.")


def framebuffer_unbind(found: Found) -> Iterator[Cause]:
    """``unbind`` of the firmware's framebuffer: the platform device is gone once a GPU driver has taken over."""
    screens = found.host.uses.screens if found.host.uses is not None else ()
    left = [screen for screen in screens if screen.firmware]
    for screen in left:
        yield found.cause(
            "other-framebuffer",
            f"The firmware's framebuffer on {screen.device} belongs to {screen.firmware}.",
            "Unbind the device that 'ls /sys/bus/platform/drivers/*/' shows below that driver (simple-framebuffer.0, "
            "efi-framebuffer.0), from that driver.",
            found.host.devices.get(screen.device),
        )
    if not left:
        yield found.cause(
            "no-framebuffer",
            "There is no such device now, so there is nothing to unbind: a GPU driver has taken the display over, or "
            "this kernel calls its framebuffer simpledrm (simple-framebuffer.0).",
            "Leave the line out of the script; 'ls /sys/bus/platform/devices' shows what is there.",
        )


def errno(found: Found) -> Iterator[Cause]:
    """Nothing but an errno: what of this machine answers with it to a write about the device."""
    device, host = found.device, found.host
    if found.errno == "EINVAL":
        yield from firmware_regions(found)
    if device is not None:
        driver = found.driver or device.driver_override or VFIO_PCI
        outcomes = [transition(host, event, found.model) for event in
                    (Bind(device.address, driver), Unbind(device.address), Probe(device.address))]  # fmt: skip
        if device.driver != driver:
            outcomes.append(_would_bind(found, device, driver))
        # Up to 5.14 a failed probe is ENODEV to bind, and EINVAL in the log.
        for outcome in outcomes:
            if found.errno in (outcome.result, "EINVAL" if outcome is outcomes[-1] else None):
                yield from refusals(found, outcome.reasons)
    if found.errno == "EBUSY":
        yield from virtual_functions(found)
        yield from busy(found)
    elif found.errno == "EINVAL" and found.model is not VFIO_GROUP:
        # Up to 5.18 nothing is refused at a probe: what does not belong there is a BUG_ON.
        for cause in busy(found):
            yield cause._replace(text=f"{cause.text} Probing a kernel driver in it says EINVAL.")


def virtual_functions(found: Found) -> Iterator[Cause]:
    """EBUSY of ``vfio_pci_core_register_device()``, and of a write to ``sriov_numvfs`` that is not 0."""
    for device in [found.device] if found.device else list(found.host.devices.values()):
        if device.virtfns and (found.address is None or found.device is not None):
            yield found.cause(
                "vfs-enabled",
                f"{device.address} has {len(device.virtfns)} virtual functions enabled, and vfio-pci refuses it then.",
                f"Write 0 to /sys/bus/pci/devices/{device.address}/sriov_numvfs first.",
                device,
            )


# fmt: off
MESSAGES = (
    Message("bind is refused", "/bind*! | cannot bind to driver <driver>: | failed to bind pci device | failed to "
            "bind*! | cannot bind*!", bound),
    Message("unbind is refused", "/unbind*! | failed to unbind pci device | cannot unbind*!", unbound),
    Message("drivers_probe is refused", "drivers_probe*!", probed),
    Message("probe failed", "probe with driver <driver> failed with error | <driver>: probe of @ failed with error | "
            "probe of @ failed with error | <driver>: probe of @ rejects match | device denylist, driver probing "
            "disallowed", probe_failed),
    Message("the id is known", "new_id*file exists | add pci device id*to vfio-pci*file exists", new_id_exists),
    Message("no such file of a driver", "/driver/unbind*no such file or directory | /driver/unbind: directory "
            "nonexistent | /drivers/*/bind: no such file or directory | /drivers/*/unbind: no such file or directory | "
            "/drivers/*/new_id*no such file or directory | /drivers/*/bind: directory nonexistent | /drivers/*/unbind: "
            "directory nonexistent | /drivers/*/new_id: directory nonexistent | cannot open "
            "/sys/bus/pci/drivers/*/bind", no_file),
    Message("no framebuffer to unbind", "framebuffer*/unbind*no such device | -framebuffer/unbind*no such file",
            framebuffer_unbind),
    means("virtual functions are enabled", "sriov_numvfs*device or resource busy", "vfs-enabled",
          "Virtual functions are enabled already, and their number can be changed only by way of 0.",
          "Write 0 to sriov_numvfs first."),
    *(Message(phrase, phrase, errno, Weight.ERRNO) for phrase in
      ("device or resource busy", "invalid argument", "no such device")),
    means("a file below /sys is denied", "/sys/*permission denied | /bind: permission denied | /unbind: permission "
          "denied | /new_id: permission denied | /driver_override: permission denied | /sys/bus/pci/drivers/*: "
          "permission denied", "not-root", "Only root may write this file. In 'sudo echo ... > FILE' the shell opens "
          "FILE as yourself, before sudo.", "Use 'echo ... | sudo tee FILE', a root shell, or 'iommutui apply', which "
          "asks for the rights itself."),
    means("/sys is read-only", "/sys/*read-only file system", "read-only-sysfs",
          "/sys is mounted read-only here, as in a container.", "Do it on the host, as root."),
    means("the id is not known", "remove_id*no such device", "id-unknown",
          "The driver has no dynamic id like this one, so there is nothing to remove.", "Go on without it."),
    means("an id is malformed", "new_id*invalid argument | remove_id*invalid argument", "id-format",
          "The file takes vendor and device in hex with a space between, as '10de 2204'.",
          "Write them without 0x, colon and quotes. Better use driver_override, which names one device."),
    means("no reset by this file", "/reset*inappropriate ioctl | failed to reset pci device*but trying to continue | "
          "cant reset pci device", "reset-file", "The kernel has no reset of {it} alone. The virtual machine resets "
          "the whole card by its bus where it has all of its functions, so this is often harmless.",
          "Go on if the virtual machine starts and restarts; 'iommutui why {it}' says what resets the device."),
    means("no driver_override", "/driver_override*no such file | /driver_override: directory nonexistent", "no-device",
          "There is no such device (names start with the domain, mostly 0000:), or the kernel is older than 3.16.",
          "'iommutui list' shows the devices as they are now."),
    means("virtual functions are not offered", "sriov_numvfs*! | not enough mmio resources for sr-iov | sr-iov: bus "
          "number out of range", "sriov-not-offered", "Only the driver of the physical function can enable virtual "
          "functions, no more than sriov_totalvfs, and only where the firmware has left address space and bus numbers "
          "for them.", "Bind the physical function to its own driver; turn on SR-IOV, ARI and Above 4G decoding in the "
          "firmware setup. {parameter}", parameter="pci=realloc"),
    means("no such console", "vtconsole/*no such file | /vtcon#/bind*!", "no-console",
          "There is no text console of that number, so nothing has to be unbound from it.",
          "Leave the line out of the script, or test for the file first."),
)
# fmt: on
