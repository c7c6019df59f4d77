"""Commands that change the view, and leave the machine and the plan alone."""

from functools import partial

from iommutui.core.errors import IommutuiError
from iommutui.core.host import Host
from iommutui.core.labels import device_name
from iommutui.core.models import MODELS
from iommutui.core.query import find_device, mistakes
from iommutui.tui.commands.base import Command, Desk, needs_host, unless
from iommutui.tui.derived import selected_device
from iommutui.tui.pages.copies import copies
from iommutui.tui.pages.models import model_choices
from iommutui.tui.rows.topology import next_match
from iommutui.tui.state import AppState, Key, Pane, Phase, Sort, Tab, View, divided, folded, own_model, planned_intent
from iommutui.tui.text import Choice, Span, line
from iommutui.tui.widgets.dialogs import ChooseScreen, ConfirmScreen, Opened, PromptScreen

LOOK, VIEW = "Look", "View"


def _show(view: View, desk: Desk) -> None:
    state = desk.state
    desk.update(state._replace(view=View.GROUPS if state.view is view else view))
    desk.focus_pane(Pane.LIST)


def _tab(tab: Tab, desk: Desk) -> None:
    desk.update(desk.state._replace(tab=tab))


def _enter(desk: Desk) -> None:
    state = desk.state
    if state.pane is Pane.FILTER:
        desk.focus_pane(Pane.LIST)
        said = mistakes(state.filter)
        if said and not state.empty:  # an empty list shows them in its place
            desk.say(said[0], "warning")
        if state.view is View.TOPOLOGY and state.filter.strip():
            _match(1, desk)
    elif state.pane is Pane.DETAILS:
        tabs = list(Tab)
        _tab(tabs[(tabs.index(state.tab) + 1) % len(tabs)], desk)
    elif state.pane is Pane.LIST and state.selection == Key(state.cursor.group) and not state.filter:
        desk.update(folded(state, state.cursor.group, state.cursor.group not in state.collapsed))
    else:
        intent = planned_intent(state) if state.pane is Pane.PLAN else None
        device = state.host.devices.get(intent.device) if intent is not None else None
        if device is not None:
            desk.go_to(Key(device.group, device.address))
        desk.focus_pane(Pane.DETAILS)


def place(host: Host, text: str) -> tuple[Key | None, str]:
    """The row that the text names, and its description; or None and why there is none."""
    text = text.strip()
    if not text:
        return None, ""
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
    if number in host.groups:
        return Key(number), f"group {number}"
    if number is not None and len(text) < 4:
        return None, f"There is no group {number}."
    try:
        device = find_device(host, text)
    except IommutuiError as error:
        return None, error.what
    group = device.group if device.group in host.groups else None
    return Key(group, device.address), f"{device.address} {device_name(device)}"


def _go(desk: Desk) -> Opened:
    host = desk.state.host

    def check(text: str) -> tuple[bool, str]:
        key, words = place(host, text)
        return key is not None, words

    def then(text: str) -> None:
        key, _ = place(host, text)
        if key is not None:
            desk.go_to(key)

    return desk.ask(PromptScreen("Go to", "17  01:00.0  10de:2204  enp5s0", check), then)


def _match(step: int, desk: Desk) -> None:
    key = next_match(desk.state, step)
    if key is not None:
        desk.update(desk.state._replace(cursor=key))


def _cannot_match(state: AppState) -> str | None:
    if state.view is not View.TOPOLOGY:
        return "n and N step through the matches of a search in the topology (T); in the list, / filters."
    if not state.filter.strip():
        return "No search is active; / starts one."
    return None if next_match(state, 1) is not None else f"Nothing matches {state.filter}."


def _sort(desk: Desk) -> None:
    orders = list(Sort)
    order = orders[(orders.index(desk.state.sort) + 1) % len(orders)]
    desk.update(desk.state._replace(sort=order))
    desk.remember()


_only_list = unless(lambda s: s.view is View.GROUPS, "Only the list of groups has this; T or Esc goes back to it.")


def _bridges(desk: Desk) -> None:
    shown = not desk.state.bridges
    desk.update(desk.state._replace(bridges=shown))
    desk.say(f"Groups with nothing to pass through are {'shown' if shown else 'hidden'}.")
    desk.remember()


def _mark(desk: Desk) -> None:
    device = selected_device(desk.state)
    if device is not None:
        desk.update(desk.state._replace(marks=desk.state.marks ^ {device.address}))
        desk.remember()  # which reports if they cannot be saved


