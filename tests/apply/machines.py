"""Machines and plans for the tests of apply."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from iommutui.apply.events import Event, Finished
from iommutui.apply.kernel import Clock
from iommutui.core.address import Address
from iommutui.core.host import Device, Driver, Fit, Group, Host, by_address, by_number
from iommutui.core.models import MODELS, Model, model_for
from iommutui.core.plan.intents import Intent
from iommutui.core.plan.planner import Plan, plan_intents

GPU = Address("0000:01:00.0")
SOUND = Address("0000:01:00.1")
DISK = Address("0000:02:00.0")
NIC = Address("0000:03:00.0")
USB = Address("0000:04:00.0")
UNLOADED = Address("0000:05:00.0")
KEPT_FREE = Address("0000:06:00.0")
ODD = Address("0000:07:00.0")
BY_ID = Address("0000:08:00.0")
WAITING = Address("0000:09:00.0")
PARKED = Address("0000:0a:00.0")
TWIN_A = Address("0000:0b:00.0")
TWIN_B = Address("0000:0c:00.0")


class FixedClock(Clock):
    """A clock that stands still."""

    def now(self) -> datetime:
        return datetime(2026, 11, 22, 10, 45, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return 1.0


CLOCK = FixedClock()


def _device(
    address: Address,
    group: int,
    code: str,
    driver: str | None,
    override: str | None = None,
    fits: Sequence[Fit] = (),
    device_id: str = "0001",
) -> Device:
    return Device(
        address,
        vendor_id="1af4",
        device_id=device_id,
        class_code=code,
        driver=driver,
        driver_override=override,
        group=group,
        fits=tuple(fits),
        header_type=0,
    )


def _fit(driver: str, module: str | None = None, loaded: bool = True) -> Fit:
    return Fit(driver, module or driver, loaded)


def desktop(kernel: str = "6.12.0", vfio_loaded: bool = True) -> Host:
    """A machine on which every device is in a different state."""
    devices = [
        Device(
            Address("0000:00:01.0"),
            vendor_id="8086",
            device_id="1901",
            class_code="060400",
            driver="pcieport",
            group=14,
            fits=(_fit("pcieport"),),
            header_type=1,
        ),
        _device(GPU, 14, "030000", "nvidia", fits=[_fit("nvidia"), _fit("nouveau", loaded=False)]),
        _device(SOUND, 14, "040300", "snd_hda_intel", fits=[_fit("snd_hda_intel")]),
        _device(DISK, 15, "010802", "nvme", fits=[_fit("nvme")]),
        _device(NIC, 16, "020000", "e1000e", fits=[_fit("e1000e")]),
        _device(USB, 17, "0c0330", "vfio-pci", "vfio-pci", fits=[_fit("xhci_hcd", "xhci_pci")]),
        _device(UNLOADED, 18, "010700", None, fits=[_fit("mpt3sas", loaded=False)]),
        _device(KEPT_FREE, 19, "020000", None, "none", fits=[_fit("igb")]),
        _device(ODD, 20, "020000", "igb", "some-other-driver", fits=[_fit("igb")]),
        _device(BY_ID, 21, "030200", "vfio-pci", fits=[_fit("nvidia")]),
        _device(WAITING, 22, "030200", None, "vfio-pci", fits=[_fit("nvidia")]),
        _device(PARKED, 23, "020000", "pci-stub", "pci-stub", fits=[_fit("e1000e")]),
        _device(TWIN_A, 24, "020000", "igb", fits=[_fit("igb")]),
        _device(TWIN_B, 24, "020000", "igb", fits=[_fit("igb")], device_id="0002"),
    ]
    if not vfio_loaded:
        devices = [d._replace(driver=None) if d.driver == "vfio-pci" else d for d in devices]
    names = {"pcieport", "nvidia", "snd_hda_intel", "nvme", "e1000e", "xhci_hcd", "igb", "pci-stub"}
    if vfio_loaded:
        names.add("vfio-pci")
    members: dict[int, tuple[Address, ...]] = {}
    for device in devices:
        assert device.group is not None
        members[device.group] = (*members.get(device.group, ()), device.address)
    return Host(
        by_address(devices),
        by_number(Group(number, addresses) for number, addresses in members.items()),
        kernel=kernel,
        drivers=tuple(Driver(name, name) for name in sorted(names)),
    )


class Case(NamedTuple):
    """A plan on a machine."""

    name: str
    host: Host
    model: Model
    intents: tuple[Intent, ...]

    @property
    def plan(self) -> Plan:
        plan = plan_intents(self.host, self.intents, self.model)
        assert plan.permitted, plan.refusals
        assert plan.steps
        return plan

    def __str__(self) -> str:
        return self.name


def case(name: str, host: Host, *intents: tuple[Address, str], model: str | None = None) -> Case:
    """A case under the model of the machine's kernel, or under another one."""
    chosen = MODELS[model] if model is not None else model_for(host.kernel)
    return Case(name, host, chosen, tuple(Intent(*intent) for intent in intents))


