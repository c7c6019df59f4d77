"""The box of a dialog."""

from textual.containers import Vertical

from iommutui.tui.text import plain
from iommutui.tui.widgets.painted import Framed


class Dialog(Vertical):
    """A frame with a title, and at its lower right what ends it."""

    def __init__(self, title: str, hint: str = "", *, classes: str = "") -> None:
        super().__init__(id="dialog", classes=classes)
        self._styles_cache = Framed()
        self.border_title = plain(title)
        if hint:
            self.border_subtitle = plain(hint)
