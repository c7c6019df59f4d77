"""Hazards as sentences: what is lost, and what to do about it. Plain text, no markup."""

from collections.abc import Callable, Iterable

from iommutui.core.address import Address
from iommutui.core.gap import gap_words
from iommutui.core.hazards import KINDS
from iommutui.core.hazards.base import Hazard, Severity
from iommutui.core.reasons import Reason


def _remains(hazard: Hazard, what: str = "") -> str:
    """An end of the sentence that says what stays with the host."""
    kept = hazard.fact("remains")
    return f"; {what}{kept} stays with the host." if kept else "."


def _array(hazard: Hazard) -> str:
    name = hazard.fact("array")
    if hazard.fact("unseen"):
        return f" {hazard.fact('unseen')} may be redundant, but the kernel does not show it, so it counts as not."
    return f" {name} can do without it, but is no longer safe." if name and hazard.severity != "danger" else ""


def _boot_display(h: Hazard) -> str:
    shows = " and ".join(
        part
        for part in (
            f"a monitor is on {h.fact('monitors')}" if h.fact("monitors") else "",
            f"the text console is on {h.fact('console')}" if h.fact("console") else "",
        )
        if part
    )
    return (
        f"{h.device} is the display that this machine booted on{f' ({shows})' if shows else ''}; "
        f"without its driver the screen goes dark or freezes{_remains(h, 'the monitor on ')}"
    )


def _listed_ways(h: Hazard) -> str:
    names = (("the display", "display"), ("the keyboard", "input"), ("the network of", "network"))
    return " and ".join(f"{words} {h.fact(name)}" for words, name in names if h.fact(name))


def _network(h: Hazard, what: str) -> str:
    chain = f" ({h.fact('chain')})" if "←" in h.fact("chain") else ""
    return f"{what} goes through {h.fact('interface')}{chain}, which {h.device} has{_remains(h)}"


