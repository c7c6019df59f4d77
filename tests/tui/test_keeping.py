"""Dangers, the countdown, and an interrupted apply."""

from collections.abc import Callable

import pytest
from textual.events import Key as KeyPress

from iommutui.apply.events import Counting, Event, Finished, Kept, Started
from iommutui.core.errors import Exit
from iommutui.tui.machines.base import CutOff
from iommutui.tui.screens.review import ReviewScreen
from iommutui.tui.state import Phase
from tests.tui.driver import SMALLEST, LiveLike, Ui, screen_of, snapshot_of
from tests.tui.fakes import Refusing, Scripted
from tests.tui.machines import NIC, changed, small


async def until(ui: Ui, holds: Callable[[], bool]) -> None:
    """Lets the program run until the condition holds."""
    for _ in range(200):
        await ui.pilot.pause(0.02)
        if holds():
            return
    raise AssertionError(ui.text())


def _counting(*end: Event) -> Scripted:
    return Scripted([Started("j", 3), Counting(12.4, 30), None, *end])


async def test_unbinding_the_display_starts_a_countdown_that_y_confirms() -> None:
    applier = _counting(Kept("the program that asked for it"), Finished(Exit.DONE, "3 writes done."))
    host = changed(small(), NIC, boot_vga=True, class_code="030000")
    async with screen_of(LiveLike(host, applier)) as ui:
        await ui.select(NIC)
        await ui.press("v", "a")
        assert "reverts automatically after 30 s unless you confirm" in ui.text()
        await ui.press("2", "tab")
        for key in ("tab", "enter"):
            await ui.pilot.press(key)
        await until(ui, lambda: "Reverts automatically in 13 s unless you confirm." in ui.text())
        assert applier.jobs[0].keep_within == 30
        assert [str(accepted) for accepted in applier.jobs[0].accepted] == [f"boot-display:{NIC}"]
        await ui.pilot.press("enter", "space", "q")
        assert applier.words == []
        await ui.pilot.press("y")
        await until(ui, lambda: ui.state.phase is Phase.READY)
        assert applier.words == ["keep"]
        assert "confirmed by the program that asked for it" in ui.log()


async def test_the_countdown_needs_no_scrolling_on_the_smallest_terminal() -> None:
    for size in (SMALLEST, (80, 24)):
        applier = _counting(Kept("the program that asked for it"), Finished(Exit.DONE, "3 writes done."))
        async with screen_of(LiveLike(small(), applier), size) as ui:
            await ui.select(NIC)
            await ui.press("v", "a", "t")
            await ui.pilot.press("y")
            await until(ui, ui.counts_down)
            for words in ("applied and in effect", "in 13 s unless", "confirms it.", "Keep  y", "Revert  u"):
                assert words in ui.text(), ui.text()
            await ui.pilot.press("y")
            await until(ui, lambda: ui.state.phase is Phase.READY)


async def test_esc_reverts_at_once() -> None:
    applier = _counting(Finished(Exit.ROLLED_BACK, "Everything is as it was."))
    async with screen_of(LiveLike(small(), applier), SMALLEST) as ui:
        await ui.select(NIC)
        await ui.press("v", "a", "t")
        await ui.pilot.press("y")
        await until(ui, ui.counts_down)
        await ui.pilot.press("escape")
        await until(ui, lambda: ui.state.phase is Phase.READY)
        assert applier.words == ["undo"]
        await ui.settle()
        assert ui.app.screen is ui.app.desk
        assert ui.toasts() == ["Reverted, as you asked. Drivers and overrides are restored."]
        assert ui.log().count("Everything is as it was.") == 1


async def test_an_unconfirmed_apply_is_reported_once_as_a_failure() -> None:
    applier = Scripted([Started("j", 3), Counting(0.1, 30), Finished(Exit.ROLLED_BACK, "Nobody kept it.")])
    async with screen_of(LiveLike(small(), applier)) as ui:
        await ui.select(NIC)
        await ui.press("v", "a", "t")
        await ui.pilot.press("y")
        await until(ui, lambda: ui.state.phase is Phase.READY)
        await ui.settle()
        assert "✖ Nobody kept it." in ui.text()
        assert ui.log().count("Nobody kept it.") == 1


