"""The looks of the screen: the program's own theme, readable colours, and the bare Linux console.

The console (``TERM=linux``) has sixteen colours, and few glyphs in its font.
"""

from functools import lru_cache

from textual.color import Color
from textual.drivers.linux_driver import LinuxDriver
from textual.theme import Theme

IOMMUTUI = Theme(
    name="iommutui",
    primary="#5fa8e8",
    secondary="#b794f6",
    accent="#e8a35c",
    success="#7ccf8f",
    warning="#e5c35e",
    error="#f0777b",
    foreground="#d5dae3",
    background="#12161c",
    surface="#171c24",
    panel="#202733",
    dark=True,
    variables={
        "block-cursor-background": "#2b3a4f",
        "block-cursor-foreground": "#f2f5f9",
        "cursor-row": "#273447",
        "border": "#3a4658",
        "border-blurred": "#2a3341",
        "input-selection-background": "#5fa8e8 35%",
        "text-muted": "#929eb1",
        "scrollbar": "#2f3a4a",
        "scrollbar-hover": "#42516a",
        "scrollbar-active": "#5fa8e8",
        "scrollbar-background": "#171c24",
        "scrollbar-background-hover": "#171c24",
        "scrollbar-background-active": "#171c24",
    },
)


CONSOLE_SIGNS = str.maketrans({
    "✔": "+", "✖": "x", "●": "o", "▸": ">", "▾": "v", "‼": "!", "…": "~", "»": ">", "—": "-", "·": "-", "•": "-",
    "🔎": "> ", "╸": "─",
    "↳": "└", "╶": "─", "╺": "─", "╴": "─", "┏": "┌", "┓": "┐", "┗": "└", "┛": "┘", "━": "─", "┃": "│", "╭": "┌",
    "╮": "┐", "╰": "└", "╯": "┘", "▁": "▄", "▂": "▄", "▃": "▄", "▅": "█", "▆": "█", "▇": "█", "▔": "▀", "▎": "▌",
    "▊": "▌",
})  # fmt: skip
"""Signs that fonts of the console lack, each as one that every font has and that is as wide."""

CONSOLE = Theme(
    name="iommutui-console",
    primary="#55ffff",
    secondary="#ff55ff",
    accent="#ffff55",
    success="#55ff55",
    warning="#ffff55",
    error="#ff5555",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#0000aa",
    dark=True,
    variables={
        "block-cursor-background": "#0000aa",
        "block-cursor-blurred-background": "#0000aa",
        "block-cursor-foreground": "#ffffff",
        "cursor-row": "#0000aa",
        "border": "#aaaaaa",
        "border-blurred": "#aaaaaa",
        "text-muted": "#aaaaaa",
        "text-primary": "#55ffff",
        "text-secondary": "#ff55ff",
        "text-accent": "#ffff55",
        "text-success": "#55ff55",
        "text-warning": "#ffff55",
        "text-error": "#ff5555",
        "scrollbar": "#aaaaaa",
        "scrollbar-background": "#000000",
    },
)
"""Colours that the console has, so that none of them is rounded to grey."""


class ConsoleDriver(LinuxDriver):
    """A console driver that writes no glyph that the console's font lacks."""

    def write(self, data: str) -> None:
        """Writes to the terminal."""
        super().write(data.translate(CONSOLE_SIGNS))


LEAST = 4.5
STEPS = 20

BEHIND = ("background", "surface", "panel", "cursor-row")
"""The variables of a theme that words are written on."""

WORDS = (
    "foreground", "text-primary", "text-secondary", "text-accent", "text-success", "text-warning", "text-error",
    "text-muted",
)  # fmt: skip
"""Those that words are written in."""


def legible(variables: dict[str, str], *, dark: bool) -> dict[str, str]:
    """A theme's variables with text colours that can be read on every background, and one for the cursor.

    The contrast is WCAG's 4.5. Muted text is ``auto`` in most themes, which rows cannot be drawn in.
    Themes that use the terminal's own colours stay as they are.
    """
    found = dict(variables)
    if found["text-muted"].startswith("auto"):
        background = Color.parse(found["background"])
        found["text-muted"] = Color.parse(found["foreground"]).blend(background, 0.2).hex
        found.setdefault("cursor-row", Color.parse(found["primary"]).blend(background, 0.82).hex)
        behind = tuple(found[name] for name in BEHIND)
        found.update({name: _readable(found[name], behind) for name in WORDS})
    found.setdefault("cursor-row", "ansi_bright_black" if dark else "ansi_white")
    return found


def _light(colour: Color) -> float:
    """Relative luminance, 0 to 1 (WCAG 2.2)."""
    red, green, blue = (
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in colour.normalized
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@lru_cache(256)
def _readable(colour: str, behind: tuple[str, ...]) -> str:
    """The colour, moved towards white or black until it can be read on all of these."""
    grounds = [_light(Color.parse(each)) for each in behind]
    dark = sum(grounds) / len(grounds) < 0.18
    end = Color.parse("white" if dark else "black")
    for step in range(STEPS + 1):
        found = Color.parse(colour).blend(end, step / STEPS)
        own = _light(found)
        if all((max(own, ground) + 0.05) / (min(own, ground) + 0.05) >= LEAST for ground in grounds):
            break
    return found.hex
