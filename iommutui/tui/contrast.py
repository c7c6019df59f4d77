"""Colours of words that can be read, whatever the theme: WCAG's contrast of 4.5 against everything behind them."""

from functools import lru_cache

from textual.color import Color

LEAST = 4.5
STEPS = 20

BEHIND = ("background", "surface", "panel", "cursor-row")
"""The variables of a theme that words are written on."""

WORDS = (
    "foreground", "text-primary", "text-secondary", "text-accent", "text-success", "text-warning", "text-error",
    "text-muted",
)  # fmt: skip
"""Those that words are written in."""


def light(colour: Color) -> float:
    """Relative luminance, 0 to 1 (WCAG 2.2)."""
    red, green, blue = (
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in colour.normalized
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@lru_cache(256)
def readable(colour: str, behind: tuple[str, ...]) -> str:
    """The colour, as much nearer to white or black as it takes to be read on all of these."""
    grounds = [light(Color.parse(each)) for each in behind]
    dark = sum(grounds) / len(grounds) < 0.18
    end = Color.parse("white" if dark else "black")
    for step in range(STEPS + 1):
        found = Color.parse(colour).blend(end, step / STEPS)
        own = light(found)
        if all((max(own, ground) + 0.05) / (min(own, ground) + 0.05) >= LEAST for ground in grounds):
            break
    return found.hex
