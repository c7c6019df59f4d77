"""Sharing and opening from the screen: reports, exports, errors, comparisons, other machines."""

from pathlib import Path

import pytest
from textual.events import Paste

from iommutui.core.models import model_for
from iommutui.core.report import report
from iommutui.demo import demo_host
from iommutui.sources import load
from iommutui.sources.snapshot import write
from iommutui.tui.machines import machine_of
from iommutui.tui.machines.base import Machine
from tests.sources.listings.test_formats import WITH_IDS, WITHOUT_IDS
from tests.tui.driver import Ui, screen_of


def demo() -> Machine:
    return machine_of(None, demo=True, kernel=None)


LISTING = """\
IOMMU Group 1:
\t00:01.0 PCI bridge [0604]: Intel Corporation Xeon E3 PCIe Controller (x16) [8086:1901] (rev 07)
\t01:00.0 VGA compatible controller [0300]: NVIDIA Corporation GP104 [GeForce GTX 1070] [10de:1b81] (rev a1)
"""


async def paste(ui: Ui, text: str) -> None:
    """Sends a bracketed paste, as a terminal does."""
    ui.app.post_message(Paste(text).set_sender(ui.app))
    await ui.settle()


async def test_an_error_is_explained_on_the_machine_of_the_screen() -> None:
    async with screen_of(demo()) as ui:
        await ui.press("E")
        await ui.type("group 17 is not viable")
        await ui.press("enter")
        assert "Recognised: " in ui.text()
        assert "nouveau" in ui.text()


async def test_all_lines_of_a_pasted_error_are_read() -> None:
    async with screen_of(demo()) as ui:
        await ui.press("E")
        await paste(ui, "qemu-system-x86_64: -device vfio-pci:\nvfio 0000:09:00.0: group 17 is not viable\n")
        assert "Recognised: " in ui.text()


async def test_a_report_can_be_saved_and_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    async with screen_of(demo()) as ui:
        await ui.press("W", "s")
        for _ in "iommutui-report.md":
            await ui.press("backspace")
        await ui.type(str(path))
        await ui.press("enter")
    host, saved = demo_host(), load(str(path))
    assert path.read_text().splitlines()[0] == report(host, model_for(host.kernel)).splitlines()[0]
    assert {n: group.members for n, group in saved.groups.items()} == {n: g.members for n, g in host.groups.items()}


async def test_an_existing_file_is_overwritten_only_after_a_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "keep.txt"
    path.write_text("mine")
    async with screen_of(demo()) as ui:
        for key in "escape", "y":
            await ui.press("W", "s", "ctrl+u")
            await ui.type("~/keep.txt")
            await ui.press("enter")
            assert "Overwrite it?" in ui.text()
            await ui.press(key, "escape")
            assert (path.read_text() == "mine") is (key == "escape")


async def test_a_report_shows_no_tabs() -> None:
    async with screen_of(demo()) as ui:
        await ui.press("W", "G")
        assert r"\t" not in ui.text()


async def test_the_staged_card_is_exported() -> None:
    async with screen_of(demo()) as ui:
        await ui.select("0000:09:00.0")
        await ui.press("c", "V")
        assert "libvirt" in ui.text()
        await ui.press("enter")
        assert "<hostdev" in ui.text()


async def test_an_export_without_staged_devices_says_how_to_stage_some() -> None:
    async with screen_of(demo()) as ui:
        await ui.press("V")
        assert "c frees a card" in ui.text()


async def test_only_this_machine_persists() -> None:
    async with screen_of(demo()) as ui:
        await ui.select("0000:09:00.0")
        await ui.press("c", "P")
        assert "only on the machine" in ui.text()


async def test_a_machine_is_compared_with_a_file(tmp_path: Path) -> None:
    host = demo_host()
    other = tmp_path / "before.json"
    write(host._replace(kernel="5.10.0"), str(other))
    async with screen_of(demo()) as ui:
        await ui.press("D")
        await ui.type(str(other))
        await ui.press("enter")
        assert "5.10.0" in ui.text()


