"""What every dialog is laid on: the desk, dimmed."""

from functools import lru_cache
from typing import TypeVar

from rich.segment import Segment
from rich.style import Style as RichStyle
from textual.app import RenderResult
from textual.color import Color
from textual.css.styles import RulesMap
from textual.events import Resize, ScreenResume
from textual.reactive import Reactive
from textual.renderables.background_screen import BackgroundScreen
from textual.screen import ModalScreen, Screen
from textual.strip import Strip
from textual.style import Style
from textual.visual import RenderOptions, Visual
from textual.widget import Widget

from iommutui.tui.saying import go_on_saying
from iommutui.tui.widgets.painted import Framed

Result = TypeVar("Result")


@lru_cache(1024)
def _dimmed(style: RichStyle | None, colour: Color) -> RichStyle | None:
    (segment,) = BackgroundScreen.process_segments([Segment(" ", style)], colour)
    return segment.style


class Behind(Visual):
    """Another screen with a colour laid over it. Textual mixes the colours of every piece of text anew."""

    def __init__(self, screen: Screen[object], colour: Color) -> None:
        self._screen = screen
        self._colour = colour

    def render_strips(self, width: int, height: int | None, style: Style, options: RenderOptions) -> list[Strip]:
        """The lines of the other screen, which follows a change of the terminal a moment later than the dialog."""
        lines = (strip.adjust_cell_length(width) for strip in self._screen._compositor.render_strips())
        return [Strip([Segment(text, _dimmed(look, self._colour)) for text, look, _ in line], width) for line in lines]

    def get_optimal_width(self, rules: RulesMap, container_width: int) -> int:
        """As wide as there is room."""
        return container_width

    def get_minimal_width(self, rules: RulesMap) -> int:
        """It is never measured."""
        return 1

    def get_height(self, rules: RulesMap, width: int) -> int:
        """As high as the other screen."""
        return self._screen.size.height


class Overlay(ModalScreen[Result]):
    """A dialog."""

    focused: Reactive[Widget | None] = Reactive(None, repaint=False)

    def __init__(self) -> None:
        super().__init__()
        self._styles_cache = Framed()

    def on_resize(self, event: Resize) -> None:
        """A dialog that opens has been laid out when Textual tells it its size, and so has what is behind it."""
        if event.size == self.outer_size:
            event.prevent_default()

    def on_screen_resume(self, event: ScreenResume) -> None:
        """What is being said lies on top. A dialog that opens has its styles already."""
        event.refresh_styles = False
        go_on_saying(self.app)

    def render(self) -> RenderResult:  # type: ignore[override]  # a widget may render a Visual; a screen is declared narrower
        """What is behind the dialog."""
        behind = super().render()
        return Behind(behind.screen, behind.color) if isinstance(behind, BackgroundScreen) else behind
