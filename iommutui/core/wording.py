"""Reasons and verdicts as sentences: the one place where they are made. Plain text, no markup.

Those of hazards are in `iommutui.core.hazards`.
"""

from collections.abc import Callable, Iterable

from iommutui.core.device import NOT_LISTED, gap_words
from iommutui.core.drivers import VFIO_PCI
from iommutui.core.hazards import filled, refusal_sentence
from iommutui.core.host import Group, Host
from iommutui.core.labels import NO_ISOLATION, NOTHING_TO_PASS, group_word
from iommutui.core.plan.drift import Change
from iommutui.core.plan.intents import Goal, Target, TargetKind
from iommutui.core.reasons import Code, Reason, State, Verdict

_LSPCI = "lspci -v (pciutils 3.7 or later)"
"""The command that shows groups."""


def _subject(reason: Reason) -> str:
    return reason.device or (f"group {reason.group}" if reason.group is not None else "the device")


# fmt: off
_SENTENCES: dict[Code, str | Callable[[Reason], str]] = {
    Code.KERNEL_DRIVER: "{device} is bound to the host driver {driver}. Every device in the group must leave its host "
        "driver before a virtual machine can use any of them.",
    Code.UNKNOWN_DRIVER: lambda r: (
        f"Whether {r.device} has a driver is unknown ({_why(r, 'lspci -nnk')}). "
        "Until it is known, the verdict on its group is uncertain."
    ),
    Code.ASSUMED_ROLE: "{driver} on {device} is assumed to be a VFIO driver because of its name; only a vfio-dev "
        "directory would confirm it.",
    Code.OWNED: lambda r: f"Group {r.group} is in use by {r.fact('owner') or 'another process'}.",
    Code.FOREIGN_DOMAIN: "A kernel driver has attached an IOMMU domain of its own to group {group} (as vhost-vdpa "
        "does).",
    Code.DIRECT_REGION: "Firmware requires a direct mapping of {region} for group {group}; the kernel refuses to hand "
        "over such a group, whatever its devices are bound to.",
    Code.NO_DEFAULT_DOMAIN: "Group {group} has no default domain yet, so the kernel defers the probe of {driver} on "
        "{device}.",
    Code.NO_GROUP: "{subject} has no IOMMU group, so VFIO cannot use it: no IOMMU covers it, or the IOMMU is off.",
    Code.UNKNOWN_GROUP: lambda r: f"It is not known which IOMMU group {_subject(r)} is in, if any ({_why(r, _LSPCI)}).",
    Code.UNKNOWN_MEMBERS: lambda r: (
        f"It is not known what else is in group {r.group} ({_why(r, _LSPCI)}), so its verdict is uncertain."
    ),
    Code.NO_NODE: "/dev/vfio/{group} does not exist: it is there only while a device of the group is on a VFIO driver.",
    Code.NOT_VFIO: lambda r: (
        f"{r.device} is {'on ' + r.driver if r.driver else 'free'}, not on a VFIO driver: there is nothing to open."
    ),
    Code.NOT_OWNER: lambda r: (
        f"{r.fact('asked') or 'The caller'} does not own {_subject(r)}"
        + (f"; {r.fact('owner')} does." if r.fact("owner") else ".")
    ),
    Code.NO_INTERFACE: "This kernel does not offer that way of claiming a device yet.",
    Code.GROUP_FILE_OPEN: lambda r: (
        f"{r.fact('owner') or 'Another process'} has the file of group {r.group} open; "
        "meanwhile no device of the group can be claimed through its own file."
    ),
    Code.VIRTUAL_FUNCTION: "{device} is a virtual function and cannot be removed by itself; write a smaller number to "
        "sriov_numvfs of its physical function.",
    Code.NO_DEVICE: "There is no device {device}.",
    Code.NO_DRIVER: lambda r: (
        f"No driver named {r.driver} is registered, so {r.device} is left unchanged."
        if r.driver
        else f"No registered driver matches {r.device}, so it stays unbound."
    ),
    Code.NOT_BOUND: "{device} has no driver to unbind.",
    Code.ALREADY_BOUND: "{device} is already bound to {driver}.",
    Code.OVERRIDE_DIFFERS: "The override of {device} names {override}, so {driver} does not match it.",
    Code.OVERRIDE_TOO_LONG: "The override for {device} is longer than the 4093 bytes that the kernel accepts.",
    Code.NO_MATCH: "{driver} does not list the ids of {device}, and no override names it.",
    Code.UNFIT_DRIVER: "{driver} does not support {device}. An override would force it to probe the device anyway, and "
        "drivers have crashed the kernel that way.",
    Code.BRIDGE: lambda r: (
        f"{r.device} is a bridge, and {r.driver or 'vfio-pci'} refuses bridges. "
        "It can stay on pcieport: a bridge there does not block its group."
    ),
    Code.NOT_A_PORT: "{device} is not a PCI Express port, so {driver} does not bind to it.",
    Code.REFUSED_BEFORE: "{driver} supports {device} and is loaded, but did not bind to it; its probe probably refused "
        "the device.",
    Code.NO_HOTPLUG_CONTROLLER: "{driver} binds to {device} only if it has a hot-plug controller of its own, which few "
        "bridges have.",
    Code.DENYLISTED: "{driver} refuses {device}: {ids} is on its list of devices that user space could misuse. The "
        "module parameter disable_denylist turns the list off.",
    Code.VFS_ENABLED: "{device} has virtual functions enabled, and {driver} refuses it while they exist.",
    Code.IN_USE: lambda r: (
        f"{r.device} is in use by {r.fact('owner') or 'a process that has it open'}; "
        "unbinding it would hang until it is released."
    ),
    Code.BEING_UNBOUND: "{device} is being unbound: its driver has not released it yet, and a write to it now waits or "
        "does nothing.",
    Code.IOMMU_FUNCTION: "{device} is an IOMMU itself; the kernel lets no driver bind to it.",
    Code.NO_INTERRUPT_REMAPPING: "The IOMMU does not remap interrupts, so the kernel refuses to hand over group "
        "{group} (unless {module} is given allow_unsafe_interrupts=1, which lets a virtual machine raise any interrupt "
        "of the host); intremap=off on the kernel command line turns remapping off.",
    Code.NO_IOMMU: "Group {group} is in VFIO's no-IOMMU mode: nothing isolates its device. No virtual machine can use "
        "it; only programs such as DPDK open /dev/vfio/noiommu-{group}.",
    Code.NOT_PCI: lambda r: f"{r.device} is on the {r.fact('bus') or 'wrong'} bus; iommutui rebinds only PCI devices.",
    Code.KERNEL_BESIDE_USER: "{probing} would do DMA for the kernel on {target}, while {device} in the same group is "
        "bound to {driver}, which does it for user space.",
    Code.USER_BESIDE_KERNEL: "{probing} would do DMA for user space on {target}, while {device} in the same group is "
        "bound to {driver}, which does it for the kernel.",
    Code.DRAFT_GAP_H1: "Gap H1 of the draft: group {group} is claimed, but no USER driver is bound in it, so nothing "
        "stops {driver} on {device}. A refusal was clearly meant.",
    Code.DRAFT_GAP_BRIDGE: "Open point of the draft: {device} is a bridge on {driver}, which the draft does not mark, "
        "so it counts as doing DMA for the kernel. No kernel that was released has this rule.",
    Code.DRAFT_SLIP_S08: "Slip S-08 of the draft: taken literally, its check returns the opposite and would allow this "
        "in group {group}; the result shown is the intended one.",
    Code.UNANSWERED: "{device} does not answer: the kernel is still unbinding or probing it, which often means that a "
        "process has it open.",
    Code.LEFT_ELSEWHERE: lambda r: (
        f"{r.device} would end {'on ' + r.driver if r.driver else 'without a driver'}"
        + (f" instead of on {r.fact('wanted')}." if r.fact("wanted") else ", although it should be free.")
    ),
    Code.HOST_NEEDS: refusal_sentence,
    Code.OF_THE_BOARD: lambda r: (
        f"{r.device} is {r.fact('what') or 'a part'} of this machine, and no virtual machine can use it. "
        f"If its driver has to be unbound, name it yourself: {r.device}=none."
    ),
    Code.BEHIND_VMD: lambda r: (
        f"{r.device} is behind a VMD controller ({r.fact('controller') or 'not known'}) and cannot be handed over "
        f"without it: hand over the controller with everything behind it, or turn VMD off in the firmware setup."
    ),
    Code.NO_MODULE: "This kernel has no {driver} for {device}: it is neither built in nor among the kernel's modules. "
        "Install the package of the kernel's extra modules, or a kernel that is built with it.",
}
"""A template of reason and facts; or a function, where the sentence depends on what is there."""
# fmt: on


