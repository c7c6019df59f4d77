"""A Host without what identifies its owner, for a snapshot that is shown to others. Idempotent.

Serial numbers, addresses of networks, host and user names are never in a Host. What is left: values on the kernel's
command line (the UUID of a file system, addresses of a network boot), interfaces that are named after their MAC, ids of
processes, and names that people gave to what they mount, plug in and run.
"""

import re

from iommutui.core.host import Device, Group, Host
from iommutui.core.redact_uses import redact_uses

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
"""Parameters whose values are of use to a reader and tell nothing of the owner; ``-`` is written ``_``."""

_BY_MAC = re.compile(r"([a-z]{2,3}x)[0-9a-f]{12}.*")
_PID = re.compile(r" \(pid \d+\)$")
_WORD = re.compile(r'\s+|(?:"[^"]*"?|[^\s"])+')


def redact(host: Host) -> Host:
    """The Host without values that identify somebody. An ordinary one is left as it is."""
    interfaces = _placeholders(host)
    return host._replace(
        devices={address: _device(device, interfaces) for address, device in host.devices.items()},
        removed={address: _device(device, interfaces) for address, device in host.removed.items()},
        groups={number: _group(group) for number, group in host.groups.items()},
        cmdline=None if host.cmdline is None else redact_cmdline(host.cmdline),
        uses=None if host.uses is None else redact_uses(host.uses, lambda name: interfaces.get(name, name)),
    )


def redact_cmdline(cmdline: str) -> str:
    """``root=UUID=0a1b quiet intel_iommu=on`` -> ``root=<redacted> quiet intel_iommu=on``."""
    return "".join(_parameter(word) for word in _WORD.findall(cmdline))


def _parameter(word: str) -> str:
    key, equals, _ = word.partition("=")
    if not equals or _KEPT.fullmatch(key.strip('"').replace("-", "_")):
        return word
    closing = '"' * (key.count('"') % 2)
    return f"{key}={REDACTED}{closing}"


def _placeholders(host: Host) -> dict[str, str]:
    """A name for every interface whose own holds a MAC, in the order of devices: ``enxaabbccddeeff`` -> ``enx0``."""
    every = [name for group in (host.devices, host.removed) for d in group.values() for name in d.interfaces]
    every += [name for use in host.uses.network for name in use.chain] if host.uses is not None else []
    taken = set(every)
    found: dict[str, str] = {}
    for name in every:
        match = _BY_MAC.fullmatch(name)
        if match is None or name in found:
            continue
        number = 0
        while (placeholder := f"{match[1]}{number}") in taken:
            number += 1
        taken.add(placeholder)
        found[name] = placeholder
    return found


def _device(device: Device, interfaces: dict[str, str]) -> Device:
    if not any(name in interfaces for name in device.interfaces):
        return device
    return device._replace(interfaces=tuple(interfaces.get(name, name) for name in device.interfaces))


def _group(group: Group) -> Group:
    if group.claim is None:
        return group
    return group._replace(claim=group.claim._replace(owner=_PID.sub("", group.claim.owner)))
