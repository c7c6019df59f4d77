"""The titles of panes: what is shown, and the keys of what could be shown instead. Pure."""

from collections.abc import Sequence
from typing import NamedTuple
from rich.cells import cell_len
from iommutui.tui.pages.plan import plan_title
from iommutui.tui.derived import Verdicts
from iommutui.tui.registry import key_of
from iommutui.tui.text.spans import Span
from iommutui.tui.state import AppState, Sort, Tab, View


class Title(NamedTuple):
    """Spans, and for each the command that a click on it does (empty: none)."""

    spans: tuple[Span, ...]
    commands: tuple[str, ...]


def _title(parts: Sequence[tuple[Span, str]]) -> Title:
    return Title(tuple(span for span, _ in parts), tuple(command for _, command in parts))


def command_at(title: Title, x: int) -> str:
    """The command of the title's cell ``x``, or an empty string."""
    right = 0
    for span, command in zip(title.spans, title.commands, strict=True):
        right += cell_len(span.text)
        if x < right:
            return command
    return ""


_TABS = {Tab.WHY: ("why", "Why"), Tab.DEVICE: ("device", "Device"), Tab.LOSES: ("loses", "Loses"),
         Tab.MODELS: ("models", "Models")}  # fmt: skip
_SORTED = {Sort.NUMBER: "", Sort.KIND: " by kind", Sort.VERDICT: " by verdict"}


def details_title(state: AppState) -> Title:
    """``2 Why  i Device  e Loses  M Models``: the tab that is shown, and the keys of the others."""
    parts: list[tuple[Span, str]] = [(Span("2"), "details")]
    for tab, (command, word) in _TABS.items():
        if tab is state.tab:
            parts += [(Span("  "), ""), (Span(word, "chosen"), command)]
        else:
            parts += [(Span(f"  {key_of(command)}", "key"), command), (Span(f" {word}", "muted"), command)]
    return _title(parts)


def list_title(state: AppState, found: Verdicts | None) -> Title:
    """``1 Groups · 14 of 24 viable  T Topology  L Log``; ``found`` is None while not every verdict is known."""
    parts: list[tuple[Span, str]] = [(Span("1"), "groups")]
    here = {View.GROUPS: f" Groups{_SORTED[state.sort]}", View.TOPOLOGY: " Topology", View.LOG: " Log"}[state.view]
    parts.append((Span(here), ""))
    if found is not None and state.host is not None and state.host.groups:
        parts.append((Span(f" · {found.viable} of {len(state.host.groups)} viable", "muted"), ""))
    for view, command, word in ((View.TOPOLOGY, "topology", "Topology"), (View.LOG, "log", "Log")):
        if view is not state.view:
            parts += [(Span(f"  {key_of(command)}", "key"), command), (Span(f" {word}", "muted"), command)]
    if state.view is not View.GROUPS:
        parts += [(Span("  Esc", "key"), "back"), (Span(" Groups", "muted"), "back")]
    return _title(parts)


def plan_pane_title(state: AppState) -> Title:
    """``3 Plan · 2 intents, 6 writes``."""
    return _title([(Span(f"3 {plan_title(state)}"), "plan")])
