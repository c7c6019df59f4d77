"""The help: every key, sign and term; and the orientation of a first start. Pure."""

from collections.abc import Mapping, Sequence

from iommutui.core.labels import device_name, verdict_word
from iommutui.core.models import MODELS
from iommutui.core.query import KEYS
from iommutui.tui.derived import preview, selected_device, selected_group, verdicts
from iommutui.tui.keys import key_of
from iommutui.tui.state import AppState, Pane, Phase
from iommutui.tui.text import BLANK, Line, Span, heading, key_hint, line

_FIRST = {Pane.LIST: "Stage", Pane.DETAILS: "Look", Pane.PLAN: "Apply", Pane.FILTER: "View"}

_REVIEW = (
    ("y", "Apply what the review shows. Enter alone never does: the focus is on Cancel."),
    ("Esc n q", "Close the review; nothing is written."),
    ("t", "Set the timer, or turn it off: when it ends, everything reverts unless you confirm."),
    ("Y", "Copy the writes, as lines for a root shell."),
)
_SIGNS = (
    ("ok", "✔ viable", "a virtual machine can use the group"),
    ("bad", "✖ blocked", "a device of the group is bound to a host driver; ✖ also marks that device"),
    ("info", "● in use", "a program holds the group through VFIO already"),
    ("muted", "·", "nothing to pass through: bridges and chipset functions"),
    ("warn", "! refused", "viable, but the kernel refuses to hand it over"),
    ("warn", "? unknown", "some facts that decide it could not be read"),
    ("planned", "→ driver", "staged: what the device would be bound to"),
    ("planned", "#", "selected, together with others"),
    ("accent", "*", "marked as one of your own devices"),
    ("warn", "[swap]", "what this machine uses the device for"),
    ("warn", "!  ‼", "a warning, a danger: something is lost"),
)
_WORDS = (
    ("group", "devices that the IOMMU cannot isolate from each other: a virtual machine gets all or none"),
    ("role", "host: the driver does DMA for this machine · vfio: for a virtual machine · neutral: none"),
    ("viable", "no device of the group is bound to a host driver, bridges excepted"),
    ("staged", "in the plan; nothing is written before you apply it"),
    ("impact", "what this machine loses once the devices are unbound"),
    ("override", "the only driver that may bind to a device (driver_override), until the next boot"),
)


def help_lines(topics: Mapping[str, Sequence[tuple[str, str]]], pane: Pane) -> list[Line]:
    """Keys of the pane with the focus first, then the others, then signs and words; ``topics``: keys and sentences."""
    lines = [
        line("Stage a target for each device, check the effect, review the writes, apply. "
             f"Nothing is written before you confirm the review, and {key_of('revert')} reverts it."),
        BLANK,
    ]  # fmt: skip
    for topic in sorted(topics, key=lambda name: name != _FIRST[pane]):
        lines += [heading(topic), *_keys(topics[topic]), BLANK]
    lines += [heading("In a review"), *_keys(_REVIEW), BLANK, heading("Signs")]
    lines += [line(Span(f"  {sign:<10} ", style), words, hang=13) for style, sign, words in _SIGNS]
    lines += [BLANK, heading("Words")]
    lines += [line(Span(f"  {word:<10} ", "strong"), words, hang=13) for word, words in _WORDS]
    lines += [BLANK, heading("Filter")]
    lines.append(line(f"  All terms must match: words, or {':…, '.join(KEYS)}:…; | or , between alternatives, as in "
                      "driver:nvidia,amdgpu; ! before a term excludes.", hang=2))  # fmt: skip
    lines += [BLANK, heading("Kernel rules")]
    for model in MODELS.values():
        lines.append(line(Span(f"  {model.name:<17} ", "strong"), f"{model.title}. Kernels: {model.kernels}.", hang=20))
    return lines


def _keys(entries: Sequence[tuple[str, str]]) -> list[Line]:
    return [line(Span(f"  {keys:<9} ", "key"), words, hang=12) for keys, words in entries]


def orientation(state: AppState) -> tuple[Line, ...]:
    """For first-time users: where to look, and what to press next; nothing once it is over."""
    if not state.hints or state.phase is not Phase.READY or not state.host.groups:
        return ()
    skip = (Span("  "), *key_hint(key_of("back"), "skips this"))
    if state.applies:
        hints = (*key_hint(key_of("revert"), "reverts it, "), *key_hint(key_of("help"), "lists every key.  "))
        return (line(Span("Done. ", "strong"), *hints, *key_hint(key_of("back"), "closes this"), hang=2),)
    if state.applied and not state.intents:
        return ()
    if state.intents:
        undo = key_hint(key_of("undo"), "undoes this.")
        plan = preview(state)
        if plan is not None and not plan.permitted:
            why = key_hint(key_of("plan"), "shows why, ")
            return (line(Span("Staged, but refused. ", "strong"), *why, *undo, *skip, hang=2),)
        words = f"An arrow shows what would change; {key_of('plan')} opens the plan. "
        writes = key_hint(key_of("apply"), "shows the exact writes, ")
        return (line(Span("Staged, not written. ", "strong"), words, *writes, *undo, *skip, hang=2),)
    device, group = selected_device(state), selected_group(state)
    if device is None or group is None:
        words = "A virtual machine gets a whole group or none of it. Move to a card with the arrow keys."
        return (line(Span("Welcome. ", "strong"), words, *skip, hang=2),)
    word = verdict_word(verdicts(state.host, state.model).of(group.id))
    which = f"which is {word}" if word != "unknown" else "and it is not known whether that is viable"
    words = f"{device.device_name or device_name(device)} is in group {group.id}, {which}. "
    reason = key_hint(key_of("details"), "shows why. ")
    free = key_hint(key_of("free"), "stages what frees it; nothing is written yet.") if word == "blocked" else ()
    return (line(Span("Welcome. ", "strong"), words, *reason, *free, *skip, hang=2),)
