"""The only way for text into Textual: never as a string, because a string is parsed as markup.

A name such as ``[LSI]`` would vanish, ``[/]`` would end the program, and ``[@click=...]`` would be a live link.
"""

from collections.abc import Iterable

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import style as visual
from textual.color import Color
from textual.content import Content
from textual.strip import Strip
from textual.widget import Widget

from iommutui.tui.text import Span, visible

COLOURS = {
    "plain": "",
    "strong": "bold",
    "chosen": "bold underline",
    "muted": "$text-muted",
    "ok": "$text-success",
    "bad": "bold $text-error",
    "warn": "$text-warning",
    "info": "$text-primary",
    "accent": "bold $text-accent",
    "planned": "italic $text-secondary",
    "key": "bold $text-accent",
}
"""The colours of the meanings of spans."""


def plain(text: str) -> Content:
    """Text that is shown as it is."""
    return Content(visible(text))


def content(spans: Iterable[Span]) -> Content:
    """Spans as content; a click on one that names a command of the desk runs it."""
    clicks = ((span, f" @click=screen.run('{span.command}')" if span.command else "") for span in spans)
    return Content.assemble(*((visible(span.text), COLOURS[span.style] + click) for span, click in clicks))


BASE = ""
"""The key of what is behind the text, among the styles of a line."""


def styles_of(widget: Widget, component: str = "") -> dict[str, Style]:
    """The style of every meaning on a line of this component class; cached, because it takes long.

    Component classes could hold it too, but Textual computes each of them for each widget at every restyle.
    """
    _, background = widget.background_colors
    base = widget.rich_style
    if component:
        base += widget.get_component_rich_style(component, partial=True)
    found = {
        name: base + _style(visual.Style.parse(text or "$foreground"), background) for name, text in COLOURS.items()
    }
    return found | {BASE: base}


def _style(style: visual.Style, background: Color) -> Style:
    """Without its own background, because the cursor may be behind it."""
    colour = None if style.foreground is None else (background + style.foreground).rich_color
    return Style(color=colour, bold=style.bold, italic=style.italic)


def strip_of(spans: Iterable[Span], styles: dict[str, Style], width: int) -> Strip:
    """One line of exactly ``width`` cells."""
    segments = [Segment(span.text, styles[span.style]) for span in spans]
    used = sum(cell_len(text) for text, _, _ in segments)
    if used > width:
        return Strip(segments, used).adjust_cell_length(width)
    if used < width:
        segments.append(Segment(" " * (width - used), styles[BASE]))
    return Strip(segments, width)
