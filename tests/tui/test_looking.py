"""Views, pages, presets, marks and jumps, driven by keys."""

import pytest

from iommutui.core.address import Address
from iommutui.core.host import Device, Group
from iommutui.core.plan.planner import shell_script
from iommutui.core.query import completion
from iommutui.demo import demo_host
from iommutui.tui.commands.viewing import place
from iommutui.tui.derived import preview
from iommutui.tui.pages.copies import copies
from iommutui.tui.rows import listing
from iommutui.tui.state import Key, Pane, Sort, Tab, View, staged
from tests.tui.driver import USUAL, WIDE, screen_of, snapshot_of
from tests.tui.machines import DISK, GPU, NIC, PORT, SOUND, changed, small
from tests.tui.test_tabs import state_of


async def test_the_cursor_starts_on_a_likely_card() -> None:
    async with screen_of(snapshot_of(demo_host()), USUAL) as ui:
        assert "09:00.0" in ui.line_with("▌")
        assert ui.line_with("✖ Group 17 is not viable.")


async def test_c_stages_all_that_frees_the_card_and_shift_c_returns_it() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.select(GPU)
        await ui.press("c")
        assert ui.staged() == [f"{GPU}=vfio-pci", f"{SOUND}=vfio-pci"]
        assert "→ ✔ viable planned" in ui.line_with("✖ blocked", "VGA")
        await ui.press("c")
        assert ui.toasts()[-1] == "All that frees the card 0000:01:00 is staged already; a shows the writes."
        await ui.press("a", "y", "C")
        assert ui.staged() == [f"{GPU}=default", f"{SOUND}=default"]
        await ui.press("a", "y", "C")
        assert ui.toasts()[-1].startswith("Nothing to give back: the host has the card 0000:01:00.")


async def test_on_a_groups_row_the_preset_is_for_the_group() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.select(2)
        await ui.press("c")
        assert ui.staged() == [f"{NIC}=vfio-pci"]


@pytest.mark.parametrize(
    ("row", "why"),
    [(PORT, "is a bridge, and vfio-pci refuses bridges"), (3, "Nothing is needed: no driver has to leave group 3")],
)
async def test_an_impossible_preset_says_why(row: str | int, why: str) -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.select(row)
        await ui.press("c")
        assert why in ui.toasts()[-1]
        assert ui.staged() == []


async def test_each_tab_has_a_key_that_the_title_shows() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.select(GPU)
        for key, tab, words in (
            ("i", Tab.DEVICE, "Drivers that fit"),
            ("e", Tab.IMPACT, "would lose with this"),
            ("M", Tab.MODELS, "under each set of rules"),
            ("w", Tab.WHY, "Smallest fix"),
        ):
            await ui.press(key)
            assert ui.state.tab is tab
            assert ui.line_with(words)
        assert "2  Why  i Device  e Impact  M Models" in ui.text()


async def test_enter_folds_a_group_and_opens_the_details_of_a_device() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.select(1)
        await ui.press("enter")
        assert 1 in ui.state.collapsed
        await ui.press("enter")
        assert 1 not in ui.state.collapsed
        await ui.select(GPU)
        await ui.press("enter", "enter")
        assert ui.state.tab is Tab.DEVICE
        assert ui.state.cursor == Key(1, GPU)


async def test_enter_in_the_plan_opens_the_details_of_the_line() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.select(NIC)
        await ui.press("v", "g", "3", "enter")
        assert ui.state.cursor == Key(2, NIC)
        assert ui.state.pane is Pane.DETAILS


async def test_space_in_the_details_scrolls_a_page_down() -> None:
    async with screen_of(snapshot_of(small()), USUAL) as ui:
        await ui.select(GPU)
        await ui.press("2", "i")
        before = ui.text()
        await ui.press("space")
        assert ui.staged() == []
        assert ui.text() != before


async def test_in_the_log_no_key_acts_on_the_rows_behind_it() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.select(2)
        await ui.press("L", "c", "space", "enter")
        assert ui.staged() == []
        assert 2 not in ui.state.collapsed