def _why(reason: Reason, command: str) -> str:
    why = reason.fact("why")
    return f"the listing does not show it; {command} does" if why == NOT_LISTED else gap_words(why)


def sentence(reason: Reason) -> str:
    """One sentence that names device, driver and rule."""
    says = _SENTENCES[reason.code]
    if not isinstance(says, str):
        return says(reason)
    names = {"device": str(reason.device), "driver": str(reason.driver), "group": str(reason.group)}
    return filled(says, {**names, "subject": _subject(reason), **dict(reason.facts)})


_STATES = {
    State.IDLE: "not in use",
    State.KERNEL: "owned by the host kernel",
    State.USER: "in use by a virtual machine or another user-space driver",
    State.FOREIGN: "attached to an IOMMU domain of a kernel driver",
    State.UNKNOWN: "unknown",
}


def state_words(state: State) -> str:
    """Who has the group's DMA, in words."""
    return _STATES[state]


def verdict_sentence(host: Host, group: Group, verdict: Verdict) -> str:
    """The verdict on a group as a sentence."""
    word = group_word(host, group, verdict)
    if word == NO_ISOLATION:
        return sentence(Reason(Code.NO_IOMMU, group.id))
    if word == NOTHING_TO_PASS:
        return f"Group {group.id} holds nothing to pass through: what is in it serves this machine itself."
    silent = [d.address for d in host.members(group) if d.details is not None and d.details.config_answers is False]
    if word == "viable" and silent:
        what = "they sleep (D3cold) or have" if len(silent) > 1 else "it sleeps (D3cold) or has"
        verb = "do" if len(silent) > 1 else "does"
        return f"Group {group.id} is viable, but {', '.join(silent)} {verb} not answer: {what} fallen off the bus."
    if word == "viable":
        return f"Group {group.id} is viable: a virtual machine can use it."
    if word == "in use":
        return f"Group {group.id} is in use."
    if word == "refused":
        return f"Group {group.id} is viable, but claiming it fails with {verdict.claim}."
    if word == "unknown":
        return f"Whether group {group.id} is viable is unknown."
    return f"Group {group.id} is not viable."


def goal_words(goal: Goal) -> str:
    """Where the device is to go: ``vfio-pci``, ``free``, ``the kernel's choice (nvidia)``."""
    if goal.any_driver:
        return "the kernel's choice" + (f" ({goal.driver})" if goal.driver else "")
    return goal.driver if goal.driver is not None else "free"


def purpose(target: Target) -> str:
    """What a target is for."""
    return {
        TargetKind.NONE: "keep it free: no driver",
        TargetKind.DEFAULT: "clear the override and let the kernel choose",
        TargetKind.STUB: "park it: a driver that does nothing",
        TargetKind.KERNEL: "let this machine use it",
        TargetKind.VFIO: "hand it to a virtual machine"
        + ("" if target.name == VFIO_PCI else ", with a driver made for it"),
    }[target.kind]


def change_words(change: Change) -> str:
    """``0000:01:00.0: driver was nvidia and is vfio-pci``."""
    return f"{change.subject}: {change.fact} was {change.before} and is {change.now}"


def changes_words(changes: Iterable[Change]) -> str:
    """Every change, in one line."""
    return "; ".join(map(change_words, changes))
