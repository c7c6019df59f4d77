"""The help: keys from the registry, and the signs and words of the screen. Pure."""

from iommutui.core.models import MODELS
from iommutui.core.query import KEYS
from iommutui.tui.commands.base import Pane
from iommutui.tui.registry import REVIEW, key_names, topics
from iommutui.tui.text.spans import BLANK, Line, Span, line
from iommutui.core.labels import device_name, verdict_word
from iommutui.tui.text.blocks import key_hint
from iommutui.tui.derived import selected_device, selected_group, verdicts
from iommutui.tui.registry import key_of
from iommutui.tui.text.spans import Line, Span, line
from iommutui.tui.state import AppState, Phase


_FIRST = {Pane.LIST: "Stage", Pane.DETAILS: "Look", Pane.PLAN: "Apply", Pane.FILTER: "View"}

_SIGNS = (
    ("ok", "✔ viable", "a virtual machine can have the group"),
    ("bad", "✖ blocked", "a driver does DMA for the kernel in it; ✖ also marks the device"),
    ("info", "● in use", "user space has it already"),
    ("warn", "! refused", "viable, but the kernel refuses to hand it over"),
    ("warn", "? unknown", "not everything that decides it could be read"),
)


def help_lines(pane: Pane) -> list[Line]:
    """Keys of the pane with the focus first, then the others, then the signs."""
    found = topics()
    first = _FIRST[pane]
    lines: list[Line] = [
        line("Stage what each device should be bound to, look at what that changes, review the writes, apply. "
             "Nothing is written before the review is confirmed, and R takes it back."),
        BLANK,
    ]  # fmt: skip
    for topic in sorted(found, key=lambda name: name != first):
        lines.append(line(Span(topic, "accent")))
        lines += [line(Span(f"  {key_names(c):<9} ", "key"), c.help, hang=12) for c in found[topic]]
        lines.append(BLANK)
    lines.append(line(Span("In a review", "accent")))
    lines += [line(Span(f"  {key_names(c):<9} ", "key"), c.help, hang=12) for c in REVIEW]
    lines += [BLANK, line(Span("Signs", "accent"))]
    lines += [line(Span(f"  {sign:<10} ", style), words, hang=13) for style, sign, words in _SIGNS]
    lines += [BLANK, line(Span("Filter", "accent"))]
    lines.append(line(f"  Plain words, !word to leave out, and key:value with the keys {', '.join(KEYS)}.", hang=2))
    lines += [BLANK, line(Span("Models", "accent"))]
    for model in MODELS.values():
        lines.append(line(Span(f"  {model.name:<17} ", "strong"), f"{model.title}. Kernels: {model.kernels}.", hang=20))
    return lines


def hint(state: AppState) -> tuple[Line, ...]:
    """What to look at, and what to press next; nothing once the orientation is over."""
    if not state.hints or state.host is None or state.phase is not Phase.READY or not state.host.groups:
        return ()
    skip = (Span("  "), *key_hint(key_of("back"), "skips this"))
    if state.applies:
        return (
            line(Span("Done. ", "strong"), *key_hint(key_of("revert"), "takes it back, "),
                 *key_hint(key_of("help"), "lists every key.  "), *key_hint(key_of("back"), "closes this"), hang=2),
        )  # fmt: skip
    if state.applied and not state.intents:
        return ()
    if state.intents:
        return (
            line(Span("Staged, not written. ", "strong"),
                 "An arrow stands beside all that would change, and 3 has the plan. ",
                 *key_hint(key_of("apply"), "shows the exact writes and asks, "),
                 *key_hint(key_of("undo"), "takes the staging back."), *skip, hang=2),
        )  # fmt: skip
    device, group = selected_device(state), selected_group(state)
    if device is None or group is None:
        words = "A group goes to a virtual machine as a whole, or not at all. Move to a card with the arrow keys."
        return (line(Span("Welcome. ", "strong"), words, *skip, hang=2),)
    word = verdict_word(verdicts(state.host, state.model).of(group.id))
    next_step = key_hint(key_of("free"), "stages all that frees it; nothing is written yet.")
    if word == "viable":
        next_step = key_hint(key_of("help"), "lists every key.")
    return (
        line(Span("Welcome. ", "strong"), f"{device.device_name or device_name(device)} is in group {group.id}, "
             f"which is {word}: 2 says why. ", *next_step, *skip, hang=2),
    )  # fmt: skip
