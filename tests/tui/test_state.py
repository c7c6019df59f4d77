"""Steps from one state to the next."""

import pytest

from iommutui.core.address import Address
from iommutui.core.errors import IommutuiError
from iommutui.core.models import MODELS
from iommutui.core.plan.intents import Intent
from iommutui.tui.state import (
    AppState,
    Key,
    Phase,
    Source,
    SourceKind,
    failed,
    first_row,
    folded,
    own_model,
    redone,
    staged,
    start,
    undone,
    with_host,
)
from tests.tui.machines import DISK, GPU, NIC, SOUND, changed, small

DEMO = Source(SourceKind.DEMO, "demo")


def ready(**fields: object) -> AppState:
    return with_host(start(DEMO), small())[0]._replace(**fields)  # type: ignore[arg-type]


def test_staging_replaces_a_target_and_keeps_the_order_of_addresses() -> None:
    state = staged(staged(ready(), {NIC: "none"}), {GPU: "vfio-pci", NIC: "pci-stub"})
    assert state.intents == (Intent(GPU, "vfio-pci"), Intent(NIC, "pci-stub"))


def test_staging_an_intent_twice_changes_nothing() -> None:
    state = staged(ready(), {GPU: "vfio-pci"})
    assert staged(state, {GPU: "vfio-pci"}) is state


def test_undo_and_redo_step_through_the_stagings() -> None:
    first = staged(ready(), {GPU: "vfio-pci"})
    second = staged(first, {SOUND: "none"})
    back = undone(second)
    assert back.intents == first.intents
    assert redone(back).intents == second.intents
    assert undone(undone(undone(second))).intents == ()


def test_staging_after_an_undo_clears_redo() -> None:
    state = staged(undone(staged(ready(), {GPU: "vfio-pci"})), {NIC: "none"})
    assert redone(state) is state


@pytest.mark.parametrize(
    ("other", "boot_vga", "chosen"),
    [
        ({"vendor_id": "1a03"}, False, GPU), ({"boot_vga": True}, None, GPU), ({"boot_vga": False}, True, NIC),
        ({"address": "0000:00:02.0"}, None, GPU),
    ],
)  # fmt: skip
def test_the_cursor_starts_on_a_card_not_on_the_integrated_display(
    other: dict[str, object], boot_vga: bool | None, chosen: str
) -> None:
    host = changed(small(), GPU, boot_vga=boot_vga)
    display = host.devices[NIC]._replace(class_code="030000", **other)  # type: ignore[arg-type]
    assert first_row(host._replace(devices={display.address: display, GPU: host.devices[GPU]})).device == chosen


def test_the_model_follows_the_kernel_until_the_user_chooses() -> None:
    old = with_host(start(DEMO), small("5.10"))[0]
    assert old.model.name == "vfio-group"
    chosen = old._replace(model=MODELS["dma-owner"], chosen_model=True)
    assert not own_model(chosen)
    assert with_host(chosen, small("6.12"))[0].model is chosen.model


def test_folding_moves_the_cursor_to_the_group() -> None:
    state = folded(ready(cursor=Key(1, GPU)), 1, True)
    assert state.cursor == Key(1)
    assert folded(state, 1, False).collapsed == frozenset()


def test_a_rescan_keeps_the_users_view() -> None:
    before = staged(ready(cursor=Key(2, NIC), filter="igb", collapsed=frozenset({3})), {GPU: "vfio-pci"})
    after, notes = with_host(before, changed(small(), DISK, driver="nvme"))
    assert (after.cursor, after.filter, after.collapsed, after.intents) == (
        before.cursor, before.filter, before.collapsed, before.intents,
    )  # fmt: skip
    assert notes == ()


def test_a_fulfilled_intent_leaves_the_plan() -> None:
    before = staged(ready(), {GPU: "vfio-pci"})
    after, notes = with_host(before, changed(small(), GPU, driver="vfio-pci", driver_override="vfio-pci"))
    assert after.intents == ()
    assert notes == ("0000:01:00.0=vfio-pci is done already; it is removed from the plan.",)


def test_an_intent_that_has_become_impossible_stays_and_is_reported_once() -> None:
    before = staged(ready(), {GPU: "vfio-pci"})
    gone = small()
    devices = {address: device for address, device in gone.devices.items() if address != GPU}
    after, notes = with_host(before, gone._replace(devices=devices))
    assert after.intents == before.intents
    assert notes == ("0000:01:00.0=vfio-pci is no longer possible. There is no device 0000:01:00.0.",)
    assert with_host(after, gone._replace(devices=dict(devices)))[1] == ()


def test_the_cursor_follows_a_device_into_another_group() -> None:
    host = small()
    moved = changed(host, DISK, group=2)
    groups = {2: host.groups[2]._replace(members=(NIC, DISK)), 1: host.groups[1]}
    assert with_host(ready(cursor=Key(3, DISK)), moved._replace(groups=groups))[0].cursor == Key(2, DISK)


def test_a_failed_scan_keeps_the_last_machine() -> None:
    assert failed(ready(), IommutuiError("no")).phase is Phase.READY
    assert failed(start(DEMO), IommutuiError("no")).phase is Phase.FAILED


def test_only_two_hundred_stagings_can_be_undone() -> None:
    state = ready()
    for number in range(300):
        state = staged(state, {Address("0000:05:00.0"): ("none", "pci-stub")[number % 2]})
    assert len(state.undo) == 200
