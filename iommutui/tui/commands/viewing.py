"""Commands that change what is seen, and leave the machine and the plan alone."""

from iommutui.core.models import MODELS
from iommutui.tui.commands.base import Command, Desk, Dialog, Pane, always, needs_host
from iommutui.tui.preview import selected_device, selected_group
from iommutui.tui.state import AppState, Phase, View, next_model, own_model

TOPIC = "View"


def _next_model(desk: Desk) -> None:
    state = next_model(desk.state)
    desk.update(state)
    if own_model(state):
        desk.say(f"{state.model.name}: the rules of this machine's kernel.")
    else:
        desk.say(f"{state.model.name}, for kernels: {state.model.kernels}. Not the rules of this machine's kernel.",
                 "warning")  # fmt: skip


def _cannot_rescan(state: AppState) -> str | None:
    if not state.source.real:
        if state.phase is Phase.FAILED:
            return None
        return "A machine that is not real does not change by itself; R reverts what was applied here."
    return "A scan is going on." if state.phase in (Phase.SCANNING, Phase.APPLYING) else None


def _copied(state: AppState) -> str | None:
    device = selected_device(state)
    if device is not None:
        return device.address
    group = selected_group(state)
    return " ".join(group.members) if group is not None and group.members else None


def _copy(desk: Desk) -> None:
    text = _copied(desk.state)
    if text is not None:
        desk.copy(text)
        desk.say(f"Copied {text}")


def _cannot_copy(state: AppState) -> str | None:
    return needs_host(state) or (None if _copied(state) else "There is no address under the cursor.")


def _back(desk: Desk) -> None:
    state = desk.state
    if state.view is View.TOPOLOGY and state.search:
        desk.update(state._replace(search=""))
    elif state.view is not View.GROUPS:
        desk.update(state._replace(view=View.GROUPS))
    elif state.filter:
        desk.update(state._replace(filter=""))
    elif state.hints and desk.pane is Pane.LIST:
        desk.end_hints()
    desk.focus_pane(Pane.LIST)


def _quit(desk: Desk) -> None:
    if desk.state.intents or desk.state.phase is Phase.APPLYING:
        desk.open(Dialog.QUIT)
    else:
        desk.leave()


COMMANDS = (
    Command("filter", ("slash",), "Filter", "Filter: words, driver:nvidia, group:14, viable:no, class:gpu, !word. "
            "In the topology: search.", TOPIC, lambda d: d.focus_pane(Pane.FILTER), needs_host, footer=True,
            also="find grep only"),
    Command("rescan", ("r", "f5"), "Rescan", "Look at the machine again.", TOPIC, lambda d: d.rescan(),
            _cannot_rescan, also="reload refresh update"),
    Command("model", ("m",), "Model", f"Judge by other kernel rules: {', '.join(MODELS)}.", TOPIC, _next_model,
            always, also="version"),
    Command("copy", ("y",), "Copy", "Copy the address to the clipboard.", TOPIC, _copy, _cannot_copy, also="yank bdf"),
    Command("copy-more", ("Y",), "Copy more", "Copy something else: ids, lines for a shell, a report for a forum.",
            TOPIC, lambda d: d.open(Dialog.COPY), needs_host, also="clipboard yank export"),
    Command("help", ("question_mark",), "Help", "This help.", TOPIC, lambda d: d.open(Dialog.HELP), footer=True,
            also="keys shortcuts bindings manual"),
    Command("commands", ("ctrl+p", "colon"), "Commands", "Find a command by its name.", TOPIC,
            lambda d: d.open(Dialog.PALETTE), palette=False),
    Command("theme", (), "Theme", "Choose another theme.", TOPIC, lambda d: d.open(Dialog.THEME),
            also="dark light colours colors appearance"),
    Command("back", ("escape",), "Back", "One step back: clear the filter, leave a view, return to the list.", TOPIC,
            _back, palette=False),
    Command("quit", ("q",), "Quit", "Leave; asks while something is staged.", TOPIC, _quit, footer=True,
            also="exit close end"),
)  # fmt: skip
