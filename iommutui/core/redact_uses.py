"""What the machine does with its devices, without names that people have given. Idempotent."""

import re
from collections.abc import Callable

from iommutui.core.uses import ById, Held, Input, Network, Opener, Plugged, Storage, Uses

_MOUNT, _VOLUME, _INTERFACE = "(mount)", "(volume)", "(interface)"

_MOUNTS = frozenset(
    {
        *("/", "/boot", "/boot/efi", "/efi", "/home", "/root", "/usr", "/opt", "/srv", "/tmp", "/var", "/var/lib"),
        *("/var/log", "/var/tmp", "/nix", "/nix/store", "/mnt", "/media", "[SWAP]"),
    }
)

_BLOCK = re.compile(
    r"""
    (?: (?:dm-|md|bcache|loop|sr|nbd|zd|zram|pmem|mmcblk)\d+ | (?:sd|vd|xvd|hd)[a-z]{1,3} | nvme\d+(?:c\d+)?n\d+ )
    (?:p?\d+)?
    """,
    re.VERBOSE,
)
"""Names that the kernel gives to block devices; an array's (``md_name``) may be anybody's."""

ANY_MACHINE = re.compile(
    r"""
    (?: (?:br|vmbr|virbr|docker|bond|team|vlan|wg|tun|tap|ppp|eth|wlan|wwan|usb|ib|can|net|lan|wan)\d{1,4}
      | (?:en|wl|ww|ib)[ops]\d+(?:[a-z]{1,3}\d+)* | (?:en|wl|ww|ib)P\d+[ops]\d+(?:[a-z]{1,3}\d+)*
      | [a-z]{2,3}x\d{1,4}
    ) (?:\.\d{1,4})?
    """,
    re.VERBOSE,
)
"""Interfaces that are named by what they are and a number, by udev's places, or by `core.redact`."""

KNOWN_PROGRAMS = frozenset(
    {
        *("Xorg", "Xwayland", "gnome-shell", "kwin_wayland", "kwin_x11", "plasmashell", "sway", "Hyprland", "weston"),
        *("mutter", "cosmic-comp", "gdm", "sddm", "lightdm", "systemd-logind", "systemd", "plymouthd"),
        *("qemu-system-x86", "qemu-kvm", "libvirtd", "virtqemud", "pipewire", "wireplumber", "pulseaudio"),
        *("nvidia-persiste", "nvidia-smi", "nvidia-powerd", "chrome", "firefox", "ollama"),
    }
)
"""Programs that tell something about a machine and nothing about its owner, as their names are in ``comm``."""


def redact_uses(uses: Uses, interface: Callable[[str], str]) -> Uses:
    """The uses as others may see them. ``interface`` gives the placeholder of a name that holds a MAC."""
    return uses._replace(
        storage=tuple(_storage(use) for use in uses.storage),
        network=tuple(_network(use, interface) for use in uses.network),
        inputs=tuple(_input(each) for each in uses.inputs),
        openers=tuple(dict.fromkeys(_opener(opener) for opener in uses.openers)),
        plugged=tuple(_plugged(each) for each in uses.plugged),
        by_id=tuple(_by_id(setting) for setting in uses.by_id),
    )


def _storage(use: Storage) -> Storage:
    keep: Callable[[str], str] = _volume
    if use.held in (Held.MOUNT, Held.SWAP, Held.FSTAB):
        keep = _mount
    array = use.array if use.array.startswith("nvme-subsys") else _volume(use.array)
    return use._replace(
        what=tuple(dict.fromkeys(keep(word) for word in use.what)),
        chain=tuple(_volume(part) for part in use.chain),
        array=array if use.array else "",
    )


def _mount(point: str) -> str:
    return point if point in _MOUNTS else _MOUNT


def _volume(text: str) -> str:
    """``dm-0 (my-secret-volume)`` -> ``dm-0``; what udev found on a disk (``sda1 (ntfs)``) goes as well."""
    name = text.partition(" ")[0]
    return name if _BLOCK.fullmatch(name) else _VOLUME


def _network(use: Network, interface: Callable[[str], str]) -> Network:
    names = [interface(name) for name in use.chain]
    return use._replace(chain=tuple(_named(name) for name in names))


def _named(interface: str) -> str:
    return interface if ANY_MACHINE.fullmatch(interface) else _INTERFACE


def _input(each: Input) -> Input:
    both = "keyboard and pointer" if each.keyboard and each.pointer else "keyboard" if each.keyboard else "pointer"
    return each._replace(name=both)


def _opener(opener: Opener) -> Opener:
    return opener._replace(name=opener.name if opener.name in KNOWN_PROGRAMS else "", pid=None)


def _plugged(each: Plugged) -> Plugged:
    return each._replace(names=tuple("device" for _ in each.names))


def _by_id(setting: ById) -> ById:
    return setting._replace(where="/etc/modprobe.d" if setting.where.startswith("/etc/modprobe.d") else "(setting)")
