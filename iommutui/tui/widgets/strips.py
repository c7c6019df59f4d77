"""Spans as strips of a widget that draws by lines."""

from collections.abc import Iterable

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from iommutui.tui.spans import STYLES, Span

COMPONENTS = {f"span--{style}" for style in STYLES}
"""The component classes that a widget with spans declares."""


BASE = ""
"""The key of what is behind the text, among the styles of a line."""


def styles_of(widget: Widget, component: str = "") -> dict[str, Style]:
    """What every meaning looks like now on a line of this component class; it takes long enough to be kept."""
    base = widget.rich_style
    if component:
        base += widget.get_component_rich_style(component, partial=True)
    found = {style: base + widget.get_component_rich_style(f"span--{style}", partial=True) for style in STYLES}
    return found | {BASE: base}


def strip_of(spans: Iterable[Span], styles: dict[str, Style], width: int) -> Strip:
    """One line of exactly ``width`` cells."""
    segments = [Segment(text, styles[style]) for text, style in spans]
    used = sum(cell_len(text) for text, _, _ in segments)
    if used > width:
        return Strip(segments, used).adjust_cell_length(width)
    if used < width:
        segments.append(Segment(" " * (width - used), styles[BASE]))
    return Strip(segments, width)