def _next_mark(desk: Desk) -> None:
    host = desk.state.host
    marked = [a for a in host.devices if a in desk.state.marks]
    here = desk.state.cursor.device
    following = marked[marked.index(here) + 1 :] if here in marked else marked
    desk.go_to(Key(host.devices[(following or marked)[0]].group, (following or marked)[0]))


def _select(desk: Desk) -> None:
    state = desk.state
    if state.selection is not None:
        desk.update(state._replace(selected=state.selected ^ {state.selection}))
        if state.pane is Pane.LIST:
            desk.move(1)


def _zoom(desk: Desk) -> None:
    desk.update(desk.state._replace(zoomed=not desk.state.zoomed))
    desk.remember()


_STEP = 6
"""Percent for each key: at least a row of the 19 that 80 x 24 divides."""


def _divide(step: int, desk: Desk) -> None:
    desk.update(divided(desk.state, desk.state.share + step))
    desk.remember()


def _choose_model(desk: Desk) -> Opened:
    def then(name: str) -> None:
        state = desk.state._replace(model=MODELS[name], chosen_model=True)
        desk.update(state)
        if not own_model(state):
            desk.say(f"Judged by {name}: not the rules of this machine's kernel.", "warning")

    dialog = ChooseScreen("Kernel rules", model_choices(desk.state), "choose", desk.state.model.name)
    return desk.ask(dialog, then)


def _cannot_rescan(state: AppState) -> str | None:
    if not state.source.real and state.phase is not Phase.FAILED:
        return "A simulated machine does not change by itself; R reverts what was applied here."
    return "A scan is already running." if state.phase in (Phase.SCANNING, Phase.APPLYING) else None


def _copied(state: AppState) -> str:
    return next((copy.text() for copy in copies(state) if copy.name == "address"), "")


def _copy_more(desk: Desk) -> Opened:
    offered = {copy.name: copy for copy in copies(desk.state)}
    choices = [
        Choice(copy.name, line(Span(f"{copy.name:<12} ", "strong"), Span(copy.words, "muted")))
        for copy in offered.values()
    ]
    dialog = ChooseScreen("Copy to the clipboard", choices, "copy")
    return desk.ask(dialog, lambda name: desk.copy(offered[name].text(), name))


def _back(desk: Desk) -> None:
    state = desk.state
    if state.zoomed and state.pane is not Pane.FILTER:
        state = state._replace(zoomed=False)
    elif state.view is View.LOG:
        state = state._replace(view=View.GROUPS)
    elif state.selected and state.pane is Pane.LIST:
        state = state._replace(selected=frozenset())
    elif state.filter and state.pane in (Pane.LIST, Pane.FILTER):
        state = state._replace(filter="")
    elif state.view is View.TOPOLOGY:
        state = state._replace(view=View.GROUPS)
    elif state.hints and state.pane is Pane.LIST:
        desk.update(state._replace(hints=False))
        desk.remember()
        return
    desk.update(state)
    desk.focus_pane(Pane.LIST)


def _quit(desk: Desk) -> Opened:
    """Leaves; asks if that would end an apply, or discard what is staged here or on the machine that was left."""
    state = desk.state
    if state.phase is Phase.APPLYING:
        title, text = "Leave while a plan is being applied?", "It goes on to its end, and this program ends with it."
    elif staged := sum(len(each.state.intents) for each in desk.app.screen_stack if isinstance(each, Desk)):
        words = "1 change is" if staged == 1 else f"{staged} changes are"
        title, text = "Leave?", f"{words} staged and not applied. Leaving discards what is staged."
    else:
        return desk.run_action("app.quit")
    return desk.ask(ConfirmScreen(title, text, "Leave", "Stay"), lambda _: desk.run_action("app.quit"))


