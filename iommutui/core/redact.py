"""A Host without anything that identifies its owner, to share with others. Idempotent.

A Host never holds serial numbers, network addresses, host names or user names. What is left: values on the kernel's
command line (the UUID of a file system, addresses of a network boot), interfaces that are named after their MAC or by
people, ids of processes, and names that people gave to what they mount, plug in or run.
"""

import re
from collections.abc import Callable, Iterable
from itertools import count

from iommutui.core.host import Device, Group, Host
from iommutui.core.uses import Held, Input, Network, Storage, Uses

REDACTED = "<redacted>"

_KEPT = re.compile(
    r"""
      (?:amd|intel)_iommu | iommu | acpi(?:_\w+)? | (?:no)?pci(?:e|ehp)?(?:_\w+)?
    | (?:default_)?hugepages(?:z)? | isolcpus | nohz_full | rcu_nocbs | mem | mitigations | preempt | kvm\w*
    | (?:module_|modprobe\.|rd\.driver\.)\w+ | initcall_blacklist
    | video | vga | nomodeset | efi | efifb | vt\.\w+ | fbcon
    | console | earlyprintk | earlycon | loglevel | quiet | splash | oops | panic | lockdown | ro | rw
    | (?:acpi|ahci|amdgpu|drm|i915|intel_iommu|iommu|iommufd|kvm|nouveau|nvidia|nvme|pci|radeon|simpledrm
        |snd_hda_intel|usbcore|vfio|vga|virtio_pci|vmd|xe|xen_pciback|xhci)\w*\.\w+
    """,
    re.VERBOSE,
)
"""Parameters whose values are of use to a reader and reveal nothing about the owner; ``-`` is written ``_``."""

_BY_MAC = re.compile(r"([a-z]{2,3}x)[0-9a-f]{12}.*")
_NAMED = re.compile(r".*(?:firmware|path|file|patch|\.id|nqn|hostid)")
"""Parameters among them whose values are names: of files, of a sound card, of a host."""
_OF_ONE = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}|(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}", re.IGNORECASE)
"""A UUID or a MAC, which no value that is kept has."""

_OWNER = re.compile(r"(?:vm|owner)\d{1,4}")
_PID = re.compile(r" \(pid \d+\)$")
_WORD = re.compile(r'\s+|(?:"[^"]*"?|[^\s"])+')


def redact(host: Host) -> Host:
    """The Host without values that identify somebody. An ordinary one is left as it is."""
    names, owners = _interfaces(host), _owners(host)
    return host._replace(
        devices={address: _device(device, names) for address, device in host.devices.items()},
        removed={address: _device(device, names) for address, device in host.removed.items()},
        groups={number: _group(group, owners) for number, group in host.groups.items()},
        cmdline=None if host.cmdline is None else redact_cmdline(host.cmdline),
        uses=None if host.uses is None else _uses(host.uses, names),
    )


def redact_cmdline(cmdline: str) -> str:
    """``root=UUID=0a1b quiet intel_iommu=on`` -> ``root=<redacted> quiet intel_iommu=on``."""
    words = _WORD.findall(cmdline)
    # What follows "--" is for the first process, and may be anything.
    end = words.index("--") + 1 if "--" in words else len(words)
    rest = f" {REDACTED}" if "".join(words[end:]).strip() else "".join(words[end:])
    return "".join(_parameter(word) for word in words[:end]) + rest


def _parameter(word: str) -> str:
    key, equals, value = word.partition("=")
    name = key.strip('"').replace("-", "_")
    if not equals or (_KEPT.fullmatch(name) and not _NAMED.fullmatch(name) and not _OF_ONE.search(value)):
        return word
    closing = '"' * (key.count('"') % 2)
    return f"{key}={REDACTED}{closing}"


