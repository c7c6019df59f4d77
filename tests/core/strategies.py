"""Machines with many conflicts, and events on them, for property tests of the engine."""

from typing import Any

from hypothesis import strategies as st

from iommutui.core.address import Address
from iommutui.core.events import (
    Bind,
    ClaimDevice,
    ClaimGroup,
    Event,
    Override,
    Probe,
    ReleaseDevice,
    ReleaseGroup,
    Remove,
    Rescan,
    Unbind,
)
from iommutui.core.host import Claim, Device, Driver, Fit, Gap, Group, Host, Iommu, Region, by_address, by_number
from iommutui.core.models import MODELS

ADDRESSES = [Address(f"0000:{bus:02x}:0{slot}.{number}") for bus in (0, 1) for slot in (0, 1) for number in (0, 1)]
DRIVERS = ["vfio-pci", "pci-stub", "pcieport", "shpchp", "ifcvf", "mlx5_vfio_pci", "nvme", "amdgpu", "acme-vfio"]
OWNERS = ["vm1", "vm2"]
KERNELS = [None, "5.10.0", "5.18.0", "6.1.0", "6.12.0", "7.2.13"]

models = st.sampled_from(list(MODELS.values()))
drivers = st.sampled_from(DRIVERS)
_overrides = st.none() | drivers | st.sampled_from(["none", "vfio_pci", "", "\n", " vfio-pci", "x" * 4094])


def _fits() -> st.SearchStrategy[Any]:
    fit = st.builds(Fit, drivers, st.just("module"), *[st.booleans()] * 4)
    return st.none() | st.lists(fit, max_size=3, unique_by=lambda f: f.driver).map(tuple)


@st.composite
def _devices(draw: st.DrawFn, address: Address, group: int | None) -> Device:
    bridge = draw(st.booleans()) and address.endswith(".0")
    driver = draw(st.none() | drivers)
    return Device(
        address,
        bus=draw(st.sampled_from(["pci"] * 6 + ["usb", "platform"])),
        vendor_id=draw(st.sampled_from(["8086", "10de"])),
        device_id=draw(st.sampled_from(["37c8", "2204"])),
        class_code=draw(st.sampled_from(["060400", "060700"] if bridge else ["030000", "020000"])),
        header_type=draw(st.sampled_from([1, None] if bridge else [0, 0, 0, None])),
        pcie_type=draw(st.sampled_from([None, 4, 7])) if bridge else None,
        driver=driver,
        driver_override=draw(st.none() | drivers),
        group=group,
        vfio_dev=draw(st.none() | st.just(("vfio0",))) if driver is not None else None,
        fits=draw(_fits()),
        gaps=draw(st.sampled_from([()] * 4 + [(Gap("driver", "EACCES"),)])),
    )


@st.composite
def machines(draw: st.DrawFn, *, claimed: bool = True, kernels: list[str | None] = KERNELS) -> Host:
    """Up to eight functions in up to three groups, some of them owned, behind up to two bridges."""
    places = draw(st.lists(st.sampled_from(ADDRESSES), min_size=1, unique=True))
    numbers = [draw(st.sampled_from([None, 1, 1, 2, 2, 3])) for _ in places]
    found = {place: draw(_devices(place, number)) for place, number in zip(places, numbers, strict=True)}
    bridges = [place for place, device in found.items() if device.header_type == 1 and place.startswith("0000:00")]
    for place in places:
        if bridges and place.startswith("0000:01") and draw(st.booleans()):
            found[place] = found[place]._replace(parent=draw(st.sampled_from(bridges)))
    for place in places:
        if place.endswith(".1") and draw(st.integers(0, 5)) == 0:
            physfn = Address(place[:-1] + "0")
            if physfn in found:
                found[place] = found[place]._replace(physfn=physfn)
                found[physfn] = found[physfn]._replace(virtfns=(place,))
    groups = []
    for number in sorted({n for n in numbers if n is not None}):
        members = tuple(place for place, device in found.items() if device.group == number)
        claim = None
        if claimed and draw(st.booleans()):
            via = draw(st.sampled_from(["group", "group", "device", "cdev"]))
            opened = tuple(draw(st.lists(st.sampled_from(members), unique=True)))
            claim = Claim(draw(st.sampled_from(OWNERS)), draw(st.integers(1, 3)), via, opened)
        groups.append(
            Group(
                number,
                members,
                draw(st.sampled_from(["DMA", "unknown"])),
                regions=draw(st.sampled_from([None, (), (Region(0, 4095, "direct"),)])),
                claim=claim,
                foreign=draw(st.integers(0, 4)) == 0,
            )
        )
    return Host(
        by_address(found.values()),
        by_number(groups),
        kernel=draw(st.sampled_from(kernels)),
        iommus=draw(st.sampled_from([None, (), (Iommu("dmar0", "intel-iommu"),)])),
        drivers=draw(st.sampled_from([None, tuple(Driver(name) for name in DRIVERS)])),
    )


def events() -> st.SearchStrategy[Event]:
    """Any event, some of them on devices or groups that do not exist."""
    place = st.sampled_from([*ADDRESSES, Address("0000:ff:1f.7"), Address("garbage")])
    number, owner = st.sampled_from([1, 2, 3, 9]), st.sampled_from(OWNERS)
    return st.one_of(
        st.builds(Override, place, _overrides),
        st.builds(Unbind, place),
        st.builds(Bind, place, drivers),
        st.builds(Probe, place),
        st.builds(ClaimGroup, number, owner, st.booleans()),
        st.builds(ClaimDevice, place, owner, st.booleans()),
        st.builds(ReleaseGroup, number, owner),
        st.builds(ReleaseDevice, place, owner),
        st.builds(Remove, place),
        st.just(Rescan()),
    )
