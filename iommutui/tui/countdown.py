"""The countdown in large figures, and what is said beside it. Pure."""

from iommutui.tui.spans import BLANK, Line, Span, line

_FIGURES = {
    "0": ("███", "█ █", "█ █", "█ █", "███"), "1": (" █ ", "██ ", " █ ", " █ ", "███"),
    "2": ("███", "  █", "███", "█  ", "███"), "3": ("███", "  █", "███", "  █", "███"),
    "4": ("█ █", "█ █", "███", "  █", "  █"), "5": ("███", "█  ", "███", "  █", "███"),
    "6": ("███", "█  ", "███", "█ █", "███"), "7": ("███", "  █", "  █", "  █", "  █"),
    "8": ("███", "█ █", "███", "█ █", "███"), "9": ("███", "█ █", "███", "  █", "███"),
}  # fmt: skip


def large(number: int) -> list[str]:
    """The number in figures of five rows."""
    return ["  ".join(_FIGURES[figure][row] for figure in str(max(number, 0))) for row in range(5)]


def countdown_lines(seconds: float, within: float, *, real: bool, low: bool = False) -> list[Line]:
    """What stands on the screen with so much left; on a ``low`` one without what only gives it air."""
    left = int(seconds + 0.999)
    full = 40
    filled = round(full * min(max(seconds / within, 0.0), 1.0)) if within > 0 else 0
    gap = () if low else (BLANK,)
    lines = [
        line(Span("Everything is carried out and in effect.", "strong")),
        line("Is the machine as it should be: the picture, the network, the keyboard?"),
        *gap,
    ]
    lines += [line(Span(f"    {row}", "accent"), cut=True) for row in large(left)]
    lines += [
        *gap,
        line(Span("█" * filled, "accent"), Span("░" * (full - filled), "muted"), cut=True),
        line(f"In {left} second{'' if left == 1 else 's'} all of it is taken back by itself."),
        *gap,
        *(() if low else (line(Span("y", "key"), "  keep it as it is"), line(Span("u", "key"), "  take it back now"))),
        *gap,
        line(Span("Whoever cannot read this has nothing to do: it comes back. From any other terminal "
                  "'iommutui keep' keeps it." if real else "Nothing is real here: this is what it would look like.",
                  "muted")),
    ]  # fmt: skip
    return lines
