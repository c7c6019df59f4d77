"""Completing the last word of a filter: its keys, and the values that this machine has. Pure."""

from collections import Counter
from collections.abc import Iterable
from iommutui.core.host import Host
from iommutui.core.query import KEYS, KINDS
from iommutui.core.cache import last_call


_VERDICTS = ("yes", "no", "unknown", "blocked", "refused")


@last_call
def _values(host: Host) -> dict[str, tuple[str, ...]]:
    drivers = Counter(device.driver or "none" for device in host.devices.values())
    overrides = {device.driver_override or "none" for device in host.devices.values()}
    return {
        "driver": tuple(name for name, _ in drivers.most_common()),
        "override": tuple(sorted(overrides)),
        "group": tuple(str(number) for number in host.groups),
        "viable": _VERDICTS,
        "class": tuple(KINDS),
        "bus": tuple(sorted({device.bus for device in host.devices.values()})),
        "id": tuple(f"{d.vendor_id}:{d.device_id}" for d in host.devices.values() if d.vendor_id),
    }


def completion(host: Host, text: str) -> str | None:
    """``dr`` becomes ``driver:``, ``viable:n`` becomes ``viable:no``; None where nothing is to be added."""
    head, space, word = text.rpartition(" ")
    sign = "!" if word.startswith("!") else ""
    key, colon, value = word.removeprefix("!").partition(":")
    if not key:
        return None
    if not colon:
        found = _first(KEYS, key)
        return None if found is None else f"{head}{space}{sign}{found}:"
    found = _first(_values(host).get(key, ()), value) if value else None
    return None if found is None else f"{head}{space}{sign}{key}:{found}"


def _first(names: Iterable[str], begin: str) -> str | None:
    return next((n for n in names if n.startswith(begin) and n != begin and n.isprintable() and " " not in n), None)
