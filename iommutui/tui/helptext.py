"""The help: keys from the registry, and the signs and words of the screen. Pure."""

from iommutui.core.models import MODELS
from iommutui.core.query import KEYS
from iommutui.tui.commands.base import Pane
from iommutui.tui.registry import REVIEW, key_names, topics
from iommutui.tui.spans import BLANK, Line, Span, line

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
