"""Short words and signs for rows and columns; whole sentences are in ``wording``."""

from collections.abc import Sequence

from iommutui.core.board import passable
from iommutui.core.drivers import Role
from iommutui.core.host import NO_IOMMU, Device, Group, Host
from iommutui.core.models.base import unbind_pending
from iommutui.core.outcome import State, Verdict


def verdict_word(verdict: Verdict) -> str:
    """One or two words for a column: ``viable``, ``blocked``, ``in use``, ``refused``, ``unknown``."""
    if verdict.state is State.USER:
        return "in use"
    if verdict.viable is None:
        return "unknown"
    if not verdict.viable:
        return "blocked"
    return "refused" if verdict.refused else "viable"


NOTHING_TO_PASS, NO_ISOLATION = "nothing to pass", "no isolation"


def group_word(host: Host, group: Group, verdict: Verdict) -> str:
    """What the verdict means to a person: a group without anything to pass through is neither viable nor blocked."""
    if group.name == NO_IOMMU:
        return NO_ISOLATION
    word = verdict_word(verdict)
    return word if word == "in use" or passable(host, group) else NOTHING_TO_PASS


GLYPHS = {"viable": "✔", "blocked": "✖", "in use": "●", "refused": "!", "unknown": "?", NOTHING_TO_PASS: "·",
          NO_ISOLATION: "!"}  # fmt: skip
"""The sign of each word, so that colour is never alone."""


def verdict_glyph(verdict: Verdict) -> str:
    """The word's sign."""
    return GLYPHS[verdict_word(verdict)]


_KINDS = {"0280": "Wi-Fi", "02": "network", "03": "display", "04": "sound", "0c03": "USB", "01": "disks",
          "06": "bridge", "0c": "serial bus"}  # fmt: skip


def also_takes(devices: Sequence[Device]) -> str:
    """``also takes 00:14.3 Wi-Fi``: what a plan moves beyond the selection; empty where there is nothing."""
    named = [f"{d.address.removeprefix('0000:')} {_kind(d)}" for d in devices]
    return f"also takes {', '.join(named)}" if named else ""


def _kind(device: Device) -> str:
    code = device.class_code or ""
    return next((word for prefix, word in _KINDS.items() if code.startswith(prefix)), class_words(device))


def role_words(role: Role) -> str:
    """A driver's role as people call it: ``host driver``, ``VFIO``, ``neutral``."""
    return {Role.KERNEL: "host driver", Role.USER: "VFIO", Role.NONE: "neutral"}[role]


def device_name(device: Device) -> str:
    """``NVIDIA Corporation GA104 [GeForce RTX 3070]``, or the ids where no name is known."""
    named = " ".join(part for part in (device.vendor_name, device.device_name) if part)
    if device.vendor_name and device.device_name:
        return named
    ids = f"[{device.vendor_id or '????'}:{device.device_id or '????'}]" if device.bus == "pci" else device.bus
    return f"{named or 'Device'} {ids}"


def driver_words(host: Host, device: Device) -> str:
    """What stands where a driver does: its name, ``being unbound``, ``unknown`` or ``free``."""
    if device.driver is not None:
        return device.driver
    if unbind_pending(host.group_of(device.address), device):
        return "being unbound"
    return "unknown" if device.gap("driver") is not None else "free"


def class_words(device: Device) -> str:
    """The name of the device's class, from the source's database of names or from the small table of `pci_classes`."""
    if device.class_name or not device.class_code:
        return device.class_name or "Unknown class"
    from iommutui.core.pci_classes import class_name  # a listing whose database has the names does without the table

    return class_name(device.class_code)


def owner_of(group: Group) -> str | None:
    """Who has claimed the group."""
    return group.claim.owner if group.claim else None
