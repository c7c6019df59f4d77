"""Opening dialogs: each is imported when it is first needed."""

from typing import TYPE_CHECKING

from iommutui.core.intents import Intent
from iommutui.tui.commands.base import Dialog
from iommutui.tui.machine import Job
from iommutui.tui.planview import Review
from iommutui.tui.preview import selected_device

if TYPE_CHECKING:
    from iommutui.tui.screens.desk import DeskScreen


def open_dialog(desk: "DeskScreen", dialog: Dialog) -> None:
    """Lays a dialog over the desk."""
    match dialog:
        case Dialog.REVIEW:
            _open_review(desk, desk.review())
        case Dialog.REVERT:
            _open_review(desk, desk.review_of_revert())
        case Dialog.TARGETS:
            _open_targets(desk)
        case Dialog.HELP:
            from iommutui.tui.screens.reading import HelpScreen

            desk.app.push_screen(HelpScreen(desk.pane))
        case Dialog.LOG:
            from iommutui.tui.screens.reading import LogScreen

            desk.app.push_screen(LogScreen(desk.state))
        case Dialog.QUIT:
            _open_quit(desk)
        case Dialog.PALETTE:
            desk.app.action_command_palette()
        case Dialog.THEME:
            desk.app.action_change_theme()


def _open_review(desk: "DeskScreen", found: tuple[Review, Job] | None) -> None:
    if found is None:
        return
    from iommutui.tui.screens.review import ReviewScreen

    review, job = found

    def answered(confirmed: bool | None) -> None:
        if confirmed:
            desk.start_job(job)

    desk.app.push_screen(ReviewScreen(review), answered)


def _open_targets(desk: "DeskScreen") -> None:
    from iommutui.tui.screens.targets import TargetsScreen

    state = desk.state
    device = selected_device(state)
    if device is None or state.host is None:
        return

    def answered(target: str | None) -> None:
        if target is not None:
            from iommutui.tui.commands.staging import stage

            stage(desk, target)

    desk.app.push_screen(TargetsScreen(state.host, device, _staged(desk)), answered)


def _staged(desk: "DeskScreen") -> Intent | None:
    device = selected_device(desk.state)
    return next((i for i in desk.state.intents if device is not None and i.device == device.address), None)


def _open_quit(desk: "DeskScreen") -> None:
    from iommutui.tui.screens.confirm import ConfirmScreen

    def answered(confirmed: bool | None) -> None:
        if confirmed:
            desk.leave()

    count = len(desk.state.intents)
    if desk.busy:
        title, text = "Leave while a plan is being applied?", "It goes on to its end, and this program ends with it."
    else:
        words = "1 intent is" if count == 1 else f"{count} intents are"
        title, text = "Leave?", f"{words} staged and not applied. Nothing of it is kept."
    desk.app.push_screen(ConfirmScreen(title, text, "Leave", "Stay"), answered)
