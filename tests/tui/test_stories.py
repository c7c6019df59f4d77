"""Stories of using the screen, driven by keys."""

from textual.widgets import Input

from iommutui.core.hazards import Hazard, Severity, Topic
from iommutui.core.host import Host
from iommutui.core.models import MODELS
from iommutui.core.plan.intents import Intent
from iommutui.core.plan.planner import plan_intents
from iommutui.tui.machines.base import Job
from iommutui.tui.pages.plan import Review
from iommutui.tui.rows import listing
from iommutui.tui.screens.review import ReviewScreen
from iommutui.tui.state import Key
from iommutui.tui.widgets.bars import KeyBar
from tests.tui.driver import SMALLEST, USUAL, WIDE, screen_of, snapshot_of
from tests.tui.machines import DISK, GPU, NIC, PORT, SOUND, changed, small, without_iommu


async def test_staging_a_card_changes_the_verdict_at_once() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.select(GPU)
        await ui.press("v")
        assert "nvidia → vfio-pci" in ui.line_with(GPU, "▌")
        assert "still blocked" in ui.line_with("✖ blocked", "VGA")
        await ui.press("F")
        assert "→ ✔ viable planned" in ui.line_with("✖ blocked", "VGA")
        assert "2 changes, 6 writes, loads vfio-pci" in ui.line_with("3 Plan")


async def test_space_on_a_group_stages_its_devices_and_not_its_bridge() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.select(1)
        await ui.press("space")
        assert ui.staged() == [f"{GPU}=vfio-pci", f"{SOUND}=vfio-pci"]
        await ui.press("space")
        assert ui.staged() == []


async def test_target_keys_stage_and_x_unstages() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.select(NIC)
        for key, target in (("v", "vfio-pci"), ("p", "pci-stub"), ("f", "none")):
            await ui.press(key)
            assert ui.staged() == [f"{NIC}={target}"]
        await ui.press("x")
        assert ui.staged() == []
        await ui.press("z", "z")
        assert ui.staged() == [f"{NIC}=pci-stub"]
        await ui.press("Z", "X")
        assert ui.staged() == []


async def test_a_target_already_reached_is_not_staged() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.select(NIC)
        await ui.press("d")
        assert ui.staged() == []
        assert ui.toasts() == ["0000:05:00.0 is on the kernel's choice already."]


async def test_a_target_is_chosen_from_those_that_fit() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.select(GPU)
        await ui.press("t")
        assert "loads vfio-pci" in ui.line_with("hand it to a virtual machine")
        assert "it is on this driver" in ui.line_with("nvidia", "let this machine use it")
        await ui.press("j", "j")
        assert "Group 1 is then still ✖ blocked." in ui.text()
        await ui.press("enter")
        assert ui.staged() == [f"{GPU}=none"]
        await ui.press("t")
        assert "staged" in ui.line_with("none", "keep it free")
        await ui.press("escape")
        assert ui.staged() == [f"{GPU}=none"]


async def test_a_bridge_cannot_be_staged_and_the_key_says_why() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.select(PORT)
        await ui.press("v")
        assert ui.staged() == []
        assert ui.toasts()[-1].startswith("0000:00:01.0 is a bridge, and vfio-pci refuses bridges.")


async def test_a_snapshot_is_applied_after_a_review_and_reverted() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.select(1)
        await ui.press("space", "a")
        assert "echo vfio-pci > /sys/bus/pci/devices/0000:01:00.0/driver_override" in ui.text()
        assert "nothing is real" in ui.text()
        await ui.press("y")
        host = ui.state.host
        assert host is not None
        assert (host.devices[GPU].driver, host.devices[SOUND].driver) == ("vfio-pci", "vfio-pci")
        assert ui.staged() == []
        assert "✔ viable" in ui.line_with("▌")
        assert any("R reverts it" in toast for toast in ui.toasts())
        await ui.press("L")
        assert "echo 0000:01:00.0 > /sys/bus/pci/drivers/nvidia/unbind: ok" in ui.text()
        await ui.press("escape", "R")
        assert "Review: revert the last apply" in ui.text()
        assert "t sets a timer" in ui.text()
        assert "It stays" not in ui.text()
        await ui.press("y")
        host = ui.state.host
        assert host is not None
        assert (host.devices[GPU].driver, host.devices[GPU].driver_override) == ("nvidia", None)
        assert ui.state.applies == 0
        await ui.press("R")
        assert ui.toasts() == ["Everything that was applied here has been reverted."]


