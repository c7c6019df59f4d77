"""Error messages of the kernel, QEMU and the shell, and what on this Host explains them.

One entry in ``MESSAGES`` for each message: the pattern, and a function that looks at the Host for what fits. The causes
come most likely first; what the Host rules out is not among them.
"""

import re
from typing import NamedTuple

from iommutui.core.address import Address, parse_pci
from iommutui.core.diagnosis.base import Cause, Explain, Found
from iommutui.core.diagnosis.machines import (
    cannot_reserve,
    container_denied,
    depends_on,
    node_denied,
    node_missing,
    not_viable,
)
from iommutui.core.diagnosis.writes import busy, invalid, no_such_device
from iommutui.core.host import Device, Host
from iommutui.core.models.base import Model


class Message(NamedTuple):
    """An error message that people paste."""

    name: str
    pattern: re.Pattern[str]
    explain: Explain


class Diagnosis(NamedTuple):
    """The message that was recognised, and the causes that fit the Host."""

    message: str
    causes: tuple[Cause, ...]


_ADDRESS = re.compile(r"(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[01][0-9a-f]\.[0-7]", re.IGNORECASE)
_GROUP = re.compile(r"(?:group\s+|/dev/vfio/|iommu_groups/)(\d+)", re.IGNORECASE)


def diagnose(
    host: Host, text: str, model: Model, *, group: int | None = None, device: Device | None = None
) -> Diagnosis | None:
    """What explains the message on this Host; None where the message is not one that is known.

    ``group`` or ``device`` is what the message is about, where it does not say so itself.
    """
    for message in MESSAGES:
        if message.pattern.search(text):
            named, about = _group_in(text), _device_in(host, text)
            if named is None and about is None:
                named, about = group, device
            found = Found(host, model, named, about, _address_in(text))
            return Diagnosis(message.name, tuple(message.explain(found)))
    return None


def _group_in(text: str) -> int | None:
    match = _GROUP.search(text)
    return int(match.group(1)) if match else None


def _address_in(text: str) -> Address | None:
    return next((address for word in _ADDRESS.findall(text) if (address := parse_pci(word)) is not None), None)


def _device_in(host: Host, text: str) -> Device | None:
    for word in _ADDRESS.findall(text):
        address = parse_pci(word)
        if address is not None and address in host.devices:
            return host.devices[address]
    return None


def _message(name: str, pattern: str, explain: Explain) -> Message:
    return Message(name, re.compile(pattern, re.IGNORECASE), explain)


MESSAGES: tuple[Message, ...] = (
    _message("group is not viable", r"not viable|bound to their vfio bus driver", not_viable),
    _message("cannot reserve a BAR", r"can'?t reserve|BAR \d+: can", cannot_reserve),
    _message("reset depends on another group", r"depends on group \d+", depends_on),
    _message(
        "container: operation not permitted",
        r"(set|setup).{0,20}(iommu|container).*operation not permitted|no interrupt remapping|platform RMRR",
        container_denied,
    ),
    _message("device or resource busy", r"device or resource busy|\bEBUSY\b", busy),
    _message(
        "permission denied on a group's file", r"/dev/vfio.*permission denied|permission denied.*vfio", node_denied
    ),
    _message("no file of the group", r"/dev/vfio/\d+.*no such file|no such file.*/dev/vfio/\d+", node_missing),
    _message("no such device", r"no such device|\bENODEV\b", no_such_device),
    _message("invalid argument", r"invalid argument|\bEINVAL\b", invalid),
)