async def test_the_topology_keeps_the_cursor_and_esc_returns() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.select(SOUND)
        await ui.press("T")
        assert "└─01:00.1" in ui.line_with("▌")
        await ui.press("J")
        assert ui.state.cursor == Key(2, NIC)
        await ui.press("space")
        assert "igb → vfio-pci" in ui.line_with("▌")
        await ui.press("escape")
        assert ui.state.view is View.GROUPS
        assert ui.state.cursor == Key(2, NIC)


async def test_a_search_in_the_topology_hides_nothing() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.press("T", "slash")
        await ui.type("samsung")
        assert "1 of 5" in ui.text()
        assert "05:00.0" in ui.text()
        await ui.press("enter")
        assert ui.state.cursor == Key(3, DISK)
        await ui.press("escape", "n")
        assert ui.toasts()[-1] == "No search is active; / starts one."


async def test_the_log_is_a_view_and_esc_returns() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.press("L")
        assert "Nothing has been written yet" in ui.text()
        await ui.press("j", "escape")
        assert ui.state.view is View.GROUPS
        assert ui.app.desk.focused is ui.app.desk.query_one("#list")
        await ui.press("L", "slash")
        await ui.type("igb")
        assert ui.state.view is View.GROUPS
        assert ui.state.filter == "igb"


async def test_ordering_the_groups_keeps_the_cursor_on_its_row() -> None:
    async with screen_of(snapshot_of(demo_host())) as ui:
        await ui.press("s")
        assert ui.state.sort is Sort.KIND
        assert ui.state.cursor == Key(17, ui.state.cursor.device if ui.state.cursor else None)
        assert listing(ui.state).keys[0] == Key(15)
        assert "Groups by kind" in ui.text()
        await ui.press("s")
        assert "Groups by verdict" in ui.text()
        await ui.press("s", "T", "s")
        assert "Only the list of groups has this" in ui.toasts()[-1]


async def test_going_to_a_group_address_interface_or_id() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        for text, key in (
            ("2", Key(2)),
            ("06:00.0", Key(3, DISK)),
            ("enp5s0", Key(2, NIC)),
            ("10de:228b", Key(1, SOUND)),
        ):
            await ui.press("o")
            await ui.type(text)
            assert "✔" in ui.text()
            await ui.press("enter")
            assert ui.state.cursor == key
        await ui.press("o")
        await ui.type("77")
        assert "There is no group 77." in ui.text()
        await ui.press("enter", "escape")
        assert ui.state.cursor == Key(1, SOUND)


@pytest.mark.parametrize("text", ["²", "٢", "1" * 5000])
def test_digits_that_are_not_a_group_number_are_refused(text: str) -> None:
    """``²`` is a key on some keyboards, and a digit that ``int`` refuses; it also refuses a very long number."""
    assert place(small(), text)[0] is None


async def test_a_marked_device_is_found_again() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.select(DISK)
        await ui.press("b", "g", "B")
        assert ui.state.cursor == Key(3, DISK)
        assert "*" in ui.line_with("▌", DISK)
        await ui.press("b", "B")
        assert "No device is marked" in ui.toasts()[-1]


async def test_the_text_to_copy_is_chosen_from_a_list() -> None:
    async with screen_of(snapshot_of(small())) as ui:
        await ui.select(GPU)
        await ui.press("Y", "j", "enter")
        assert ui.app.clipboard == "10de:2484"
        await ui.press("Y", "G", "end", "enter")
        assert "IOMMU Group 1 (blocked):" in ui.app.clipboard


def test_the_report_has_the_facts_that_forums_ask_for() -> None:
    copied = {copy.name: copy for copy in copies(state_of(small()))}
    text = copied["report"].text()
    assert "- Kernel: 6.12.1\n" in text
    assert "IOMMU Group 1 (blocked):" in text
    assert "0000:01:00.0 VGA compatible controller [0300]: NVIDIA Corporation GA104 [GeForce RTX 3070]" in text
    hostile = {copy.name: copy for copy in copies(state_of(changed(small(), NIC, device_name="\x1b[31m")))}
    assert "\x1b" not in hostile["report"].text()