COMMANDS = (
    Command("Topology", ("T",), "Show the tree of bridges with the borders of groups; again or Esc: back.", LOOK,
            partial(_show, View.TOPOLOGY), (needs_host,), also="lspci hierarchy ports"),
    Command("Log", ("L",), "Show every write and its result; again or Esc: back.", LOOK, partial(_show, View.LOG),
            also="journal history messages errors"),
    Command("Why", ("w",), "In the details: the verdict, its reasons, and the smallest fix.", LOOK,
            partial(_tab, Tab.WHY), (needs_host,), also="reasons explain blocked"),
    Command("Device", ("i",), "In the details: every fact of the device, and the drivers that fit.", LOOK,
            partial(_tab, Tab.DEVICE), (needs_host,), also="info properties lspci bars"),
    Command("Impact", ("e",), "In the details: what this machine loses with it, and the evidence.", LOOK,
            partial(_tab, Tab.IMPACT), (needs_host,), also="hazards dangers risks loses effects"),
    Command("Models", ("M",), "In the details: the verdicts under each set of kernel rules.", LOOK,
            partial(_tab, Tab.MODELS), (needs_host,), also="compare kernels"),
    Command("Enter", ("enter",), "On a group: fold or open it. On a device or a line of the plan: go to its details, "
            "and there to the next tab.", LOOK, _enter, (needs_host,), palette=False),
    Command("Go", ("o",), "Go to a group, an address, ids or a network interface.", LOOK, _go, (needs_host,),
            also="jump find"),
    Command("Sort", ("s",), "Order groups by number, by kind (displays first), by verdict.", LOOK, _sort,
            (needs_host, _only_list), also="arrange"),
    Command("Bridges", ("full_stop",), "Hide groups with nothing to pass through, or show them.", LOOK, _bridges,
            (needs_host, _only_list), also="hide ports"),
    Command("Next match", ("n",), "In the topology: the next match.", LOOK, partial(_match, 1),
            (needs_host, _cannot_match), palette=False),
    Command("Previous match", ("N",), "In the topology: the previous match.", LOOK, partial(_match, -1),
            (needs_host, _cannot_match), palette=False),
    Command("Select", ("S",), "Select the row together with others, or unselect it: the next command acts on all of "
            "them.", LOOK, _select, (needs_host, unless(lambda s: s.selection, "There is no row to select.")),
            also="multiple several tag"),
    Command("Mark", ("b",), "Mark the device as one of your own, or unmark it; marks are saved.", LOOK, _mark,
            (needs_host, unless(selected_device, "Select a device to mark it.")),
            also="bookmark favourite favorite star pin"),
    Command("Next mark", ("B",), "Go to the next marked device.", LOOK, _next_mark,
            (needs_host, unless(lambda s: s.marks & s.host.devices.keys(),
                                "No device is marked; b marks the one under the cursor.")),
            also="bookmark favourite favorite jump"),
    Command("Filter", ("slash",), "Filter: words, driver:nvidia, group:14, viable:no, class:gpu, a|b, !word. In the "
            "topology: search.", VIEW, lambda d: d.focus_pane(Pane.FILTER), (needs_host,), also="find grep only"),
    Command("Zoom", ("plus",), "Give the pane with the focus the whole screen, or divide it again.", VIEW, _zoom,
            also="maximize full size"),
    Command("Narrower", ("less_than_sign",), "Less room for the list, more for the details.", VIEW,
            partial(_divide, -_STEP), also="divider resize split"),
    Command("Wider", ("greater_than_sign",), "More room for the list, less for the details.", VIEW,
            partial(_divide, _STEP), also="divider resize split"),
    Command("Rescan", ("r", "f5"), "Scan the machine again.", VIEW, lambda d: d.rescan(), (_cannot_rescan,),
            also="reload refresh update"),
    Command("Model", ("m",), "Choose the kernel rules to judge by.", VIEW, _choose_model, (needs_host,),
            also="kernel version rules"),
    Command("Copy", ("y",), "Copy the address to the clipboard.", VIEW,
            lambda d: d.copy(_copied(d.state), _copied(d.state)),
            (needs_host, unless(_copied, "There is no address under the cursor.")), also="yank bdf"),
    Command("Copy more", ("Y",), "Copy something else: ids, lines for a shell, a report for a forum.", VIEW, _copy_more,
            (needs_host,), also="clipboard yank export"),
    Command("Help", ("question_mark",), "This help; / searches it.", VIEW, lambda d: d.run_action("help"),
            also="keys shortcuts bindings manual"),
    Command("Commands", ("ctrl+p", "colon"), "Find a command by its name.", VIEW, lambda d: d.run_action("palette"),
            palette=False),
    Command("Theme", (), "Choose another theme; it is saved.", VIEW, lambda d: d.run_action("app.change_theme"),
            also="dark light colours colors appearance"),
    Command("Suspend", ("ctrl+z",), "Suspend to the shell; fg returns here.", VIEW,
            lambda d: d.run_action("app.suspend"), also="background job"),
    Command("Back", ("escape",), "One step back: clear the filter, leave a view, return to the list.", VIEW, _back,
            palette=False),
    Command("Quit", ("q",), "Quit; asks if something is staged.", VIEW, _quit, also="exit close end"),
)  # fmt: skip
