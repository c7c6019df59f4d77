"""The console of a machine without a desktop (``TERM=linux``): sixteen colours, and a font of few signs."""

from textual.drivers.linux_driver import LinuxDriver
from textual.theme import Theme

SIGNS = str.maketrans({
    "✔": "+", "✖": "x", "●": "o", "▸": ">", "▾": "v", "‼": "!", "…": "~", "»": ">", "—": "-", "·": "-", "•": "-",
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
    """Writes no sign that the console's font lacks."""

    def write(self, data: str) -> None:
        """What goes to the terminal."""
        super().write(data.translate(SIGNS))
