"""Every view as text, at the important sizes, of recorded machines and of some that no guest can reproduce."""

from collections.abc import Callable
from functools import partial

import pytest

from iommutui.core.host import Claim, Host
from iommutui.demo import demo_host
from tests.recorded import NAMES, recorded
from tests.tui.driver import LARGE, SMALLEST, USUAL, WIDE, screen_of, snapshot_of
from tests.tui.machines import NIC, changed, small, without_iommu
from tests.tui.snapshot import check

SIZES = {"200x60": LARGE, "120x40": WIDE, "80x24": USUAL, "60x18": SMALLEST}
VIEWS = {"why": "w", "device": "i", "impact": "e", "models": "M", "topology": "T", "log": "L"}


def _owned() -> Host:
    host = changed(small(), NIC, driver="vfio-pci", driver_override="vfio-pci")
    return host.with_group(host.groups[2]._replace(claim=Claim("qemu", opened=(NIC,))))


MACHINES: dict[str, Callable[[], Host]] = {
    **{name: partial(recorded, name) for name in NAMES},
    "demo": demo_host,
    "owned": _owned,
    "no-iommu": without_iommu,
    "empty": lambda: Host({}, {}),
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("machine", MACHINES)
async def test_every_view_equals_its_snapshot(machine: str, size: str) -> None:
    async with screen_of(snapshot_of(MACHINES[machine]()), SIZES[size]) as ui:
        found = []
        for name, key in VIEWS.items():
            await ui.press(key)
            found.append(f"== {name}\n{ui.text()}")
        check(f"views-{machine}-{size}", "\n".join(found))
        assert "nothing is real" in ui.text()
