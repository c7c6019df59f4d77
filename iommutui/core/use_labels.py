"""What the host does with each device, in a few words for a row. Whole sentences are made of hazards."""

from typing import TYPE_CHECKING

from iommutui.core.address import Address
from iommutui.core.host import Host
from iommutui.core.roles import serves_host

if TYPE_CHECKING:
    from iommutui.core.uses import Network, Storage


def use_labels(host: Host) -> dict[Address, tuple[str, ...]]:
    """Words such as ``root disk``, ``default route``, ``boot display`` or ``in use by qemu (pid 123)``, by device."""
    found: dict[Address, dict[str, None]] = {}
    for address, device in host.devices.items():
        if device.boots_display and serves_host(host, device, device.driver):
            found.setdefault(address, {})["boot display"] = None
    for group in host.groups.values():
        for address in group.claim.opened if group.claim is not None else ():
            owner = group.claim.owner if group.claim is not None else ""
            found.setdefault(address, {})[f"in use by {owner}"] = None
    if host.uses is not None:
        for screen in host.uses.screens:
            for monitor in screen.monitors:
                found.setdefault(screen.device, {})[f"monitor on {monitor}"] = None
        for use in host.uses.storage:
            for words in _storage(use):
                found.setdefault(use.device, {})[words] = None
        for talk in host.uses.network:
            for words in _network(talk):
                found.setdefault(talk.device, {})[words] = None
        for each in host.uses.inputs:
            if each.device is not None:
                found.setdefault(each.device, {})["keyboard" if each.keyboard else "pointer"] = None
        for sound in host.uses.sounds:
            if sound.playing:
                found.setdefault(sound.device, {})["playing sound"] = None
    return {address: tuple(words) for address, words in found.items()}


def _storage(use: "Storage") -> list[str]:
    if use.held == "mount":
        others = [point for point in use.what if point != "/"]
        return [*(["root disk"] if "/" in use.what else []), *([f"mounted {others[0]}"] if others else [])]
    if use.held == "pool":
        return [" ".join(("pool", *use.what[:1]))]
    return ["swap"] if use.held == "swap" else []


def _network(talk: "Network") -> list[str]:
    words = [
        *(["SSH session"] if talk.session else []),
        *(["default route"] if talk.default_route else []),
    ]
    return words or (["address"] if talk.address else [])
