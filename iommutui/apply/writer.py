"""The one place that writes to sysfs. Where and what is computed here, from a step's operation, address and driver.

Nothing is created and no link is followed to another file; each write is one system call with all of the data.
"""

import errno
import os
import re
import stat
from collections.abc import Iterable
from typing import NamedTuple

from iommutui.core.address import Address, is_pci
from iommutui.core.errors import IommutuiError, NotPermittedError
from iommutui.core.outcome import OK
from iommutui.core.plan.planner import Step

_DRIVER = re.compile(r"[^/\x00-\x1f\x7f]{1,255}")

DENIED = frozenset({"EACCES", "EPERM", "EROFS"})
"""Results that say that this user, or anybody here, must not write."""


class Write(NamedTuple):
    """One write, below the directory that is ``/`` of the machine."""

    path: str
    data: bytes


def write_of(root: str, step: Step) -> Write:
    """The write of a step. IommutuiError for an address or a driver's name that cannot be one."""
    devices = os.path.join(root, "sys/bus/pci/devices")
    address = address_of(step.device)
    if step.op == "override":
        value = "" if step.value is None else _driver(step.value)
        return Write(os.path.join(devices, address, "driver_override"), f"{value}\n".encode())
    if step.op == "unbind":
        path = os.path.join(root, "sys/bus/pci/drivers", _driver(step.value or ""), "unbind")
        return Write(path, address.encode())
    if step.op == "probe":
        return Write(os.path.join(root, "sys/bus/pci/drivers_probe"), address.encode())
    raise IommutuiError(f"There is no write for the operation {step.op!r}.")


def address_of(name: str) -> Address:
    """The address, to be part of a path; IommutuiError for anything else."""
    if not is_pci(name):
        raise IommutuiError(f"{name!r} is not the address of a PCI device, so nothing is written to it.")
    return Address(name)


def _driver(name: str) -> str:
    if _DRIVER.fullmatch(name) is None or name in (".", ".."):
        raise IommutuiError(f"{name!r} is not a driver's name, so it is not written.")
    return name


def put(write: Write) -> str:
    """Does the write, and blocks as long as the kernel does: ``ok`` or the name of an errno."""
    try:
        descriptor = os.open(write.path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        return _name(error)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return "EINVAL"
        return OK if os.write(descriptor, write.data) == len(write.data) else "EIO"
    except OSError as error:
        return _name(error)
    finally:
        os.close(descriptor)


def _name(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, "EIO")


def check(root: str, steps: Iterable[Step]) -> None:
    """NotPermittedError where one of the writes would be denied; IommutuiError where one cannot be."""
    for path in dict.fromkeys(write_of(root, step).path for step in steps):
        # A file that is not there is the kernel's answer to give, at its turn.
        if os.path.lexists(path) and not os.access(path, os.W_OK):
            raise denied(path)


def denied(what: str) -> NotPermittedError:
    """The error for a write that this user must not do."""
    if os.geteuid() == 0:
        return NotPermittedError(
            f"Writing to {what} is not permitted, not even to root.",
            "In a container /sys is often read-only: apply on the host itself.",
        )
    return NotPermittedError(f"Writing to {what} is not permitted.", "Apply as root, for example with sudo.")
