"""Spans as strips of a widget that draws by lines."""

from collections.abc import Iterable

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from iommutui.tui.spans import STYLES, Span

COMPONENTS = {f"span--{style}" for style in STYLES}
"""The component classes that a widget with spans declares."""


BASE = ""
"""The key of the widget's own style among its styles."""


def styles_of(widget: Widget) -> dict[str, Style]:
    """What every meaning looks like in this widget now. It takes long enough to be worth keeping."""
    found = {style: widget.get_component_rich_style(f"span--{style}", partial=True) for style in STYLES}
    return found | {BASE: widget.rich_style}


def strip_of(spans: Iterable[Span], styles: dict[str, Style], base: Style, width: int) -> Strip:
    """One line of exactly ``width`` cells."""
    segments = [Segment(text, base + styles[style]) for text, style in spans]
    return Strip(segments).adjust_cell_length(width, base)
