"""Hosts for property tests: exactly the values that a source can give."""

from hypothesis import strategies as st

from iommutui.core.address import Address
from iommutui.core.drivers import KNOWN
from iommutui.core.host import (
    Bar,
    Claim,
    Details,
    Device,
    Driver,
    Fit,
    Gap,
    Group,
    Host,
    Iommu,
    Region,
    by_address,
    by_number,
)
from iommutui.core.uses import ById, Held, Input, Network, Opener, Plugged, Screen, Sound, Storage, Uses

_SMALL = st.integers(0, 2**16)
_WIDE = st.integers(0, 2**64 - 1)
_TEXT = st.text(max_size=12)
_NAME = st.sampled_from(["vfio-pci", "nvidia", "pcieport", "xhci_hcd", "r8169", "snd_hda_intel"]) | _TEXT.filter(bool)
_INTERFACE = st.sampled_from(["eth0", "enp3s0", "enxaabbccddeeff", "wlx001122334455", "enx0", "enx1"])


def _hex(digits: int) -> st.SearchStrategy[str]:
    return st.integers(0, 16**digits - 1).map(lambda number: f"{number:0{digits}x}")


def _tuples(element: st.SearchStrategy[object], most: int = 2) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(element, max_size=most).map(tuple)


def addresses() -> st.SearchStrategy[Address]:
    """PCI addresses in several domains, close enough together to share cards."""
    return st.builds(
        lambda domain, bus, slot, function: Address(f"{domain:04x}:{bus:02x}:{slot:02x}.{function}"),
        st.sampled_from([0, 1, 0x10000]),
        st.integers(0, 3),
        st.integers(0, 31),
        st.integers(0, 7),
    )


def gaps() -> st.SearchStrategy[Gap]:
    """Unknown attributes."""
    why = st.sampled_from(["EACCES", "timeout", "not-recorded", "malformed"])
    return st.builds(Gap, st.sampled_from(["driver", "driver_override", "config"]), why)


def claims(members: tuple[Address, ...]) -> st.SearchStrategy[Claim]:
    """Owners of a group with these members."""
    return st.builds(
        Claim,
        owner=st.sampled_from(["vm1", "qemu-system-x86 (pid 123)", "qemu-system-x86"]) | _TEXT,
        uses=st.integers(1, 4),
        via=st.sampled_from(["group", "device", "cdev"]),
        opened=st.just(()) if not members else st.lists(st.sampled_from(members), unique=True).map(tuple),
    )


def details() -> st.SearchStrategy[Details]:
    """Details of a function."""
    return st.builds(
        Details,
        numa_node=st.none() | st.integers(-1, 8),
        reset_methods=st.none() | _tuples(st.sampled_from(["flr", "pm", "bus"])),
        power_state=st.none() | st.sampled_from(["D0", "D3hot", "D3cold", ""]),
        bars=st.none() | _tuples(st.builds(Bar, st.integers(0, 20), _WIDE, _WIDE, _WIDE)),
        sriov_totalvfs=st.none() | _SMALL,
        link_speed=st.none() | _TEXT,
        irq=st.none() | st.integers(0, 255),
        config_answers=st.none() | st.booleans(),
    )


def devices(address: st.SearchStrategy[Address], group: st.SearchStrategy[int | None]) -> st.SearchStrategy[Device]:
    """PCI functions."""
    return st.builds(
        Device,
        address=address,
        vendor_id=st.none() | _hex(4),
        device_id=st.none() | _hex(4),
        class_code=st.none() | st.sampled_from(["030000", "040300", "060400", "020000"]) | _hex(6),
        header_type=st.none() | st.integers(0, 2),
        pcie_type=st.none() | st.integers(0, 15),
        modalias=st.none() | _TEXT,
        driver=st.none() | _NAME,
        driver_override=st.none() | _NAME,
        group=group,
        parent=st.none() | addresses(),
        boot_vga=st.none() | st.booleans(),
        virtfns=_tuples(addresses()),
        vfio_dev=st.none() | _tuples(st.sampled_from(["vfio0", "vfio1"])),
        interfaces=_tuples(_INTERFACE),
        fits=st.none() | _tuples(st.builds(Fit, _NAME, st.none() | _NAME, st.booleans(), st.booleans())),
        vendor_name=st.none() | _TEXT,
        details=st.none() | details(),
        gaps=_tuples(gaps()),
    )


