"""One message at a time, on whichever screen is on top."""

from textual.app import App
from textual.driver import Driver
from textual.events import Resize
from textual.geometry import Size
from textual.notifications import SeverityLevel
from textual.timer import Timer
from textual.widget import Widget

from iommutui.tui.spans import visible
from iommutui.tui.widgets.message import Message, Said


class Saying(App[None]):
    """The part of the application that says something in passing."""

    NOTIFICATION_TIMEOUT = 6
    said: Said | None = None
    """What is being said."""
    _until: Timer | None = None

    def __init__(self, driver_class: type[Driver] | None = None) -> None:
        super().__init__(driver_class)
        # Every screen would hold, style and lay out the places of Textual's toasts and tooltips.
        self._disable_notifications = self._disable_tooltips = True

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = True,
    ) -> None:
        """Says something in the place of what was said before; the text is shown as it is, whatever ``markup`` is."""
        self._say(Said(visible(f"{title}: {message}" if title else message), severity))
        self._until = self.set_timer(timeout or self.NOTIFICATION_TIMEOUT, self.clear_notifications)

    def clear_notifications(self) -> None:
        """Says nothing any more."""
        if self.said is not None:
            self._say(None)

    def _say(self, said: Said | None) -> None:
        if self._until is not None:
            self._until.stop()
        self.said = said
        if self.screen_stack:
            self.show_said()

    def show_said(self, size: Size | None = None, *, settled: bool = False) -> None:
        """Shows what is being said on the screen that is on top, above the plan; ``size``: what it is going to have.

        The plan may be of another height as soon as the screen has been laid out, so that the place is found once more.
        """
        screen = self.screen
        if self.said is not None or screen.query(Message):
            below = 1 + sum(part.outer_size.height for part in screen.query("#plan, #orientation") if part.display)
            message_of(screen).show_said(self.said, size or self.size, below)
        if self.said is not None and not settled:
            self.call_after_refresh(self.show_said, settled=True)

    def on_resize(self, event: Resize) -> None:
        """A message keeps to its corner."""
        if self.screen_stack:
            self.show_said(event.size)


def message_of(screen: Widget) -> Message:
    """The screen's place for messages, made when it is first needed."""
    for found in screen.query(Message):
        return found
    made = Message()
    screen.mount(made)
    return made


def go_on_saying(app: App[object]) -> None:
    """Another screen is on top now."""
    if isinstance(app, Saying):
        app.show_said()
