"""What has been painted is kept for as long as Textual itself would keep it, and put together with less work.

Whenever a line of the screen changes, Textual asks every widget around it for all of its lines again, and finds out for
each line anew what its frame looks like. The lines come out the same here, which a test holds.
"""

from typing import Any

from rich.segment import Segment
from textual._styles_cache import StylesCache
from textual.geometry import Region, Size, Spacing
from textual.strip import Strip
from textual.widget import Widget

MANY = 256
"""Lines that are kept with their frame: a pane that scrolls shows most of them again, one row higher."""


class Kept(StylesCache):
    """The lines of a widget, which are handed out again while none of them is to be drawn anew."""

    _lines: tuple[Region, list[Strip]] | None = None

    def clear(self) -> None:
        """Everything is to be drawn anew."""
        super().clear()
        self._lines = None

    def set_dirty(self, *regions: Region) -> None:
        """Some of it is to be drawn anew."""
        super().set_dirty(*regions)
        self._lines = None

    def render_widget(self, widget: Widget, crop: Region) -> list[Strip]:
        """The lines in a part of the widget."""
        if self._lines is None or self._lines[0] != crop:
            self._lines = crop, super().render_widget(widget, crop)
        return self._lines[1]


class Framed(Kept):
    """The lines of a pane: it may have a frame and padding, but nothing that mixes colours."""

    _sides: tuple[tuple[Segment, ...], tuple[Segment, ...]] | None = None
    """What stands left and right of every line."""
    _inside = range(0)

    def __init__(self) -> None:
        super().__init__()
        self._framed: dict[int, tuple[Strip, Strip]] = {}

    def clear(self) -> None:
        """The frame is another one, too."""
        super().clear()
        self._sides = None
        self._framed.clear()

    def render_line(self, styles: Any, y: int, size: Size, content_size: Size, padding: Spacing, *rest: Any) -> Strip:
        """A line with its frame; the first one shows what the frame of the others is."""
        if self._sides is None or y not in self._inside:
            strip = super().render_line(styles, y, size, content_size, padding, *rest)
            top = styles.gutter.top
            self._inside = range(top, top + content_size.height)
            if y in self._inside:
                segments, (_, right, _, left) = tuple(strip), styles.border
                lead, tail = bool(left[0]) + bool(padding.left), bool(right[0]) + bool(padding.right)
                self._sides = segments[:lead], segments[len(segments) - tail :]
            return strip
        left, right = self._sides
        line: Strip = rest[2](y - self._inside.start)
        if not left and not right:
            return line
        known = self._framed.get(id(line))
        if known is None:
            if len(self._framed) >= MANY:
                self._framed.clear()
            known = self._framed[id(line)] = line, Strip([*left, *line, *right], size.width)
        return known[1]


class Single(Widget):
    """A widget of few cells without children: where it gets another size, nothing has to be laid out once more."""

    def __init__(self, *, name: str | None = None, id: str | None = None) -> None:
        super().__init__(name=name, id=id)
        self._styles_cache = Kept()

    def _size_updated(self, size: Size, virtual_size: Size, container_size: Size, layout: bool = True) -> bool:
        return super()._size_updated(size, virtual_size, container_size, layout=False)
