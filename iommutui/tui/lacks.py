"""What is not known of a machine, and what would make it known. Pure."""

from iommutui.core.host import Host
from iommutui.tui.state import Kind, Source

_WHOLE = "'iommutui snapshot -o FILE' on that machine makes a whole one."


def lacks(host: Host, source: Source) -> tuple[str, ...]:
    """Sentences, none for a machine of which everything that matters here is known."""
    found = []
    if _nameless(host):
        again = "then r looks again" if source.kind is Kind.LIVE else "then open it again"
        found.append(
            "Names are missing: neither udev's hardware database nor pci.ids was found. The package pci.ids (Debian, "
            f"Ubuntu) or hwdata (Fedora, Arch, openSUSE) brings them; {again}."
        )
    if source.kind is Kind.SNAPSHOT and host.devices:
        missing = [words for words, gone in _recorded(host) if gone]
        if missing:
            found.append(f"Not recorded here: {', '.join(missing)}. {_WHOLE}")
    return tuple(found)


def _nameless(host: Host) -> bool:
    numbered = [d for d in host.devices.values() if d.bus == "pci" and d.vendor_id is not None]
    return bool(numbered) and all(d.vendor_name is None and d.device_name is None for d in numbered)


def _recorded(host: Host) -> list[tuple[str, bool]]:
    return [
        ("the kernel's version", host.kernel is None),
        ("which drivers there are", host.drivers is None),
        ("which drivers fit a device", all(device.fits is None for device in host.devices.values())),
        ("what the machine uses its devices for", host.uses is None),
    ]