async def test_enter_alone_never_applies() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.select(NIC)
        await ui.press("v", "a", "enter")
        assert ui.state.host == small()
        assert ui.staged() != []
        await ui.press("a", "tab", "enter")
        assert ui.state.host != small()


async def test_a_refused_plan_cannot_be_applied() -> None:
    async with screen_of(snapshot_of(without_iommu())) as ui:
        await ui.select(NIC)
        await ui.press("v", "a")
        assert "This plan is refused" in ui.text()
        assert "Apply" not in ui.line_with("Close")
        await ui.press("y")
        assert ui.toasts()[-1] == "This plan is refused."
        assert "Esc close" in ui.lines()[-1]
        await ui.press("Y")
        assert ui.toasts()[-1] == "This plan is refused, so its writes are not copied."
        assert ui.app.clipboard == ""
        await ui.press("enter")
        assert ui.state.host == without_iommu()


def dangerous(host: Host, *intents: Intent) -> tuple[Review, Hazard]:
    """The review of a plan with a danger for each display, and the danger of the first."""
    plan = plan_intents(host, intents, MODELS["dma-owner"])
    dangers = [Hazard("boot-display", Topic.DISPLAY, Severity.DANGER, intent.device) for intent in intents]
    return Review("Review", Job(plan._replace(hazards=tuple(dangers)), intents, MODELS["dma-owner"])), dangers[0]


async def test_several_group_numbers_are_typed_with_a_space_or_a_comma() -> None:
    review, _ = dangerous(small(), Intent(NIC, "vfio-pci"), Intent(DISK, "vfio-pci"))
    for typed in ("2 3", "3,2", "2, 3"):
        async with screen_of(snapshot_of(small())) as ui:
            await ui.show(ReviewScreen(review))
            await ui.type(typed[:1])
            assert "✔ y applies" not in ui.text()
            await ui.press(*("space" if char == " " else "comma" if char == "," else char for char in typed[1:]))
            assert "✔ y applies" in ui.text()


async def test_a_danger_asks_for_the_groups_number_first() -> None:
    review, danger = dangerous(small(), Intent(NIC, "vfio-pci"))
    answers: list[Job | None] = []
    async with screen_of(snapshot_of(small())) as ui:
        await ui.show(ReviewScreen(review), answers.append)
        for key in ("enter", "y"):
            await ui.press(key)
            assert ui.toasts() == ["Type 2, the group's number, first."]
        assert answers == []
        assert not ui.app.screen.query_one(KeyBar).hints[0].enabled
        await ui.type("2")
        assert ui.app.screen.query_one(KeyBar).hints[0].enabled
        assert ui.line_with("✔ y applies")
        await ui.press("enter", "tab", "enter")
        assert answers == [review.job]
        assert review.job.accepted == (danger.acceptance,)


async def test_the_keys_of_the_review_work_while_a_number_is_typed() -> None:
    review, _ = dangerous(small(), Intent(NIC, "vfio-pci"))
    async with screen_of(snapshot_of(small())) as ui:
        await ui.show(ReviewScreen(review))
        await ui.press("2", "t", "Y", "x", "j")
        assert "Apply 3 writes, 30 s timer  y" in ui.text()
        assert "driver_override" in ui.app.clipboard
        assert ui.app.screen.query_one(Input).value == "2"
        await ui.press("n")
        assert ui.app.screen is ui.app.desk


async def test_the_address_of_a_device_without_a_group_is_typed_letter_by_letter() -> None:
    review, danger = dangerous(without_iommu(), Intent(NIC, "none"))
    answers: list[Job | None] = []
    async with screen_of(snapshot_of(without_iommu())) as ui:
        await ui.show(ReviewScreen(review), answers.append)
        await ui.type(NIC)
        assert ui.app.screen.query_one(Input).value == NIC
        await ui.press("y")
        assert answers == [review.job]
        assert review.job.accepted == (danger.acceptance,)


async def test_once_the_number_is_typed_y_applies_from_the_field() -> None:
    review, danger = dangerous(small(), Intent(NIC, "vfio-pci"))
    answers: list[Job | None] = []
    async with screen_of(snapshot_of(small())) as ui:
        await ui.show(ReviewScreen(review), answers.append)
        await ui.press("3", "y")
        assert answers == []
        await ui.press("backspace", "2", "y")
        assert answers == [review.job]
        assert review.job.accepted == (danger.acceptance,)