async def test_the_countdown_is_simulated_on_a_snapshot() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.select(NIC)
        await ui.press("v", "a", "t")
        await ui.pilot.press("y")
        await until(ui, lambda: "This is only a simulation" in ui.text())
        await ui.pilot.press("u")
        await until(ui, lambda: ui.state.phase is Phase.READY)
        await ui.settle()
        assert ui.state.host is not None
        assert ui.state.host.devices[NIC].driver == "igb"
        await ui.press("escape", "a", "t")
        await ui.pilot.press("y")
        await until(ui, lambda: "This is only a simulation" in ui.text())
        await ui.pilot.press("y")
        await until(ui, lambda: ui.state.phase is Phase.READY)
        await ui.settle()
        assert ui.state.host is not None
        assert ui.state.host.devices[NIC].driver == "vfio-pci"


async def test_the_screen_offers_to_revert_an_interrupted_apply() -> None:
    machine = LiveLike(small(), Refusing("no"))
    machine.left = CutOff("j7", "The apply j7 was interrupted [/] here.", "'iommutui keep j7' leaves everything.")
    async with screen_of(machine) as ui:
        assert "The apply j7 was interrupted [/] here." in ui.text()
        await ui.press("enter")
        assert "interrupted" not in ui.text()
    async with screen_of(machine) as ui:
        await ui.press("y")
        assert "Review: revert" in ui.text()


async def test_keys_typed_before_a_countdown_do_not_answer_it() -> None:
    applier = _counting(Kept("the program that asked for it"), Finished(Exit.DONE, "3 writes done."))
    async with screen_of(LiveLike(small(), applier)) as ui:
        await ui.select(NIC)
        await ui.press("v", "a", "t")
        for key in ("y", "u", "escape", "y"):
            ui.app.post_message(KeyPress(key, None).set_sender(ui.app))
        await until(ui, ui.counts_down)
        assert applier.words == []
        await ui.pilot.press("y")
        await until(ui, lambda: ui.state.phase is Phase.READY)
        assert applier.words == ["keep"]


def pressed(ui: Ui, key: str, at: float) -> None:
    """Sends a key with this time, by the clock of messages."""
    event = KeyPress(key, None)
    event.time = at
    ui.app.post_message(event.set_sender(ui.app))


async def reviewed(ui: Ui) -> ReviewScreen:
    """Opens the review of one change, which has received no key yet."""
    await ui.select(NIC)
    await ui.press("v", "a")
    review = ui.app.screen
    assert isinstance(review, ReviewScreen)
    return review


async def test_a_key_that_is_held_down_does_not_confirm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    async with screen_of(snapshot_of(small())) as ui:
        review = await reviewed(ui)
        painted = review.shown_at
        for after in (0.3, 0.4, 0.8, 1.29):
            pressed(ui, "y", painted + after)
            await ui.settle()
            assert ui.app.screen is review, after
        assert "came too soon" in ui.toasts()[-1]
        pressed(ui, "y", painted + 1.8)
        await until(ui, lambda: ui.state.applied)


async def test_a_review_that_takes_keys_takes_fast_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    async with screen_of(snapshot_of(small())) as ui:
        review = await reviewed(ui)
        pressed(ui, "j", review.shown_at + 0.6)
        pressed(ui, "y", review.shown_at + 0.61)
        await until(ui, lambda: ui.state.applied)


async def test_esc_closes_a_review_before_any_other_key_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    async with screen_of(snapshot_of(small())) as ui:
        review = await reviewed(ui)
        pressed(ui, "n", review.shown_at + 0.1)
        await ui.settle()
        assert ui.app.screen is review
        pressed(ui, "escape", review.shown_at + 0.2)
        await until(ui, lambda: ui.app.screen is ui.app.desk)


async def test_only_an_answer_closes_the_countdown() -> None:
    applier = _counting(Kept("the program that asked for it"), Finished(Exit.DONE, "3 writes done."))
    async with screen_of(LiveLike(small(), applier)) as ui:
        await ui.select(NIC)
        await ui.press("v", "a", "t")
        await ui.pilot.press("y")
        await until(ui, ui.counts_down)
        await ui.pilot.press("ctrl+q")
        await until(ui, lambda: "y confirms, u reverts; nothing else closes this." in ui.toasts())
        assert ui.counts_down()
        assert applier.words == []
        await ui.pilot.press("y")
        await until(ui, lambda: ui.state.phase is Phase.READY)
