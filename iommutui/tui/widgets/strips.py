"""Spans as strips of a widget that draws by lines."""

from collections.abc import Iterable

from rich.segment import Segment
from rich.style import Style
from textual import style as visual
from textual.color import Color
from textual.strip import Strip
from textual.widget import Widget

from iommutui.tui.spans import Span
from iommutui.tui.text import COLOURS

BASE = ""
"""The key of the widget's own style among its styles."""


def styles_of(widget: Widget) -> dict[str, Style]:
    """What every meaning looks like in this widget now. It takes long enough to be worth keeping.

    Component classes would say it too, but Textual works out each of them for each widget whenever it looks at styles.
    """
    _, background = widget.background_colors
    found = {name: _style(visual.Style.parse(text or "$foreground"), background) for name, text in COLOURS.items()}
    return found | {BASE: widget.rich_style}


def _style(style: visual.Style, background: Color) -> Style:
    """Without a background of its own, because a cursor may be behind it."""
    colour = None if style.foreground is None else (background + style.foreground).rich_color
    return Style(color=colour, bold=style.bold, italic=style.italic)


def strip_of(spans: Iterable[Span], styles: dict[str, Style], base: Style, width: int) -> Strip:
    """One line of exactly ``width`` cells."""
    segments = [Segment(text, base + styles[style]) for text, style in spans]
    return Strip(segments).adjust_cell_length(width, base)