def uses(places: list[Address]) -> st.SearchStrategy[Uses]:
    """Uses of these devices, and of some that no longer exist."""
    device = st.sampled_from(places) if places else addresses()
    names = st.sampled_from(["nvme0n1p3", "dm-0 (vg-root)", "md_secret", "sda", "(volume)"]) | _TEXT
    points = st.sampled_from(["/", "/home/alice", "/boot", "[SWAP]", "(mount)"]) | _TEXT
    interfaces = st.sampled_from(["br0", "br-3f2a", "enp5s0.100", "(interface)"]) | _INTERFACE | _TEXT
    return st.builds(
        Uses,
        screens=_tuples(st.builds(Screen, device, _tuples(_TEXT), _tuples(_TEXT), st.booleans(), st.none() | _TEXT)),
        storage=_tuples(
            st.builds(
                Storage,
                device,
                st.sampled_from(Held),
                _tuples(points),
                _tuples(names),
                st.just("") | names,
                st.integers(0, 2),
            ),
            4,
        ),
        network=_tuples(
            st.builds(
                Network, device, _tuples(interfaces, 3), st.booleans(), st.booleans(), st.booleans(), st.booleans()
            ),
            4,
        ),
        inputs=_tuples(st.builds(Input, st.none() | device, _TEXT, st.booleans(), st.booleans(), st.booleans()), 4),
        sounds=_tuples(st.builds(Sound, device, _TEXT, _tuples(_TEXT))),
        openers=_tuples(
            st.builds(Opener, device, st.sampled_from(["Xorg", "alice-tool", ""]) | _TEXT, st.none() | _SMALL, _TEXT), 4
        ),
        plugged=_tuples(st.builds(Plugged, device, _tuples(_TEXT))),
        by_id=_tuples(st.builds(ById, _NAME, _tuples(_TEXT), st.sampled_from(["/etc/modprobe.d/a.conf"]) | _TEXT)),
        gaps=_tuples(st.builds(Gap, st.sampled_from(Uses._fields[:-1]), st.sampled_from(["EACCES", "not-recorded"]))),
    )


@st.composite
def hosts(draw: st.DrawFn) -> Host:
    """Hosts whose devices and groups agree: a device is in the group that lists it as a member, or in none."""
    places = draw(st.lists(addresses(), max_size=5, unique=True))
    numbers = draw(st.lists(st.integers(0, 99), max_size=3, unique=True))
    kept, gone = places[: len(places) * 3 // 4], places[len(places) * 3 // 4 :]
    in_groups = st.none() | st.sampled_from(numbers) if numbers else st.none()
    found = [draw(devices(st.just(place), in_groups)) for place in kept]
    removed = [draw(devices(st.just(place), st.none() | st.integers(0, 99))) for place in gone]
    groups = []
    for number in numbers:
        members = tuple(device.address for device in by_address(found).values() if device.group == number)
        groups.append(
            Group(
                number,
                members,
                draw(st.none() | st.sampled_from(["DMA", "DMA-FQ", "identity"])),
                draw(st.none() | _TEXT),
                draw(st.none() | _tuples(st.builds(Region, _WIDE, _WIDE, st.sampled_from(["msi", "direct"])))),  # type: ignore[arg-type]
                draw(st.none() | claims(members)),
                draw(st.booleans()),
            )
        )
    return draw(
        st.builds(
            Host,
            devices=st.just(by_address(found)),
            groups=st.just(by_number(groups)),
            kernel=st.none() | st.sampled_from(["5.10.0-46-amd64", "5.18.0", "6.1.0", "7.2.13"]) | _TEXT,
            cmdline=st.none() | st.sampled_from(["ro quiet intel_iommu=on root=UUID=1", 'a="b c" d']) | _TEXT,
            cpu_vendor=st.none() | st.sampled_from(["GenuineIntel", "AuthenticAMD"]),
            iommus=st.none() | _tuples(st.builds(Iommu, _NAME, st.none() | _NAME)),
            drivers=st.none() | _tuples(st.builds(Driver, _NAME, st.none() | _NAME)),
            removed=st.just(by_address(removed)),
            uses=st.none() | uses([*places]),
            gaps=_tuples(gaps()),
            driver_table=st.just(KNOWN),
            waiting=st.just(()),
        )
    )