def _aliases(names: Iterable[str], form: Callable[[str], str]) -> dict[str, str]:
    """The form of each name; ``#`` in a form becomes the first number that makes it unlike every other name."""
    found = dict.fromkeys(names, "")
    taken = set(found)
    for name in found:
        alias = form(name)
        if "#" in alias:
            alias = next(free for n in count() if (free := alias.replace("#", str(n))) not in taken)
            taken.add(alias)
        found[name] = alias
    return found


def _interfaces(host: Host) -> dict[str, str]:
    """Aliases of interfaces that reveal something: ``enxaabbccddeeff`` -> ``enx0``, ``alice0`` -> ``net0``."""

    def form(name: str) -> str:
        match = _BY_MAC.fullmatch(name)
        if match is not None:
            return f"{match[1]}#"
        return name if ANY_MACHINE.fullmatch(name) else "net#"

    every = [name for group in (host.devices, host.removed) for d in group.values() for name in d.interfaces]
    every += [use.own for use in host.uses.network if use.chain] if host.uses is not None else []
    return _aliases(every, form)


def _owners(host: Host) -> dict[str, str]:
    """Aliases of owners of groups: a program if that is no secret, else a number."""

    def form(owner: str) -> str:
        name = _PID.sub("", owner)
        return name if name in KNOWN_PROGRAMS or _OWNER.fullmatch(name) else "owner#"

    return _aliases((group.claim.owner for group in host.groups.values() if group.claim is not None), form)


def _device(device: Device, names: dict[str, str]) -> Device:
    return device._replace(interfaces=tuple(names.get(name, name) for name in device.interfaces))


def _group(group: Group, owners: dict[str, str]) -> Group:
    if group.claim is None:
        return group
    return group._replace(claim=group.claim._replace(owner=owners[group.claim.owner]))


# What the machine does with its devices, without names that people have given.

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
"""Programs that say something about a machine and nothing about its owner, as their names are in ``comm``."""


def _uses(uses: Uses, names: dict[str, str]) -> Uses:
    openers = (o._replace(name=o.name if o.name in KNOWN_PROGRAMS else "", pid=None) for o in uses.openers)
    return uses._replace(
        storage=tuple(map(_storage, uses.storage)),
        network=tuple(_network(use, names) for use in uses.network),
        inputs=tuple(map(_input, uses.inputs)),
        openers=tuple(dict.fromkeys(openers)),
        plugged=tuple(each._replace(names=("device",) * len(each.names)) for each in uses.plugged),
        by_id=tuple(
            each._replace(where="/etc/modprobe.d" if each.where.startswith("/etc/modprobe.d") else "(setting)")
            for each in uses.by_id
        ),
    )


def _storage(use: Storage) -> Storage:
    mounted = use.held in (Held.MOUNT, Held.SWAP, Held.FSTAB, Held.REMOTE, Held.PERHAPS_REMOTE)
    what = (_mount(word) if mounted else _volume(word) for word in use.what)
    array = use.array if re.fullmatch(r"(?:nvme-subsys\d+)?", use.array) else _volume(use.array)
    return use._replace(what=tuple(dict.fromkeys(what)), chain=tuple(map(_volume, use.chain)), array=array)


def _mount(point: str) -> str:
    return point if point in _MOUNTS else _MOUNT


def _volume(text: str) -> str:
    """``dm-0 (my-secret-volume)`` -> ``dm-0``; what udev found on a disk (``sda1 (ntfs)``) goes as well."""
    name = text.partition(" ")[0]
    return name if _BLOCK.fullmatch(name) else _VOLUME


def _network(use: Network, names: dict[str, str]) -> Network:
    chain = (names.get(name, name) for name in use.chain)
    return use._replace(chain=tuple(name if ANY_MACHINE.fullmatch(name) else _INTERFACE for name in chain))


def _input(each: Input) -> Input:
    kinds = ["keyboard"] * each.keyboard + ["pointer"] * each.pointer
    return each._replace(name=" and ".join(kinds) or "pointer")
