"""Small machines for tests of the engine, given by what matters: which device is in which group, on which driver."""

from collections.abc import Iterable, Sequence
from typing import Any

from iommutui.core.address import Address
from iommutui.core.engine import transition
from iommutui.core.events import Event
from iommutui.core.host import Claim, Device, Driver, Fit, Group, Host, Iommu, Region, by_address, by_number
from iommutui.core.models import MODELS, Model, model_for
from iommutui.core.plan.intents import Intent
from iommutui.core.plan.presets import free_devices
from iommutui.core.reasons import Outcome

NEW = "6.12.1"
OLD = "5.10.0"
LAST_OLD = "5.18.19"
NO_DEVICES = Host({}, {})
"""For checks that depend only on the table of drivers."""
OWN_KERNEL = {"vfio-group": LAST_OLD, "dma-owner": NEW, "dma-hint": "5.15.0", "kernel-ownership": "5.15.0"}
"""The kernel that each model belongs to."""

REGISTERED = ("vfio-pci", "pci-stub", "pcieport", "shpchp", "amdgpu", "snd_hda_intel", "nvme", "ifcvf", "pciback",
              "mlx5_vfio_pci", "i40e", "uio_pci_generic", "pci-pf-stub")  # fmt: skip
VFIO = ("vfio-pci", "mlx5_vfio_pci")
KERNEL_DRIVERS = ("amdgpu", "snd_hda_intel", "nvme", "ifcvf", "pciback")

A, B, C, D = (Address(f"0000:01:00.{function}") for function in range(4))
OTHER = Address("0000:02:00.0")
LONE = Address("0000:03:00.0")
NOWHERE = Address("0000:99:00.0")


def free_card(host: Host, address: Address, model: Model, said: Sequence[Intent] = ()) -> tuple[Intent, ...] | None:
    """The intents that free the card of a device."""
    return free_devices(host, [each.address for each in host.card(address)], model, said=said)


def free_group(host: Host, group: Group, model: Model, reached: bool = False) -> tuple[Intent, ...] | None:
    """The intents that free every device of a group that has a driver."""
    driven = [each.address for each in host.members(group) if each.driver is not None]
    return free_devices(host, driven, model, reached=reached)


def function(address: Address, driver: str | None = None, *, bridge: bool = False, **facts: Any) -> Device:
    """A PCI function; every host driver of these tests fits it, unless ``fits`` says otherwise."""
    own = ("pcieport", "shpchp") if bridge else KERNEL_DRIVERS
    variants = () if bridge else (Fit("mlx5_vfio_pci", None, True, vfio=True),)
    base = Device(
        address,
        vendor_id="1002",
        device_id=f"73b{address[-1]}",
        class_code="060400" if bridge else "030000",
        header_type=1 if bridge else 0,
        pcie_type=4 if bridge else 0,
        boot_vga=None if bridge else False,
        driver=driver,
        fits=(*(Fit(name, name, True) for name in own), *variants),
    )
    return base._replace(**facts)


def bridge(address: Address, driver: str | None = "pcieport", **facts: Any) -> Device:
    """A root port."""
    return function(address, driver, bridge=True, **facts)


def group_of(
    number: int,
    *devices: Device,
    owner: str | None = None,
    opened: Iterable[Address] = (),
    via: str = "group",
    uses: int = 1,
    direct: bool = False,
    foreign: bool = False,
    kind: str | None = "DMA-FQ",
) -> tuple[Group, tuple[Device, ...]]:
    """A group and its members."""
    claim = Claim(owner, uses, via, tuple(opened)) if owner is not None else None
    regions = (Region(0, 0xFFF, "direct"),) if direct else (Region(0xFEE00000, 0xFEEFFFFF, "msi"),)
    members = tuple(device.address for device in devices)
    group = Group(number, members, kind, regions=regions, claim=claim, foreign=foreign)
    return group, tuple(device._replace(group=number) for device in devices)


def machine(
    *groups: tuple[Group, tuple[Device, ...]],
    kernel: str | None = NEW,
    lone: Iterable[Device] = (),
    intel: bool = True,
    drivers: Iterable[str] | None = REGISTERED,
) -> Host:
    """A Host with these groups, and with devices without a group."""
    return Host(
        by_address([*(device for _, members in groups for device in members), *lone]),
        by_number(group for group, _ in groups),
        kernel=kernel,
        iommus=(Iommu("dmar0", "intel-iommu") if intel else Iommu("ivhd0", "amd-iommu"),),
        drivers=None if drivers is None else tuple(Driver(name, name) for name in drivers),
    )


def pair(first: str | None, second: str | None, *, kernel: str | None = NEW, **facts: Any) -> Host:
    """One group of two functions of a card on these drivers."""
    return machine(group_of(1, function(A, first), function(B, second), **facts), kernel=kernel)


def one(driver: str | None = None, *, kernel: str | None = NEW, **facts: Any) -> Host:
    """One device, alone in its group."""
    return machine(group_of(1, function(A, driver, **facts)), kernel=kernel)


def on(model: str, host: Host, *events: Event) -> Outcome:
    """The last outcome of these events under the model."""
    assert events
    for event in events:
        outcome = transition(host, event, MODELS[model])
        host = outcome.host
    return outcome


def shown(outcome: Outcome) -> str:
    """The outcome as one word: ``ok``, an errno, ``crash`` or ``blocks``."""
    return "crash" if outcome.crash is not None else "blocks" if outcome.blocks else outcome.result


def answer(host: Host, *events: Event) -> tuple[str, str | None]:
    """The last result, and the first device's driver afterwards, under the model of the Host's own kernel."""
    outcome = on(model_for(host.kernel).name, host, *events)
    return shown(outcome), outcome.host.devices[A].driver


def verdict_of(model: str, host: Host, number: int = 1) -> tuple[bool | None, str]:
    """Whether the group is viable, and what a claim returns."""
    verdict = MODELS[model].verdict(host, host.groups[number])
    return verdict.viable, verdict.claim


def codes(outcome: Outcome) -> list[str]:
    """The codes of an outcome's reasons."""
    return [reason.code.value for reason in outcome.reasons]