def test_the_writes_of_the_plan_can_be_copied_for_a_shell() -> None:
    state = staged(state_of(small()), {NIC: "vfio-pci"})
    found = preview(state)
    assert found is not None
    assert shell_script(found).splitlines()[:3] == [
        "# Only where 0000:05:00.0 is 8086:1533: on another machine these addresses are other devices.",
        "modprobe vfio-pci",
        "echo vfio-pci > /sys/bus/pci/devices/0000:05:00.0/driver_override",
    ]
    assert "shell" in [copy.name for copy in copies(state)]
    assert "shell" not in [copy.name for copy in copies(state_of(small()))]


@pytest.mark.parametrize(
    ("text", "offered"),
    [("dr", "driver:"), ("x !via", "x !viable:"), ("viable:n", "viable:no"), ("driver:nvi", "driver:nvidia"),
     ("class:gp", "class:gpu"), ("zz", None), ("driver:", None), ("", None), ("driver:nvidia", None),
     ("driver:igb,nvi", "driver:igb,nvidia"), ("class:gpu|dr", None), ("driver:igb|class:gp", "driver:igb|class:gpu"),
     ("id:8086:15", "id:8086:1533"), ("id:10de:15", None), ("x:dr", None), (":dr", None)],
)  # fmt: skip
def test_a_filter_is_completed(text: str, offered: str | None) -> None:
    assert completion(small(), text) == offered


async def test_tab_accepts_the_completion_of_the_filter() -> None:
    async with screen_of(snapshot_of(small()), WIDE) as ui:
        await ui.press("slash")
        await ui.type("dr")
        await ui.press("tab")
        assert ui.state.filter == "driver:"
        await ui.type("ig")
        await ui.press("tab")
        assert ui.state.filter == "driver:igb"
        assert "1 of 5" in ui.text()


async def test_a_click_on_a_title_opens_its_tab() -> None:
    async with screen_of(snapshot_of(small()), WIDE) as ui:
        title = ui.line_with("Why", "Models")
        await ui.pilot.click(None, offset=(title.index("Models") + 2, ui.lines().index(title)))
        await ui.settle()
        assert ui.state.tab is Tab.MODELS


@pytest.mark.parametrize(
    ("what", "key", "said"),
    [
        ("0000:0d:00.0", "c", "Nothing frees 0000:0d:00.0 for a virtual machine: Firmware requires a direct mapping"),
        ("0000:0d:00.0", "F", "Nothing frees 0000:0d:00.0 for a virtual machine: Firmware requires a direct mapping"),
        ("0000:0b:00.0", "c", "Nothing is needed: group 19 is handed over already, and in use by qemu"),
        ("0000:00:14.0", "c", "Nothing here can go to a virtual machine. 0000:00:14.0 is an SMBus controller"),
    ],
)
async def test_a_device_that_cannot_be_freed_says_why(what: str, key: str, said: str) -> None:
    async with screen_of(snapshot_of(demo_host())) as ui:
        await ui.select(what)
        await ui.press(key)
        assert ui.staged() == []
        assert ui.toasts()[-1].startswith(said)


async def test_mistakes_in_a_filter_are_named() -> None:
    async with screen_of(snapshot_of(small()), USUAL) as ui:
        await ui.press("slash")
        await ui.type("clas:gpu")
        assert "! Unknown key 'clas'; the keys are bus, class," in ui.text()
        await ui.press("escape", "slash")
        await ui.type("driver:xyz")
        assert "Nothing matches driver:xyz" in ui.text()
        assert "Unknown key" not in ui.text()


async def test_a_group_can_be_freed_after_its_chipset_function_is_unbound_by_name() -> None:
    host = small()
    smbus = Device(Address("0000:05:00.4"), vendor_id="8086", device_id="a123", class_code="0c0500", header_type=0,
                   driver="i801_smbus", group=2, fits=())  # fmt: skip
    host = host.with_device(smbus).with_group(Group(2, (NIC, smbus.address), "DMA"))
    async with screen_of(snapshot_of(host)) as ui:
        await ui.select(NIC)
        await ui.press("c")
        assert ui.staged() == []
        assert "is an SMBus controller of this machine" in ui.toasts()[-1]
        assert f"name it yourself: {smbus.address}=none" in ui.toasts()[-1]
        await ui.select(smbus.address)
        await ui.press("f")
        await ui.select(NIC)
        await ui.press("c")
        assert ui.staged() == [f"{NIC}=vfio-pci", f"{smbus.address}=none"]
