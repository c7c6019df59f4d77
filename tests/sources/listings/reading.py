"""Helpers for tests of listings: text in, machine out."""

from iommutui.core.host import Device, Host
from iommutui.sources import Opened, open_text

GPU = "VGA compatible controller [0300]: NVIDIA Corporation GP106 [GeForce GTX 1060 3GB] [10de:1c02] (rev a1)"
SOUND = "Audio device [0403]: NVIDIA Corporation GP106 High Definition Audio Controller [10de:10f1] (rev a1)"


def opened(text: str) -> Opened:
    """The machine in a text, with the notes on it."""
    return open_text(text)


def host(text: str) -> Host:
    """The machine in a text."""
    return open_text(text).host


def device(text: str, address: str = "0000:01:00.0") -> Device:
    """One function of it."""
    return {str(a): d for a, d in host(text).devices.items()}[address]


def groups(machine: Host) -> dict[int, list[str]]:
    """The members of every group."""
    return {number: list(group.members) for number, group in machine.groups.items()}
