"""Virtual machines that start and end while the screen is open; no event reports them."""

from pathlib import Path

from iommutui.core.host import Claim, Host
from iommutui.core.models import MODELS
from iommutui.tui.state import Phase
from tests.fake_tree import FakeTree
from tests.tui.driver import LiveLike, screen_of
from tests.tui.fakes import Refusing
from tests.tui.machines import GPU, SOUND, changed, small


def handed_over() -> Host:
    host = small()
    for address in (GPU, SOUND):
        host = changed(host, address, driver="vfio-pci", driver_override="vfio-pci")
    return host


def live(host: Host, root: Path) -> LiveLike:
    machine = LiveLike(host, Refusing("no"))
    machine.root = str(root)
    return machine


async def test_a_virtual_machine_is_noticed_when_it_starts_and_ends(tmp_path: Path) -> None:
    tree = FakeTree(tmp_path).file("dev/vfio/vfio").file("dev/vfio/1").process(1, "init")
    async with screen_of(live(handed_over(), tmp_path)) as ui:
        ui.app.desk.poll_claims()
        await ui.settle()
        before = ui.state
        assert before.host is not None
        assert before.host.groups[1].claim is None
        ui.app.desk.poll_claims()
        await ui.settle()
        assert ui.state is before
        tree.process(123, "qemu", "/dev/vfio/vfio", "/dev/vfio/1", "anon_inode:[vfio-device]")
        ui.app.desk.poll_claims()
        await ui.settle()
        assert ui.state.host is not None
        assert ui.state.host.groups[1].claim == Claim("qemu (pid 123)", opened=(GPU, SOUND))
        assert ui.state.cursor == before.cursor
        (tmp_path / "proc/123/fd").rename(tmp_path / "gone")
        ui.app.desk.poll_claims()
        await ui.settle()
        assert ui.state.host.groups[1].claim is None


async def test_claims_are_not_polled_without_vfio_devices() -> None:
    machine = LiveLike(small(), Refusing("no"))
    async with screen_of(machine) as ui:
        ui.app.desk.poll_claims()
        await ui.settle()
        assert machine.asked == 0
        machine.host = handed_over()
        await ui.press("r")
        ui.app.desk.poll_claims()
        await ui.settle()
        assert machine.asked == 1


async def test_claims_are_not_polled_during_an_apply() -> None:
    machine = LiveLike(handed_over(), Refusing("no"))
    async with screen_of(machine) as ui:
        ready = ui.state
        ui.app.desk.update(ready._replace(phase=Phase.APPLYING, model=MODELS["dma-owner"]))
        ui.app.desk.poll_claims()
        await ui.settle()
        assert machine.asked == 0
        ui.app.desk.update(ready)
        ui.app.desk.poll_claims()
        await ui.settle()
        assert machine.asked == 1


async def test_claims_of_a_machine_no_longer_shown_are_dropped(tmp_path: Path) -> None:
    FakeTree(tmp_path).file("dev/vfio/1").process(1, "init").process(5, "qemu", "/dev/vfio/1")
    async with screen_of(live(handed_over(), tmp_path)) as ui:
        old = ui.state.host
        assert old is not None
        from iommutui.tui.scanner import Scanner

        ui.app.desk.update(ui.state._replace(host=small()))
        ui.app.desk.post_message(Scanner.Claimed(old, old.with_group(old.groups[1]._replace(claim=Claim("late")))))
        await ui.settle()
        assert ui.state.host == small()
