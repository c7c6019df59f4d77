"""Names that look like markup, a link, or a terminal command are shown literally on every screen."""

import pytest

from iommutui.apply.events import Counting, Finished, Kept, Started
from iommutui.core.address import Address
from iommutui.core.errors import Exit
from iommutui.core.host import Claim, Device, Driver, Fit, Gap, Group, Host
from iommutui.core.models import model_for
from iommutui.core.plan.intents import Intent
from iommutui.core.plan.planner import plan_intents, shell_script
from iommutui.core.uses import Network, Opener, Uses
from iommutui.tui.pages.copies import copies
from iommutui.tui.state import Key, Source, SourceKind, start
from tests.tui.driver import WIDE, LiveLike, Ui, screen_of, snapshot_of
from tests.tui.fakes import Refusing, Scripted
from tests.tui.machines import GPU, NIC, small

NAMES = ("A [B] C", "[/] x", "D [LSI]", "[@click=app.quit]x[/]", "[bold", "$name", "a\\[b]")
ACTIVE = {"\x1b[31mred\x07": "\\x1b[31mred\\x07", "two\nlines\ttab": "two\\nlines\\ttab", "\u202eright": "\\u202eright",
          "\x9b2J": "\\x9b2J"}  # fmt: skip


def hostile(name: str) -> Host:
    """A machine with this name in every place for a name."""
    host = small()
    device = Device(
        NIC, vendor_id="8086", device_id="1533", class_code="020000", header_type=0, driver=name, group=2,
        vendor_name=name, device_name=name, class_name=name, interfaces=(name,), driver_override=name, iommu=name,
        fits=(Fit(name, name, loaded=False),), gaps=(Gap(name, name),), modalias=name,
    )  # fmt: skip
    host = host.with_device(device)._replace(drivers=(Driver(name, name), *(host.drivers or ())), kernel=name)
    return host.with_group(Group(2, (NIC, Address(name)), name, name, claim=Claim(name)))


async def _seen(ui: Ui, name: str) -> None:
    assert name in ui.text(), ui.text()


@pytest.mark.parametrize(("name", "shown"), [*((name, name) for name in NAMES), *ACTIVE.items()])
async def test_every_screen_shows_a_hostile_name_literally(name: str, shown: str) -> None:
    async with screen_of(snapshot_of(hostile(name), name), (160, 60)) as ui:
        await _seen(ui, shown)
        await ui.select(2)
        await _seen(ui, shown)
        await ui.select(NIC)
        await _seen(ui, shown)
        await ui.press("t")
        await _seen(ui, shown)
        await ui.press("escape", "v")
        await _seen(ui, shown)
        await ui.press("a")
        await _seen(ui, shown)
        await ui.press("escape", "L", "escape", "x", "slash")
        ui.app.desk.update(ui.state._replace(filter=name.replace("\n", " ")))
        await ui.settle()
        await ui.press("escape")
        assert "\x1b" not in ui.text()


@pytest.mark.parametrize("name", NAMES)
async def test_errors_and_toasts_show_a_hostile_name_literally(name: str) -> None:
    machine = LiveLike(small(), Refusing(f"{name} refuses"))
    async with screen_of(machine, WIDE) as ui:
        ui.app.desk.say(f"{name} said")
        await ui.settle()
        await _seen(ui, f"{name} said")
        await ui.select(NIC)
        await ui.press("v", "a", "y")
        assert f"{name} refuses" in ui.log()
        await ui.press("L")
        await _seen(ui, f"{name} refuses")


@pytest.mark.parametrize("name", NAMES)
async def test_a_failed_scan_shows_a_hostile_reason_literally(name: str) -> None:
    from iommutui.core.errors import SourceError
    from iommutui.tui.machines.simulated import SimulatedMachine
    from iommutui.tui.state import Phase, Source, SourceKind

    def load() -> Host:
        raise SourceError(f"{name} is broken.", f"Repair {name}.")

    async with screen_of(SimulatedMachine(Source(SourceKind.SNAPSHOT, name), load)) as ui:
        assert ui.state.phase is Phase.FAILED
        assert ui.state.problem is not None
        assert (ui.state.problem.what, ui.state.problem.remedy) == (f"{name} is broken.", f"Repair {name}.")
        await _seen(ui, f"{name} is broken.")
        await _seen(ui, f"Repair {name}.")
        await ui.press("j", "v", "a", "R", "slash", "t", "space", "r")
        await _seen(ui, f"{name} is broken.")


@pytest.mark.parametrize(("name", "shown"), [*((name, name) for name in NAMES), *ACTIVE.items()])
async def test_every_view_and_tab_shows_a_hostile_name_literally(name: str, shown: str) -> None:
    uses = Uses(network=(Network(NIC, (name,), address=True),), openers=(Opener(NIC, name, 7, name),))
    async with screen_of(snapshot_of(hostile(name)._replace(uses=uses), name), (160, 60)) as ui:
        await ui.select(NIC)
        for key in ("i", "e", "M", "T"):
            await ui.press(key)
            await _seen(ui, shown)
        await ui.press("escape", "o")
        for char in "05:00":
            await ui.pilot.press(char)
        await ui.settle()
        await _seen(ui, shown)
        await ui.press("escape", "Y")
        await _seen(ui, shown)
        assert "\x1b" not in ui.text()


def test_a_report_for_a_forum_contains_no_terminal_command() -> None:
    for name in (*NAMES, *ACTIVE):
        state = start(Source(SourceKind.SNAPSHOT, name))._replace(host=hostile(name), cursor=Key(2, NIC))
        for copied in copies(state):
            assert not any(char in copied.text() for char in "\x1b\x07\x9b\u202e"), (name, copied.name)


def test_a_modules_name_is_one_word_for_the_shell() -> None:
    host = small()
    intent = Intent(GPU, "vfio-pci")
    plan = plan_intents(host, [intent], model_for(host.kernel))._replace(modules=("x; reboot", "vfio-pci"))
    assert shell_script(plan).splitlines()[1:3] == ["modprobe 'x; reboot'", "modprobe vfio-pci"]


@pytest.mark.parametrize("name", NAMES)
async def test_a_countdown_and_the_log_show_a_hostile_name_literally(name: str) -> None:
    said = [Started("j", 3), Counting(12.0, 30), None, Kept(name), Finished(Exit.DONE, f"{name} done.")]
    async with screen_of(LiveLike(hostile(name), Scripted(said)), (160, 60)) as ui:
        await ui.select(GPU)
        await ui.press("c", "a")
        await _seen(ui, "Writes")
        await ui.press("t")
        await ui.pilot.press("y")
        for _ in range(200):
            await ui.pilot.pause(0.02)
            if "Keep these changes?" in ui.text():
                break
        await ui.pilot.press("y")
        await ui.settle()
        assert f"confirmed by {name}" in ui.log()
        await ui.press("escape", "L")
        await _seen(ui, f"confirmed by {name}")