async def test_a_machine_is_compared_with_a_pasted_listing() -> None:
    async with screen_of(demo()) as ui:
        await ui.press("D")
        await paste(ui, LISTING)
        assert "From pasted listing to this machine" in ui.text()


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("prompted", [True, False])
async def test_a_pasted_listing_opens_after_a_question(prompted: bool, end: str) -> None:
    async with screen_of(demo()) as ui:
        if prompted:
            await ui.press("O")
        await paste(ui, LISTING.replace("\n", end))
        assert "Open another machine?" in ui.text()
        await ui.press("y")
        await ui.until(lambda: "Whether group 1 is viable is unknown" in ui.text())
        assert "pasted listing" in ui.text()
        assert ui.state.source.real is False


@pytest.mark.parametrize("name", [*WITH_IDS, *WITHOUT_IDS])
async def test_a_bare_paste_of_every_format_opens(name: str) -> None:
    async with screen_of(demo()) as ui:
        await paste(ui, {**WITH_IDS, **WITHOUT_IDS}[name])
        await ui.press("y")
        await ui.until(lambda: ui.state.host is not None and {*ui.state.host.groups} == {1})


async def test_a_missing_file_is_reported_without_a_question() -> None:
    async with screen_of(demo()) as ui:
        await ui.press("O")
        await ui.type("/nowhere.json")
        await ui.press("enter")
        assert "Open another machine?" not in ui.text()
        assert any("/nowhere.json" in text for text in ui.toasts())


async def test_notes_on_a_paste_are_shown_and_logged() -> None:
    async with screen_of(demo()) as ui:
        await paste(ui, f"Hello,\n{LISTING}\nand another excerpt:\n05:00.0 VGA [0300]: A [10de:1c03]\n")
        await ui.press("y")
        await ui.until(lambda: "shares no function" in ui.text())
        await ui.press("L")
        assert "2 lines were ignored" in " ".join(ui.text().split())


async def test_an_opened_machine_replaces_the_one_opened_before() -> None:
    """The first machine's screen stays below, because the default screen cannot be switched."""
    async with screen_of(demo()) as ui:

        async def opens(count: int) -> None:
            lines = [f"IOMMU Group {n} 0{n}:00.0 VGA [0300]: A [10de:1c03]\n" for n in range(count)]
            await paste(ui, "".join(lines))
            await ui.press("y")
            await ui.until(lambda: ui.state.host is not None and len(ui.state.host.groups) == count)

        await opens(2)
        await opens(3)
        assert len(ui.app.screen_stack) == 2


async def test_an_empty_line_returns_to_the_first_machine_in_its_last_state() -> None:
    async with screen_of(demo()) as ui:
        await ui.press("O", "enter")
        assert ui.toasts() == ["This is the first machine."]
        await ui.press("c", "a", "y", "s", "v")
        before = ui.state
        await paste(ui, LISTING)
        assert "are lost" not in ui.text()
        await ui.press("y")
        await ui.until(lambda: "pasted listing" in ui.lines()[0])
        await ui.press("f", "O", "enter")
        assert "The staged changes are lost." in ui.text()
        await ui.press("escape")
        assert "pasted listing" in ui.lines()[0]
        await ui.press("O", "enter", "y")
        await ui.until(lambda: "DEMO" in ui.lines()[0])
        assert len(ui.app.screen_stack) == 1
        assert ui.state == before
        await ui.press("R")
        assert "Review: revert" in ui.text()


async def test_quitting_asks_about_changes_that_are_staged_on_the_first_machine() -> None:
    async with screen_of(demo()) as ui:
        await ui.press("c", "v")
        staged = len(ui.state.intents)
        await paste(ui, LISTING)
        await ui.press("y")
        await ui.until(lambda: "pasted listing" in ui.lines()[0])
        assert not ui.state.intents
        await ui.press("q")
        assert f"{staged} changes are staged and not applied." in ui.text()
        await ui.press("escape")
        assert "pasted listing" in ui.lines()[0]


async def test_a_paste_that_is_not_a_listing_opens_no_machine() -> None:
    async with screen_of(demo()) as ui:
        await paste(ui, "no\nlisting\nat all\n")
        assert "no PCI device" in ui.text()
        assert "DEMO" in ui.text()
