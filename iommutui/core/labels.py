"""Short words and signs for rows and columns, and every fact of a device; whole sentences are in ``wording``."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from iommutui.core.address import Address
from iommutui.core.board import passable
from iommutui.core.drivers import Role
from iommutui.core.host import NO_IOMMU, Device, Group, Host
from iommutui.core.models.base import Model, unbind_pending
from iommutui.core.reasons import State, Verdict
from iommutui.core.roles import serves_host

if TYPE_CHECKING:
    from iommutui.core.uses import Network, Storage


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


def is_draft(model: Model) -> bool:
    """Whether no kernel has these rules."""
    return model.kernels.startswith("none")


def rules_words(model: Model) -> str:
    """The kernels that have these rules, in words: ``Linux 5.19 and later``."""
    return f"draft {model.name}, never merged" if is_draft(model) else f"Linux {model.kernels}"


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


_KIND_WORDS = {
    "0100": "SCSI", "0101": "IDE", "0104": "RAID", "0106": "SATA", "0107": "SAS", "0108": "NVMe", "0200": "Ethernet",
    "0280": "Network", "0207": "InfiniBand", "0300": "VGA", "0302": "3D", "0380": "Display", "0400": "Video",
    "0401": "Audio", "0403": "Audio", "0500": "RAM", "0600": "Host", "0601": "ISA", "0604": "Bridge",
    "0607": "CardBus", "0700": "Serial", "0805": "SD card", "0806": "IOMMU", "0c03": "USB", "0c05": "SMBus",
    "0c80": "Serial", "1300": "Other", "0d11": "Bluetooth", "1080": "Crypto", "1000": "Crypto", "1200": "Accel",
    "0780": "Comms", "0880": "System", "0b40": "Coproc", "1101": "Counters", "1180": "Signal",
}  # fmt: skip
_BASE_WORDS = {"00": "Other", "01": "Storage", "02": "Network", "03": "Display", "04": "Media", "05": "Memory",
                  "06": "Bridge", "07": "Comms", "08": "System", "09": "Input", "0d": "Wireless",
                  "ff": "Other"}  # fmt: skip


def kind_word(device: Device) -> str:
    """One word for what the device is."""
    if device.bus != "pci":
        return device.bus
    code = (device.class_code or "")[:4]
    return _KIND_WORDS.get(code) or _BASE_WORDS.get(code[:2]) or class_words(device)


def rank(device: Device) -> int:
    """Displays first, then what else is handed over often; what only holds the machine together last."""
    code = device.class_code or ""
    return 8 if structural(device) else {"03": 0, "12": 1, "02": 2, "01": 3, "0c": 4, "04": 5}.get(code[:2], 6)


def structural(device: Device) -> bool:
    """Whether it holds the machine together, and is never handed over."""
    return device.is_bridge or (device.class_code or "")[:4] == "0600"


def use_labels(host: Host) -> dict[Address, tuple[str, ...]]:
    """Words such as ``root disk``, ``default route``, ``boot display`` or ``in use by qemu (pid 123)``, by device."""
    found: dict[Address, dict[str, None]] = {}
    for address, words in _labels(host):
        found.setdefault(address, {})[words] = None
    return {address: tuple(words) for address, words in found.items()}


def _labels(host: Host) -> Iterator[tuple[Address, str]]:
    for device in host.devices.values():
        if device.boots_display and serves_host(host, device, device.driver):
            yield device.address, "boot display"
    for claim in (group.claim for group in host.groups.values() if group.claim is not None):
        yield from ((address, f"in use by {claim.owner}") for address in claim.opened)
    if host.uses is None:
        return
    for screen in host.uses.screens:
        yield from ((screen.device, f"monitor on {monitor}") for monitor in screen.monitors)
    for use in host.uses.storage:
        yield from ((use.device, words) for words in _storage(use))
    for talk in host.uses.network:
        yield from ((talk.device, words) for words in _network(talk))
    for each in host.uses.inputs:
        if each.device is not None:
            yield each.device, "keyboard" if each.keyboard else "pointer"
    for sound in host.uses.sounds:
        if sound.playing:
            yield sound.device, "playing sound"


def _storage(use: "Storage") -> list[str]:
    if use.held == "mount":
        others = [point for point in use.what if point != "/"]
        return [*(["root disk"] if "/" in use.what else []), *([f"mounted {others[0]}"] if others else [])]
    if use.held == "pool":
        return [" ".join(("pool", *use.what[:1]))]
    if use.held in ("remote", "perhaps-remote"):
        return [f"leads to {use.what[0]}"] if use.what else []
    return ["swap"] if use.held == "swap" else []


def _network(talk: "Network") -> list[str]:
    words = [
        *(["SSH session"] if talk.session else []),
        *(["default route"] if talk.default_route else []),
    ]
    return words or (["address"] if talk.address else [])
