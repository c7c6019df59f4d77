"""Every command, and what is made from them: bindings, key bar, help, and the table of keys."""

from collections.abc import Sequence

from textual.binding import Binding

from iommutui.tui.commands import moving, plan, sharing, viewing
from iommutui.tui.commands.base import Command
from iommutui.tui.keys import define, key_names, key_of, keys_of
from iommutui.tui.state import AppState, Pane, Phase, View
from iommutui.tui.widgets.bars import Hint

COMMANDS: tuple[Command, ...] = (*plan.COMMANDS, *viewing.COMMANDS, *sharing.COMMANDS, *moving.COMMANDS)
BY_ID = {command.id: command for command in COMMANDS}

for _command in COMMANDS:
    define(_command.id, _command.keys)

_NO_KEY = "no-key"
"""A key that no terminal sends: Textual lets users set keys only for a command that has one."""

WHILE_TYPING = ("back", "next-pane", "previous-pane", "enter", "suspend")
"""Commands whose keys are not typed into the filter."""


def bindings() -> list[Binding]:
    """Textual's bindings of every command.

    They have priority: each key is handled in full before the next one is read, however fast they come.
    """
    return [
        Binding(",".join(command.keys) or _NO_KEY, f"run('{command.id}')", priority=True, id=command.id)
        for command in COMMANDS
    ]


def reason_against(command_id: str, state: AppState) -> str | None:
    """Why a command cannot be done now."""
    return next((why for check in BY_ID[command_id].disabled if (why := check(state)) is not None), None)


_STAGED = (("apply", "apply"), ("undo", "undo"))
_ALWAYS = (("help", "help"), ("quit", "quit"))


def _entries(state: AppState) -> Sequence[tuple[str, str]]:
    """Commands with labels for the pane that has the focus."""
    if state.phase is Phase.FAILED:
        return (("down", "scroll"), ("rescan", "try again"), ("open-machine", "open another"))
    if state.pane is Pane.DETAILS:
        return (("enter", "next tab"), ("zoom", "zoom"), ("back", "list"))
    if state.pane is Pane.PLAN:
        return (("unstage", "remove"), ("clear", "clear"), ("back", "list"))
    if state.view is View.LOG:
        return (("back", "groups"), ("copy-more", "copy"))
    if state.selected:
        return (("free", "free"), ("pass", "pass"), ("give-back", "give back"), ("back", "unselect"))
    if state.view is View.TOPOLOGY:
        return (("free", "free"), ("pass", "pass"), ("filter", "search"), ("next-match", "next"), ("back", "groups"))
    return (("free", "free"), ("pass", "pass"), ("target", "target"), ("filter", "filter"), ("select", "select"))


def hints(state: AppState) -> tuple[Hint, ...]:
    """The keys that matter now, those of the mode first."""
    if state.pane is Pane.FILTER:
        return (Hint("Enter", "keep"), Hint("Tab", "complete"), Hint("Esc", "clear"))
    zoomed = (("zoom", "zoom off"),) if state.zoomed else ()
    entries = dict((*zoomed, *(_STAGED if state.intents else ()), *_entries(state), *_ALWAYS, *zoomed))
    return tuple(
        Hint(key_of(command), word, command, reason_against(command, state) is None)
        for command, word in entries.items()
        if keys_of(command)
    )


def topics() -> dict[str, list[tuple[str, str]]]:
    """Keys and sentences of the commands under their topics."""
    found: dict[str, list[tuple[str, str]]] = {}
    for command in COMMANDS:
        if keys_of(command.id):
            found.setdefault(command.topic, []).append((key_names(command.id), command.help))
    return found
