"""Commands that choose what is looked at: views, tabs, order, a place to go to."""

from iommutui.core.labels import device_name
from iommutui.tui.commands.base import Command, Desk, Dialog, Pane, needs_host
from iommutui.tui.derived import selected_device
from iommutui.tui.state import AppState, Key, Sort, Tab, View, folded
from iommutui.core.models import MODELS
from iommutui.tui.commands.base import Command, Desk, Dialog, Pane, always, needs_host
from iommutui.tui.derived import selected_device, selected_group
from iommutui.tui.state import AppState, Phase, View, next_model, own_model


TOPIC = "Look"
_SORTS = tuple(Sort)
_SORTED = {
    Sort.NUMBER: "Groups by number.",
    Sort.KIND: "Groups by what is in them: displays first, bridges last.",
    Sort.VERDICT: "Groups by verdict: viable first.",
}


def _show(view: View, desk: Desk) -> None:
    state = desk.state
    desk.update(state._replace(view=View.GROUPS if state.view is view else view))
    desk.focus_pane(Pane.LIST)


def _tab(tab: Tab, desk: Desk) -> None:
    desk.update(desk.state._replace(tab=tab))


def _sort(desk: Desk) -> None:
    order = _SORTS[(_SORTS.index(desk.state.sort) + 1) % len(_SORTS)]
    desk.update(desk.state._replace(sort=order))
    desk.say(_SORTED[order])


def _cannot_sort(state: AppState) -> str | None:
    why = needs_host(state)
    if why is None and state.view is not View.GROUPS:
        return "Only the list of groups has an order to choose; T or Esc goes back to it."
    return why


def _enter(desk: Desk) -> None:
    state = desk.state
    if desk.pane is Pane.DETAILS:
        tabs = tuple(Tab)
        _tab(tabs[(tabs.index(state.tab) + 1) % len(tabs)], desk)
    elif desk.pane is Pane.LIST and state.cursor is not None and state.cursor.device is None and not state.filter:
        desk.update(folded(state, state.cursor.group, state.cursor.group not in state.collapsed))
    else:
        desk.focus_pane(Pane.DETAILS)


def _match(step: int, desk: Desk) -> None:
    from iommutui.tui.rows.topology import next_match

    key = next_match(desk.state, step)
    if key is not None:
        desk.update(desk.state._replace(cursor=key))


def _cannot_match(state: AppState) -> str | None:
    why = needs_host(state)
    if why is not None:
        return why
    if state.view is not View.TOPOLOGY:
        return "n and N go through what a search finds in the topology (T); on the list, / filters."
    if not state.search.strip():
        return "Nothing is searched for; / searches."
    from iommutui.tui.rows.topology import next_match

    return None if next_match(state, 1) is not None else f"Nothing matches {state.search}."


def _mark(desk: Desk) -> None:
    device = selected_device(desk.state)
    if device is not None:
        marks = desk.state.marks ^ {device.address}
        desk.update(desk.state._replace(marks=marks))
        what = "Marked" if device.address in marks else "No longer marked:"
        desk.say(f"{what} {device.address} {device_name(device)}")
        desk.keep_marks()  # which says so where they cannot be kept


def _cannot_mark(state: AppState) -> str | None:
    return needs_host(state) or (None if selected_device(state) is not None else "Select a device to mark it.")


def _next_mark(desk: Desk) -> None:
    host = desk.state.host
    assert host is not None
    marked = [a for a in host.devices if a in desk.state.marks]
    here = desk.state.cursor.device if desk.state.cursor is not None else None
    following = marked[marked.index(here) + 1 :] if here in marked else marked
    desk.go_to(Key(host.devices[(following or marked)[0]].group, (following or marked)[0]))


def _cannot_next_mark(state: AppState) -> str | None:
    why = needs_host(state)
    if why is not None or state.host is None:
        return why
    return None if state.marks & state.host.devices.keys() else "No device is marked; b marks the one under the cursor."


COMMANDS = (
    Command("topology", ("T",), "Topology", "The tree of bridges with the borders of groups; again, or Esc: back.",
            TOPIC, lambda d: _show(View.TOPOLOGY, d), needs_host, also="lspci hierarchy ports"),
    Command("log", ("L",), "Log", "Every write and its result; again, or Esc: back.", TOPIC,
            lambda d: _show(View.LOG, d), also="journal history messages errors"),
    Command("why", ("w",), "Why", "In the details: why it is so, and the smallest fix.", TOPIC,
            lambda d: _tab(Tab.WHY, d), needs_host, also="reasons explain blocked"),
    Command("device", ("i",), "Device", "In the details: every fact of the device, and the drivers that fit.",
            TOPIC, lambda d: _tab(Tab.DEVICE, d), needs_host, also="info properties lspci bars"),
    Command("loses", ("e",), "Loses", "In the details: what this machine loses with it, and the evidence.", TOPIC,
            lambda d: _tab(Tab.LOSES, d), needs_host, also="hazards dangers risks impact"),
    Command("models", ("M",), "Models", "In the details: the four verdicts side by side.", TOPIC,
            lambda d: _tab(Tab.MODELS, d), needs_host, also="compare kernels"),
    Command("enter", ("enter",), "Enter", "On a group: fold or open it. On a device: go to its details, and there to "
            "the next tab.", TOPIC, _enter, needs_host, palette=False),
    Command("go", ("o",), "Go", "Go to a group, an address, ids or a network interface.", TOPIC,
            lambda d: d.open(Dialog.GO), needs_host, also="jump find"),
    Command("sort", ("s",), "Sort", "Order groups by number, by kind (displays first), by verdict.", TOPIC, _sort,
            _cannot_sort, also="arrange"),
    Command("next-match", ("n",), "Next match", "In the topology: the next device that the search finds.", TOPIC,
            lambda d: _match(1, d), _cannot_match, palette=False),
    Command("previous-match", ("N",), "Previous match", "In the topology: the one before.", TOPIC,
            lambda d: _match(-1, d), _cannot_match, palette=False),
    Command("mark", ("b",), "Mark", "Mark the device as one of your own, or unmark it; marks are kept.", TOPIC, _mark,
            _cannot_mark, also="bookmark favourite favorite star pin"),
    Command("next-mark", ("B",), "Next mark", "Go to the next device that is marked.", TOPIC, _next_mark,
            _cannot_next_mark, also="bookmark favourite favorite jump"),
)  # fmt: skip


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
