"""The orientation for somebody who is here for the first time: one hint at a time, about what is shown. Pure."""

from iommutui.core.labels import device_name, verdict_word
from iommutui.tui.blocks import key_hint
from iommutui.tui.preview import selected_device, selected_group, verdicts
from iommutui.tui.registry import key_of
from iommutui.tui.spans import Line, Span, line
from iommutui.tui.state import AppState, Phase


def hint(state: AppState) -> tuple[Line, ...]:
    """What to look at, and what to press next; nothing once the orientation is over."""
    if not state.hints or state.host is None or state.phase is not Phase.READY or not state.host.groups:
        return ()
    skip = (Span("  "), *key_hint(key_of("back"), "skips this"))
    if state.applies:
        return (
            line(Span("Done. ", "strong"), *key_hint(key_of("revert"), "takes it back, "),
                 *key_hint(key_of("help"), "lists every key.  "), *key_hint(key_of("back"), "closes this"), hang=2),
        )  # fmt: skip
    if state.applied and not state.intents:
        return ()
    if state.intents:
        return (
            line(Span("Staged, not written. ", "strong"),
                 "An arrow stands beside all that would change, and 3 has the plan. ",
                 *key_hint(key_of("apply"), "shows the exact writes and asks, "),
                 *key_hint(key_of("undo"), "takes the staging back."), *skip, hang=2),
        )  # fmt: skip
    device, group = selected_device(state), selected_group(state)
    if device is None or group is None:
        words = "A group goes to a virtual machine as a whole, or not at all. Move to a card with the arrow keys."
        return (line(Span("Welcome. ", "strong"), words, *skip, hang=2),)
    word = verdict_word(verdicts(state.host, state.model).of(group.id))
    next_step = key_hint(key_of("free"), "stages all that frees it; nothing is written yet.")
    if word == "viable":
        next_step = key_hint(key_of("help"), "lists every key.")
    return (
        line(Span("Welcome. ", "strong"), f"{device.device_name or device_name(device)} is in group {group.id}, "
             f"which is {word}: 2 says why. ", *next_step, *skip, hang=2),
    )  # fmt: skip
