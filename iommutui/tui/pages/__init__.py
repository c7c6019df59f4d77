"""The pages of the details pane, and the titles of panes with the keys of other views. Pure."""

from iommutui.core.query import mistakes
from iommutui.core.wording import count
from iommutui.tui.derived import preview, selected_device, selected_group, verdicts
from iommutui.tui.keys import key_of
from iommutui.tui.pages.device import device_page
from iommutui.tui.pages.impact import impact_page
from iommutui.tui.pages.models import models_page
from iommutui.tui.pages.why import no_group, scanning, why_page
from iommutui.tui.state import AppState, Sort, Tab, View
from iommutui.tui.text import BLANK, Line, Span, line

_TABS = {
    Tab.WHY: ("Why", why_page),
    Tab.DEVICE: ("Device", device_page),
    Tab.IMPACT: ("Impact", impact_page),
    Tab.MODELS: ("Models", models_page),
}
_VIEWS = {View.GROUPS: "Groups", View.TOPOLOGY: "Topology", View.LOG: "Log"}


def details(state: AppState) -> tuple[Line, ...]:
    """The page of the details pane for the selection."""
    if state.problem is not None and not state.seen:  # it may be long, and this is the pane that scrolls
        return (line(Span(state.problem.what, "strong")), BLANK, line(state.problem.remedy))
    if not state.seen:
        return ()
    device, group = selected_device(state), selected_group(state)
    if device is None and group is None:
        return tuple(no_group(state))
    _, page = _TABS[state.tab]
    return tuple(page(state, device, group))


def nothing_listed(state: AppState) -> tuple[Line, ...]:
    """The text in place of the list if it has no rows."""
    if not state.seen:
        return scanning(state)
    if state.filter:
        said = mistakes(state.filter) or ["All terms must match; driver:nvidia|amdgpu matches either."]
        return (
            line(Span("Nothing matches ", "muted"), Span(state.filter, "strong")),
            *(line(Span("! ", "warn"), each, hang=2) for each in said),
            line(Span(key_of("back"), "key"), Span(" clears the filter", "muted")),
        )
    return (line(Span("This machine has no PCI devices.", "muted")),)


def details_title(state: AppState) -> list[Span]:
    """``2  Why  i Device  e Impact  M Models``: the current page, and the keys of the others."""
    spans = [Span(f" {key_of('details')} ", command="details")]
    for tab, (word, _) in _TABS.items():
        if tab is state.tab:
            spans.append(Span(f" {word} ", "chosen", tab.value))
        else:
            spans += [Span(f" {key_of(tab.value)} ", "key", tab.value), Span(f"{word} ", "muted", tab.value)]
    return spans


def list_title(state: AppState) -> list[Span]:
    """``1 Groups · 14 of 24 viable  T Topology  L Log``."""
    host = state.host
    spans = [Span(f" {key_of('groups')} {_VIEWS[state.view]}", command="groups")]
    if state.view is View.GROUPS and state.sort is not Sort.NUMBER:
        spans.append(Span(f" by {state.sort.value}"))
    if host.groups and state.view is not View.LOG:
        found = verdicts(host, state.model)
        spans.append(Span(f" · {found.viable} of {found.passable} viable", "muted"))
    if state.selected:
        spans.append(Span(f" · {len(state.selected)} selected", "planned"))
    for view, word in _VIEWS.items():
        command = "back" if view is View.GROUPS else view.value
        if view is not state.view:
            spans += [Span(f"  {key_of(command)}", "key", command), Span(f" {word}", "muted", command)]
    return [*spans, Span(" ")]


def plan_title(state: AppState) -> list[Span]:
    """``3 Plan · 2 changes, 6 writes, loads vfio-pci``."""
    plan = preview(state)
    words = "Plan"
    if plan is not None:
        parts = [count(len(state.intents), "change"), count(len(plan.steps), "write")]
        parts += [f"loads {', '.join(plan.modules)}"] if plan.modules else []
        parts += [] if plan.permitted else ["refused"]
        words = f"Plan · {', '.join(parts)}"
    return [Span(f" {key_of('plan')} {words} ", command="plan")]


def log_lines(state: AppState) -> tuple[Line, ...]:
    """Every write and its result, the newest last."""
    if not state.log:
        return (line(Span("Nothing has been written yet. Each write and its result will be listed here.", "muted")),)
    return tuple(line(Span(f"{entry.at}  ", "muted"), Span(entry.text, entry.style), hang=10) for entry in state.log)