_SENTENCES: dict[str, Callable[[Hazard], str]] = {
    "boot-display": _boot_display,
    "monitor": lambda h: (
        f"A monitor is plugged into {h.fact('monitors')} of {h.device}, and goes dark{_remains(h, 'the monitor on ')}"
    ),
    "text-console": lambda h: f"The text console is drawn on {h.fact('console')}, which {h.device} has.",
    "firmware-framebuffer": lambda h: (
        f"The framebuffer of the firmware ({h.fact('name')}) still lies in the memory of {h.device}, "
        "and a virtual machine cannot have memory that the kernel has reserved."
    ),
    "framebuffer-removed": lambda h: (
        f"When {h.device} goes to vfio-pci, this kernel removes the framebuffer of the firmware ({h.fact('name')}"
        + (f" of {h.fact('owner')}" if h.fact("owner") != h.device else "")
        + f"): what it shows goes dark{_remains(h, 'the monitor on ')}"
    ),
    "nothing-remains": lambda h: (
        f"This plan takes {_listed_ways(h)} at once: no way into this machine remains to see or to say "
        "that something went wrong."
    ),
    "gpu-in-use": lambda h: f"{h.device} is in use by {h.fact('who')} ({h.fact('nodes')}).",
    "disk-mounted": lambda h: (
        f"{h.device} holds file systems that are mounted at {h.fact('what')} ({h.fact('chain')}).{_array(h)}"
    ),
    "swap-active": lambda h: f"{h.device} holds swap that is in use ({h.fact('chain')}).{_array(h)}",
    "zfs-member": lambda h: f"{h.device} holds a part of the ZFS pool {h.fact('what')} ({h.fact('chain')}).{_array(h)}",
    "disk-assembled": lambda h: (
        f"{h.device} holds a part of {h.fact('what')}, which is assembled though not mounted ({h.fact('chain')})."
        f"{_array(h)}"
    ),
    "network-mount": lambda h: (
        f"{h.fact('what')} {'may come' if h.fact('perhaps') else 'comes'} from a server through {h.device} "
        f"({h.fact('chain')})"
        + ("; which network device leads to the server is not known" if h.fact("perhaps") else "")
        + ("." if h.severity is Severity.DANGER else "; another way to it remains.")
    ),
    "fstab-entry": lambda h: (
        f"/etc/fstab names a file system on {h.device} for {h.fact('what')} ({h.fact('chain')}); it is not mounted now."
    ),
    "disk-leaves": lambda h: (
        f"The disk {h.fact('disks')} goes with {h.device}"
        + (f"; it holds {h.fact('content')}." if h.fact("content") else ".")
        + " Nothing on it is mounted."
    ),
    "ssh-session": lambda h: _network(h, "The SSH session that you are in"),
    "default-route": lambda h: _network(h, "The default route"),
    "network-address": lambda h: _network(h, "An address of this machine"),
    "network-member": lambda h: _network(h, "A bond, bridge or VLAN"),
    "last-keyboard": lambda h: f"{h.fact('names')} is on {h.device}, and no other keyboard remains.",
    "last-pointer": lambda h: f"{h.fact('names')} is on {h.device}, and no other mouse or touchpad remains.",
    "input-leaves": lambda h: f"{h.fact('names')} goes with {h.device}{_remains(h)}",
    "audio-playing": lambda h: (
        f"Sound is being played or recorded on {h.device} ({h.fact('streams')}"
        + (f"; held open by {h.fact('who')})." if h.fact("who") else ").")
    ),
    "audio-open": lambda h: f"The sound card {h.device} is held open by {h.fact('who')}.",
    "used-by-vm": lambda h: f"{h.device} is in use by {h.fact('owner') or 'a process that is not visible'}.",
    "unbind-hangs": lambda h: (
        f"{h.fact('driver')} waits in the kernel forever when {h.device} is unbound while somebody has it open, "
        f"and it is held open by {h.fact('who')}."
    ),
    "thunderbolt-devices": lambda h: f"Plugged into {h.device}: {h.fact('names')}.",
    "card-split": lambda h: (
        f"{h.device} ({h.fact('driver')}) is a function of the same card as {h.fact('moved')} and stays with the host"
        + (f", in group {h.fact('group')}." if h.fact("group") else ".")
    ),
    "virtual-functions": lambda h: (
        f"{h.device} has virtual functions ({h.fact('count')}"
        + (f"; in use: {h.fact('used')}" if h.fact("used") else "")
        + "), which many drivers take away when they are unbound; a revert does not make them again."
    ),
    "matched-by-id": lambda h: (
        f"{h.fact('twins')} has the same id as {h.device} ({h.fact('ids')}), and {h.fact('where')} "
        f"gives every device of that id to {h.fact('driver')}."
    ),
    "ids-take-back": lambda h: (
        f"{h.fact('where')[:1].upper()}{h.fact('where')[1:]} gives every device with the ids {h.fact('ids')} to "
        f"{h.fact('driver')}, so that {h.device} goes back there when the kernel chooses"
        + (f"; its host driver is {h.fact('own')}." if h.fact("own") else ".")
    ),
    "mediated-devices": lambda h: (
        f"{h.device} has {h.fact('count')} mediated device{'' if h.fact('count') == '1' else 's'}"
        + (f" (group {h.fact('groups')})" if h.fact("groups") else "")
        + (f", in use by {h.fact('owner')}" if h.fact("owner") else "")
        + ", which go away with its driver."
    ),
    "no-isolation": lambda h: (
        f"No IOMMU translates {h.device} (no-IOMMU mode): nothing keeps its DMA from any memory of this machine."
    ),
    "reset-broken": lambda h: (
        f"{h.device} is a {h.fact('family')} chip of AMD, which is known not to come back from a reset: "
        "a virtual machine can use it once, and again only after a power cycle."
    ),
    "no-reset": lambda h: (
        f"The kernel knows no way to reset {h.device}; it may not work again until the machine is power-cycled."
    ),
    "reset-reaches-others": lambda h: (
        f"{h.device} can only be reset together with {h.fact('others')}"
        + (f" (group {h.fact('groups')})" if h.fact("groups") else "")
        + ", which stays with the host."
    ),
    "sleeps-in-d3cold": lambda h: f"{h.device} is powered down (D3cold), so not everything of it could be read.",
    "not-responding": lambda h: (
        f"The configuration space of {h.device} reads as all ones: it sleeps in D3cold or has fallen off the bus."
    ),
    "direct-region": lambda h: (
        f"Firmware uses the memory {h.fact('region')} through {h.device} itself (a direct mapping of group "
        f"{h.fact('group')})."
    ),
    "acs-override": lambda h: (
        f"{h.fact('parameter')} splits groups in name only: devices near {h.device} may still reach its memory, "
        "and the virtual machine theirs."
    ),
}

