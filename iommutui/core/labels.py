"""Short words and signs for rows and columns; whole sentences are in ``wording``."""

from iommutui.core.drivers import Role
from iommutui.core.host import Device, Group
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


def verdict_glyph(verdict: Verdict) -> str:
    """The word's sign, so that colour is never alone."""
    return {"viable": "✔", "blocked": "✖", "in use": "●", "refused": "!", "unknown": "?"}[verdict_word(verdict)]


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


def class_words(device: Device) -> str:
    """The name of the device's class, from the source's database of names or from the small table of `pci_classes`."""
    if device.class_name or not device.class_code:
        return device.class_name or "Unknown class"
    from iommutui.core.pci_classes import class_name  # a listing whose database has the names does without the table

    return class_name(device.class_code)


def owner_of(group: Group) -> str | None:
    """Who has claimed the group."""
    return group.claim.owner if group.claim else None
