"""Opening dialogs. Each is imported when the first frame is there."""

from asyncio import sleep
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

from iommutui.tui.commands.base import Dialog
from iommutui.tui.machine import Job
from iommutui.tui.planview import Review
from iommutui.tui.preview import selected_device, target_of
from iommutui.tui.state import Key

if TYPE_CHECKING:
    from iommutui.tui.screens.desk import DeskScreen
    from iommutui.tui.screens.writing import Writing


def open_dialog(desk: "DeskScreen", dialog: Dialog) -> None:
    """Lays a dialog over the desk."""
    match dialog:
        case Dialog.REVIEW:
            open_review(desk, desk.review)
        case Dialog.REVERT:
            open_review(desk, desk.review_of_revert)
        case Dialog.TARGETS:
            _open_targets(desk)
        case Dialog.HELP:
            from iommutui.tui.screens.reading import HelpScreen

            desk.app.push_screen(HelpScreen(desk.pane))
        case Dialog.GO:
            _open_go(desk)
        case Dialog.COPY:
            _open_copy(desk)
        case Dialog.QUIT:
            _open_quit(desk)
        case Dialog.PALETTE:
            _open_palette(desk)
        case Dialog.THEME:
            _open_themes(desk)


async def prepare_dialogs(desk: "DeskScreen") -> None:
    """Imports dialogs, and has Textual read how what they are made of looks, where nobody waits for it or sees it."""
    from textual.widgets import Button

    for name in ("find", "go", "pick", "reading", "review"):
        import_module(f"iommutui.tui.screens.{name}")
        await sleep(0)
    unseen = Button()
    unseen.display = False
    await desk.mount(unseen)
    await unseen.remove()


def open_review(desk: "Writing", review_of: Callable[[], tuple[Review, Job] | None]) -> None:
    """Lays a review over the desk; what it is answered with is carried out.

    The review is of the machine as it is: right behind a rebind, of what was seen before it, it would be refused as
    drift. Who has gone on to something else by then is left alone.
    """

    async def when_looked() -> None:
        await desk.looked()
        if desk.app.screen is desk:
            _open_review(desk, review_of())

    if desk.looking:
        desk.run_worker(when_looked(), group="prepare")
    else:
        _open_review(desk, review_of())


def _open_review(desk: "Writing", found: tuple[Review, Job] | None) -> None:
    if found is None:
        return
    from iommutui.tui.screens.review import ReviewScreen, Terms

    review, job = found

    def answered(terms: Terms | None) -> None:
        if terms is not None:
            desk.start_job(job._replace(accepted=terms.accepted, keep_within=terms.keep_within))

    desk.app.push_screen(ReviewScreen(review), answered)


def _open_go(desk: "DeskScreen") -> None:
    from iommutui.tui.screens.go import GoScreen

    def answered(key: Key | None) -> None:
        if key is not None:
            desk.go_to(key)

    if desk.state.host is not None:
        desk.app.push_screen(GoScreen(desk.state.host), answered)


def _open_copy(desk: "DeskScreen") -> None:
    from iommutui.tui.choices import Choice
    from iommutui.tui.copies import copies
    from iommutui.tui.screens.pick import PickScreen

    offered = copies(desk.state)

    def answered(name: str | None) -> None:
        for copy in offered:
            if copy.name == name:
                desk.copy(copy.text())
                desk.say(f"Copied {copy.said}.")

    choices = [Choice(copy.name, copy.line) for copy in offered]
    desk.app.push_screen(PickScreen("Copy to the clipboard", "Enter copies, Esc closes", choices), answered)


def _open_targets(desk: "DeskScreen") -> None:
    from iommutui.tui.choices import target_choices
    from iommutui.tui.screens.pick import PickScreen

    state = desk.state
    device = selected_device(state)
    if device is None or state.host is None:
        return

    def answered(target: str | None) -> None:
        if target is not None:
            from iommutui.tui.commands.staging import stage

            stage(desk, target)

    title = f"Target for {device.address}, now {device.driver or 'free'}"
    chosen = target_of(state, device.address) or ""
    choices = target_choices(state, device)
    desk.app.push_screen(PickScreen(title, "Enter stages it, Esc closes", choices, chosen), answered)


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


def _open_palette(desk: "DeskScreen") -> None:
    from iommutui.tui.palette import command_entries
    from iommutui.tui.screens.find import FindScreen

    async def answered(command: str | None) -> None:
        if command is not None:
            await desk.app.run_action(f"run('{command}')", desk)

    desk.app.push_screen(FindScreen("Commands", "run", command_entries(desk.state)), answered)


def _open_themes(desk: "DeskScreen") -> None:
    from iommutui.settings import settings_path
    from iommutui.tui.palette import theme_entries
    from iommutui.tui.screens.find import FindScreen

    def answered(theme: str | None) -> None:
        if theme is not None and theme != desk.app.theme:
            desk.app.theme = theme
            desk.say(
                f'Until the end of this session. To keep it: theme = "{theme}" below [screen] in {settings_path()}.'
            )

    entries = theme_entries(desk.app.available_themes, desk.app.theme)
    desk.app.push_screen(FindScreen("Themes", "choose", entries), answered)