_UNKNOWN = {
    "boot-display": "whether {device} is the display that this machine booted on",
    "monitor": "whether a monitor is plugged into {device}",
    "gpu-in-use": "who has {device} open",
    "disk-mounted": "what is mounted from the disks of {device}",
    "zfs-member": "whether a disk of {device} is a part of a ZFS pool that is imported",
    "fstab-entry": "whether /etc/fstab names a disk of {device}",
    "default-route": "which network traffic goes through {device}",
    "input-leaves": "which keyboards and mice are on {device}",
    "audio-playing": "whether {device} plays sound",
    "unbind-hangs": "who has {device} open, and its driver waits forever while somebody has",
}


def hazard_loss(hazard: Hazard) -> str:
    """What the host loses or risks; or what is not known of it, and why."""
    if hazard.unknown:
        what = _UNKNOWN[hazard.code].format(device=hazard.device)
        return f"It is not known {what} ({gap_words(hazard.unknown)})."
    return _SENTENCES[hazard.code](hazard)


def hazard_advice(hazard: Hazard) -> str:
    """What to do instead, or first."""
    if hazard.unknown in ("EACCES", "EPERM"):
        return "Run 'sudo iommutui preview' to be sure."
    if hazard.unknown and not hazard.refused:
        return "Check this before you apply."
    kind = KINDS[hazard.code]
    if hazard.fact("way"):
        return hazard.fact("way")
    return (hazard.fact("without") and kind.alone) or kind.advice


def refusal_sentence(reason: Reason) -> str:
    """The hazard that nobody can accept, of a reason that `refusals_of` made."""
    kind = KINDS.get(reason.fact("hazard"))
    if kind is None:
        return f"The running system needs {reason.device or 'the device'}."
    device = Address(reason.device or "")
    return hazard_sentence(
        Hazard(kind.code, kind.topic, Severity.DANGER, device, reason.facts, reason.fact("unknown"), True)
    )


def hazard_sentence(hazard: Hazard) -> str:
    """What the host loses, and what to do about it."""
    return f"{hazard_loss(hazard)} {hazard_advice(hazard)}"


def dangers_words(hazards: Iterable[Hazard]) -> str:
    """Every danger with its evidence; where one of them is refused, those that are."""
    every = list(hazards)
    refused = [hazard for hazard in every if hazard.refused]
    said = " ".join(hazard_sentence(hazard) for hazard in refused or every)
    if refused:
        return f"Refused, whatever is accepted: {said}"
    return f"{'1 danger has' if len(every) == 1 else f'{len(every)} dangers have'} not been accepted. {said}"


def accept_words(hazards: Iterable[Hazard]) -> str:
    """What to do about dangers that nobody has accepted: the options that accept them, unless one is refused."""
    every = list(hazards)
    if any(hazard.refused for hazard in every):
        return "Do that first, or leave the device to the host."
    options = " ".join(f"--accept {hazard.acceptance}" for hazard in every)
    return f"To accept {'it' if len(every) == 1 else 'them'}: {options}"
