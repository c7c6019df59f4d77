"""Going to a group or a device by its number, address, ids or network interface."""

from textual import on
from textual.app import ComposeResult
from textual.widgets import Input, Static

from iommutui.core.errors import IommutuiError
from iommutui.core.host import Host
from iommutui.core.labels import device_name
from iommutui.core.query import find_device
from iommutui.tui.registry import CLOSE, bindings
from iommutui.tui.screens.overlay import Overlay
from iommutui.tui.text.spans import Span
from iommutui.tui.state import Key
from iommutui.tui.text.content import content, plain
from iommutui.tui.widgets.dialog import Dialog
from iommutui.tui.widgets.dialogkeys import DialogKeys


def place(host: Host, text: str) -> tuple[Key | None, str]:
    """The row that the text names, and what it is; or None and why there is none."""
    text = text.strip()
    if not text:
        return None, ""
    if (text.isascii() and text.isdigit() and len(text) < 4) or (text.isdigit() and int(text) in host.groups):
        number = int(text)
        if number in host.groups:
            return Key(number), f"group {number}"
        return None, f"There is no group {number}."
    try:
        device = find_device(host, text)
    except IommutuiError as error:
        return None, error.what
    group = device.group if device.group in host.groups else None
    return Key(group, device.address), f"{device.address} {device_name(device)}"


class GoScreen(Overlay[Key]):
    """Dismissed with the row to go to."""

    BINDINGS = [bindings(CLOSE)[0]]  # noqa: RUF012 - Textual's own declaration
    AUTO_FOCUS = "#place"

    def __init__(self, host: Host) -> None:
        super().__init__()
        self._host = host

    def compose(self) -> ComposeResult:
        """The input, and what it names."""
        with Dialog("Go to", "Enter goes, Esc closes", classes="small"):
            yield Input(placeholder="17  01:00.0  10de:2204  enp5s0", compact=True, id="place")
            yield Static(plain(""), id="found")
        yield DialogKeys((("Enter", "go"), ("Esc", "close")))

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        key, words = place(self._host, event.value)
        shown = [Span("✔ ", "ok"), Span(words)] if key is not None else [Span(words, "muted")]
        self.query_one("#found", Static).update(content(shown))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        key, _ = place(self._host, event.value)
        if key is not None:
            self.dismiss(key)

    def action_cancel(self) -> None:
        """``Esc``."""
        self.dismiss(None)
