"""Commands that lead to writes, through a review."""

from iommutui.tui.commands.base import Command, Dialog, needs_host
from iommutui.tui.state import AppState, Phase

TOPIC = "Apply"

NO_WRITER = "Writing needs root, and none of sudo, pkexec and run0 is installed. Start iommutui as root to apply."


def _cannot_write(state: AppState) -> str | None:
    why = needs_host(state)
    if why is not None:
        return why
    if state.phase is Phase.APPLYING:
        return "A plan is being applied already."
    return NO_WRITER if state.source.writer is None else None


def _cannot_apply(state: AppState) -> str | None:
    why = _cannot_write(state)
    if why is not None:
        return why
    return None if state.intents else "Nothing is staged; space, v, p, f, d or t stage a target for the selection."


def nothing_to_revert(state: AppState) -> str:
    """Why there is no way back."""
    if state.applied:
        return "Everything that was applied here has been taken back."
    return "Nothing has been applied yet, so there is nothing to revert."


def _cannot_revert(state: AppState) -> str | None:
    why = _cannot_write(state)
    if why is not None or state.source.real:
        return why
    return None if state.applies else nothing_to_revert(state)


COMMANDS = (
    Command("apply", ("a",), "Apply", "Review the exact writes, then apply them.", TOPIC,
            lambda d: d.open(Dialog.REVIEW), _cannot_apply, footer=True, also="commit execute save preview"),
    Command("revert", ("R",), "Revert", "Take back what was applied last.", TOPIC,
            lambda d: d.open(Dialog.REVERT), _cannot_revert, also="rollback undo restore"),
)  # fmt: skip
