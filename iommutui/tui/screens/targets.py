"""Choosing among all targets that fit one device."""

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from iommutui.core.host import Device, Host
from iommutui.core.intents import Intent
from iommutui.core.targets import targets_of
from iommutui.tui.registry import PICK, bindings
from iommutui.tui.spans import Span
from iommutui.tui.text import content, plain
from iommutui.tui.words import target_line


class TargetsScreen(ModalScreen[str]):
    """Dismissed with the name of the target."""

    BINDINGS = [*bindings(PICK)]  # noqa: RUF012 - Textual's own declaration
    AUTO_FOCUS = "#targets"

    def __init__(self, host: Host, device: Device, staged: Intent | None) -> None:
        super().__init__()
        self._device = device
        self._targets = targets_of(host, device)
        self._staged = staged

    def compose(self) -> ComposeResult:
        """One line for each target."""
        device = self._device
        with Vertical(id="dialog", classes="medium") as dialog:
            dialog.border_title = plain(f"Target for {device.address}, now {device.driver or 'free'}")
            dialog.border_subtitle = plain("Enter stages it, Esc closes")
            width = max(len(target.name) for target in self._targets)
            options = []
            for target in self._targets:
                spans = list(target_line(target, width).spans)
                if self._staged is not None and self._staged.target == target.name:
                    spans.append(Span(" · staged", "planned"))
                elif target.name == device.driver:
                    spans.append(Span(" · it is on this driver", "muted"))
                options.append(Option(content(spans), id=target.name))
            yield OptionList(*options, id="targets", compact=True)

    def on_mount(self) -> None:
        """The target that is staged is under the cursor."""
        if self._staged is not None:
            names = [target.name for target in self._targets]
            if self._staged.target in names:
                self.query_one(OptionList).highlighted = names.index(self._staged.target)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter, or a click."""
        self.dismiss(self._targets[event.option_index].name)

    def action_next(self) -> None:
        """``j``."""
        self.query_one(OptionList).action_cursor_down()

    def action_previous(self) -> None:
        """``k``."""
        self.query_one(OptionList).action_cursor_up()

    def action_choose(self) -> None:
        """``space``."""
        self.query_one(OptionList).action_select()

    def action_cancel(self) -> None:
        """``Esc``."""
        self.dismiss(None)