async def test_a_message_is_replaced_and_never_covers_a_dialog() -> None:
    async with screen_of(snapshot_of(small()), (80, 24)) as ui:
        await ui.press("c", "F")
        assert ui.toasts() == ["Nothing is needed: the group is viable once the plan is applied."]
        await ui.press("x")
        assert ui.toasts() == []
        await ui.press("full_stop")
        assert ui.toasts() == ["Groups with nothing to pass through are hidden."]
        await ui.press("question_mark")
        assert ui.toasts() == []
        assert "are hidden." not in ui.text()


async def test_messages_of_a_burst_do_not_cover_the_review_it_opens() -> None:
    async with screen_of(snapshot_of(small()), (80, 24)) as ui:
        await ui.burst("a")
        assert "Nothing is staged; " in ui.toasts()[0]
        await ui.burst("a", "c", "a")
        assert "Review: apply" in ui.text()
        assert ui.toasts() == []


async def test_the_last_log_entry_is_shown_from_its_first_line() -> None:
    async with screen_of(snapshot_of(small()), (80, 24)) as ui:
        await ui.press("c", "a", "y", "L")
        assert not any("Applying" in line for line in ui.lines())
        assert "done" in ui.line_with("devices changed")


async def test_a_terminal_that_is_too_small_shows_its_size() -> None:
    async with screen_of(snapshot_of(small()), (40, 10)) as ui:
        assert ui.line_with("The window is 40x10; 60x18 is needed.")
        await ui.pilot.resize_terminal(50, 12)
        assert ui.line_with("The window is 50x12; 60x18 is needed.")
        await ui.pilot.resize_terminal(80, 24)
        assert ui.line_with("1 Groups")


async def test_a_filter_is_typed_kept_and_cleared() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.press("slash")
        await ui.type("class:gpu")
        assert "1 of 5" in ui.text()
        assert "05:00.0" not in ui.text()
        await ui.press("enter", "j")
        assert "class:gpu" in ui.text()
        assert ui.state.cursor == Key(1, GPU)
        await ui.press("escape")
        assert ui.state.filter == ""
        assert "05:00.0" in ui.text()
        assert ui.state.cursor == Key(1, GPU)
        await ui.press("escape", "escape")
        assert ui.app.is_running


async def test_a_filter_that_matches_nothing_says_so() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.press("slash")
        await ui.type("zz")
        assert "Nothing matches zz" in ui.text()
        await ui.press("escape")
        assert "05:00.0" in ui.text()


async def test_a_mistake_in_a_filter_is_named_even_if_something_matches() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.press("slash")
        await ui.type("foo:bar,nvidia")
        await ui.press("enter")
        assert ui.toasts()[-1].startswith("Unknown key 'foo'")


async def test_typing_replaces_the_old_filter_and_an_arrow_key_edits_it() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.press("slash", "n", "v", "i", "enter", "slash", "right", "d", "enter")
        assert ui.state.filter == "nvid"
        await ui.press("slash", "i", "g", "b")
        assert ui.state.filter == "igb"


async def test_keys_typed_into_the_filter_are_text() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.press("slash")
        await ui.type("quavf")
        assert ui.state.filter == "quavf"
        assert ui.staged() == []


async def test_keys_fold_groups_and_move_the_cursor() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.select(GPU)
        await ui.press("h")
        assert ui.state.cursor == Key(1)
        assert "▸" in ui.line_with("▌")
        assert Key(1, SOUND) not in listing(ui.state).keys
        await ui.press("l", "G")
        assert ui.state.cursor == Key(3, DISK)
        await ui.press("K")
        assert ui.state.cursor == Key(3)
        await ui.press("H")
        assert len(listing(ui.state).keys) == 3
        await ui.press("H", "g")
        assert ui.state.cursor == Key(1)


async def test_kernel_rules_are_chosen_from_a_list() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        assert "rules Linux 5.19 and later" in ui.lines()[0]
        await ui.press("m")
        assert "this kernel" in ui.line_with("dma-owner")
        assert "never merged" in ui.line_with("kernel-ownership")
        assert ui.state.model.name == "dma-owner"
        await ui.press("j", "enter")
        assert ui.state.model.name == "vfio-group"
        assert "rules Linux up to 5.18 (not this kernel)" in ui.lines()[0]
        assert "not the rules of this machine's kernel" in ui.toasts()[-1]
        await ui.press("m", "escape")
        assert ui.state.model.name == "vfio-group"


async def test_rules_of_an_unknown_kernel_are_called_assumed() -> None:
    async with screen_of(snapshot_of(small()._replace(kernel=None))) as ui:
        await ui.press("m")
        assert "assumed: kernel unknown" in ui.line_with("dma-owner")
        assert "this kernel" not in ui.text()