CASES: tuple[Case, ...] = (
    case("gpu", desktop(), (GPU, "vfio-pci"), (SOUND, "vfio-pci")),
    case("gpu alone", desktop(), (GPU, "vfio-pci")),
    case("gpu and free", desktop(), (GPU, "vfio-pci"), (SOUND, "none")),
    case("gpu and parked", desktop(), (GPU, "vfio-pci"), (SOUND, "pci-stub")),
    case("gpu, vfio not loaded", desktop(vfio_loaded=False), (GPU, "vfio-pci"), (SOUND, "vfio-pci")),
    case("gpu to nouveau", desktop(), (GPU, "nouveau")),
    case("gpu, 5.10", desktop("5.10.0"), (GPU, "vfio-pci"), (SOUND, "vfio-pci")),
    case("gpu, 5.10, vfio not loaded", desktop("5.10.0", vfio_loaded=False), (GPU, "vfio-pci"), (NIC, "vfio-pci")),
    case("twins, draft", desktop(), (TWIN_A, "vfio-pci"), (TWIN_B, "pci-stub"), model="dma-hint"),
    case("disk", desktop(), (DISK, "vfio-pci")),
    case("network, sketch", desktop(), (NIC, "vfio-pci"), model="kernel-ownership"),
    case("usb back", desktop(), (USB, "default")),
    case("usb to its driver", desktop(), (USB, "xhci_hcd")),
    case("usb kept free", desktop(), (USB, "none")),
    case("module that is not loaded", desktop(), (UNLOADED, "mpt3sas")),
    case("free to vfio", desktop(), (UNLOADED, "vfio-pci")),
    case("kept free to vfio", desktop(), (KEPT_FREE, "vfio-pci")),
    case("kept free to default", desktop(), (KEPT_FREE, "default")),
    case("odd override to vfio", desktop(), (ODD, "vfio-pci")),
    case("odd override cleared", desktop(), (ODD, "default")),
    case("odd override to its own driver", desktop(), (ODD, "igb")),
    case("by id to its driver", desktop(), (BY_ID, "nvidia")),
    case("by id, override set", desktop(), (BY_ID, "vfio-pci")),
    case("waiting probed", desktop(), (WAITING, "vfio-pci")),
    case("waiting to stub", desktop(), (WAITING, "pci-stub")),
    case("parked back", desktop(), (PARKED, "default")),
    case("parked to vfio", desktop(), (PARKED, "vfio-pci")),
    case("twins", desktop(), (TWIN_A, "vfio-pci"), (TWIN_B, "none")),
    case("swap", desktop(), (USB, "xhci_hcd"), (NIC, "vfio-pci"), (PARKED, "e1000e")),
    case(
        "many",
        desktop(),
        (GPU, "vfio-pci"),
        (SOUND, "none"),
        (USB, "default"),
        (ODD, "vfio-pci"),
        (WAITING, "none"),
        (TWIN_A, "pci-stub"),
    ),
)

Facts = dict[Address, tuple[str | None, str | None, int | None]]


def facts(host: Host) -> Facts:
    """The facts that a rollback must restore."""
    return {a: (d.driver, d.driver_override, d.group) for a, d in host.devices.items()}


def differences(before: Host, after: Host) -> set[tuple[str, str]]:
    """(device, fact) for every difference."""
    was, now = facts(before), facts(after)
    names = ("driver", "override", "group")
    return {(a, names[i]) for a in was for i in range(3) if was[a][i] != now[a][i]}


def finished(events: Sequence[Event]) -> Finished:
    """The last event, which must be the only Finished."""
    last = events[-1]
    assert isinstance(last, Finished)
    assert sum(isinstance(event, Finished) for event in events) == 1
    return last