async def test_quitting_asks_if_something_is_staged() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.select(NIC)
        await ui.press("v", "q")
        assert "1 change is staged and not applied" in ui.text()
        await ui.press("enter")
        assert ui.app.is_running
        assert ui.staged() != []
        await ui.press("q", "y")
        assert not ui.app.is_running


async def test_quitting_with_nothing_staged_does_not_ask() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.pilot.press("q")
        await ui.pilot.pause()
        assert not ui.app.is_running


async def test_the_address_is_copied() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.select(GPU)
        await ui.press("y")
        assert ui.app.clipboard == GPU


async def test_help_comes_from_the_registry() -> None:
    async with screen_of(snapshot_of(small()), WIDE) as ui:
        await ui.press("question_mark")
        assert "Stage pci-stub: park it on a driver that does nothing." in ui.text()
        await ui.press("question_mark")
        assert "Stage pci-stub" not in ui.text()


async def test_tab_cycles_through_the_panes_and_keys_scroll_the_focused_one() -> None:
    async with screen_of(snapshot_of(small()), USUAL) as ui:
        await ui.select(GPU)
        await ui.press("tab")
        before = ui.text()
        await ui.press("j", "j")
        assert ui.text() != before
        assert ui.state.cursor == Key(1, GPU)
        await ui.press("tab", "tab", "j")
        assert ui.state.cursor == Key(1, SOUND)


async def test_a_click_selects_and_a_click_on_the_mark_folds() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.pilot.click("#list", offset=(10, 4))
        await ui.settle()
        assert ui.state.cursor == Key(1, GPU)
        await ui.pilot.click("#list", offset=(2, 2))
        await ui.settle()
        assert ui.state.collapsed == {1}
        await ui.pilot.click("#keys", offset=(1, 0))
        await ui.settle()
        assert ui.staged() != []


async def test_a_snapshot_always_says_that_nothing_is_real() -> None:
    for size in (WIDE, USUAL, SMALLEST):
        async with screen_of(snapshot_of(small(), "a-rather-long-name-of-a-file-from-a-friend.json"), size) as ui:
            for keys in ((), ("m",), ("question_mark",), ("escape", "L"), ("escape", "slash")):
                await ui.press(*keys)
                assert "nothing is real" in ui.text(), (size, keys)


async def test_a_terminal_that_is_too_small_shows_the_needed_size_and_recovers() -> None:
    async with screen_of(snapshot_of(small()), (50, 12)) as ui:
        assert "60x18 is needed" in ui.text()
        await ui.pilot.resize_terminal(80, 24)
        await ui.settle()
        assert str(GPU) in ui.text()
        await ui.press("k")
        assert ui.state.cursor == Key(1, PORT)


async def test_a_plan_whose_unbind_would_hang_is_refused() -> None:
    from iommutui.core.host import Claim

    host = changed(small(), NIC, driver="vfio-pci", driver_override="vfio-pci", vfio_dev=("vfio0",))
    host = host.with_group(host.groups[2]._replace(claim=Claim("qemu (pid 7)", opened=(NIC,))))
    async with screen_of(snapshot_of(host)) as ui:
        await ui.select(NIC)
        await ui.press("d", "a")
        assert "✖ would hang" in ui.text()
        assert "in use by qemu (pid 7)" in ui.text()


async def test_a_burst_of_keys_never_confirms_an_unseen_review() -> None:
    """Keys to filter, stage and review arrive at once, as from a slow line or a macro. A later ``y`` applies."""
    async with screen_of(snapshot_of(small())) as ui:
        before = ui.state.host
        await ui.burst("slash", *"05:00", "enter", "j", "v", "a", "y")
        assert ui.state.filter == "05:00"
        assert isinstance(ui.app.screen, ReviewScreen)
        assert ui.state.host == before
        await ui.press("y")
        assert ui.state.host is not None
        assert ui.state.host.devices[NIC].driver == "vfio-pci"
        await ui.burst("R", "y")
        assert isinstance(ui.app.screen, ReviewScreen)
        await ui.press("y")
        assert before is not None
        assert ui.state.host.devices[NIC]._replace(fits=None) == before.devices[NIC]._replace(fits=None)


async def test_nothing_is_selected_if_no_row_matches_the_filter() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.select(NIC)
        await ui.press("/")
        await ui.type("nosuchthing")
        await ui.press("enter", "v")
        assert ui.staged() == []
        await ui.press("escape")
        assert ui.state.selection == Key(2, NIC)


async def test_keys_right_after_the_slash_belong_to_the_filter() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.settle()
        await ui.burst("slash", *"nic")
        assert ui.state.filter == "nic"
