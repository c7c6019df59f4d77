"""The content of each format: addresses, twins, slots in the guest, and no text injected by a name."""

import os
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest

from iommutui.core.address import Address
from iommutui.core.errors import RefusedError
from iommutui.core.host import Device, Gap, Host
from iommutui.core.models import model_for
from iommutui.core.plan.intents import Intent
from iommutui.core.uses import Opener, Uses
from iommutui.demo import demo_host
from iommutui.export import FORMATS, Subject, render, subject_of

CARD = tuple(Address(f"0000:09:00.{number}") for number in range(4))
BY_IDS = [name for name, form in FORMATS.items() if form.by_ids]


def card(host: Host | None = None, functions: tuple[Address, ...] = CARD, target: str = "vfio-pci") -> Subject:
    host = host or demo_host()
    return subject_of(host, [Intent(address, target) for address in functions], model_for(host.kernel))


def with_twin(board: str) -> Host:
    """The built-in machine with a second card with the same ids in its own group, from the same or another maker."""
    host = demo_host()
    own = host.devices[CARD[0]]
    twin = own._replace(address=Address("0000:0f:00.0"), group=None, subsystem_device_id=board, boot_vga=False)
    return host.with_device(twin)


def body(name: str, subject: Subject) -> str:
    lines = render(FORMATS[name], subject).text.splitlines()
    return "\n".join(line for line in lines if not line.startswith(("#", "<!--")))


@pytest.mark.parametrize("name", BY_IDS)
def test_a_twin_that_the_ids_would_match_is_named(name: str) -> None:
    subject = card(with_twin(demo_host().devices[CARD[0]].subsystem_device_id or ""))
    export = render(FORMATS[name], subject)
    assert any("0000:0f:00.0" in warning for warning in export.warnings)
    assert "0000:0f:00.0" in export.text


@pytest.mark.parametrize("name", BY_IDS)
def test_a_twin_from_another_maker_is_not_matched(name: str) -> None:
    export = render(FORMATS[name], card(with_twin("ffff")))
    own = demo_host().devices[CARD[0]]
    assert f"10de:1f08:{own.subsystem_vendor_id}:{own.subsystem_device_id}" in export.text
    assert not any("0000:0f:00.0" in warning for warning in export.warnings)


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in BY_IDS])
def test_formats_by_address_do_not_name_the_twin(name: str) -> None:
    assert "0000:0f:00.0" not in render(FORMATS[name], card(with_twin("87c0"))).text


def hostdevs(subject: Subject) -> list[ElementTree.Element]:
    text = render(FORMATS["libvirt"], subject).text
    return list(ElementTree.fromstring(f"<devices>{text}</devices>"))


def test_the_functions_of_a_card_share_a_slot_in_the_guest() -> None:
    places = [element.find("address") for element in hostdevs(card())]
    assert [place.get("function") for place in places if place is not None] == ["0x0", "0x1", "0x2", "0x3"]
    assert len({(place.get("bus"), place.get("slot")) for place in places if place is not None}) == 1
    assert [place.get("multifunction") for place in places if place is not None] == ["on", None, None, None]


def test_virtual_functions_get_separate_slots() -> None:
    host = demo_host()
    for address in CARD[:2]:
        host = host.with_device(host.devices[address]._replace(physfn=Address("0000:03:00.0")))
    subject = card(host)
    assert [len(slot) for slot in subject.slots] == [1, 1, 2]
    assert [element.find("address") is None for element in hostdevs(subject)] == [True, True, False, False]


def test_a_card_without_its_function_0_starts_at_function_0_in_the_guest() -> None:
    host = demo_host()
    for address in CARD:
        host = host.with_device(host.devices[address]._replace(driver=None))
    text = body("qemu", card(host, CARD[1:3]))
    assert f"host={CARD[1]},bus=iommutui0,addr=0x0.0x0,multifunction=on" in text
    assert f"host={CARD[2]},bus=iommutui0,addr=0x0.0x1" in text


@pytest.mark.parametrize(("driver", "managed"), [("nouveau", "yes"), ("vfio-pci", "no"), (None, "yes")])
def test_libvirt_manages_devices_not_yet_on_a_vfio_driver(driver: str | None, managed: str) -> None:
    host = demo_host()
    host = host.with_device(host.devices[CARD[0]]._replace(driver=driver))
    assert hostdevs(card(host))[0].get("managed") == managed


def test_proxmox_names_the_slot_only_if_all_its_functions_are_handed_over() -> None:
    assert '"0000:09:00,pcie=1"' in body("proxmox", card())
    host = demo_host()
    host = host.with_device(host.devices[CARD[3]]._replace(driver=None))
    assert '"0000:09:00.0;0000:09:00.1;0000:09:00.2,pcie=1"' in body("proxmox", card(host, CARD[:3]))


def test_proxmox_refuses_a_long_domain() -> None:
    host = demo_host()
    far = Device(Address("10000:e1:00.0"), vendor_id="8086", device_id="0a54", group=99, header_type=0)
    group = host.groups[17]._replace(id=99, members=(far.address,), claim=None)
    subject = card(host.with_device(far).with_group(group), (far.address,))
    with pytest.raises(RefusedError, match="10000:e1:00"):
        render(FORMATS["proxmox"], subject)
    assert "sysfsdev=/sys/bus/pci/devices/10000:e1:00.0" in render(FORMATS["qemu"], subject).text


def test_settings_by_ids_leave_out_other_targets() -> None:
    subject = card(functions=CARD[:1], target="none")
    with pytest.raises(RefusedError, match="Only vfio-pci and pci-stub can be set by ids"):
        render(FORMATS["modprobe.d"], subject)


def test_no_script_is_made_if_it_could_not_check_the_device() -> None:
    subject = card(demo_host().with_device(demo_host().devices[CARD[0]]._replace(device_id=None)), CARD[:1])
    with pytest.raises(RefusedError, match="are not known"):
        render(FORMATS["shell"], subject)


def test_a_device_with_an_unknown_driver_is_not_exported() -> None:
    device = demo_host().devices[CARD[0]]._replace(driver=None, gaps=(Gap("driver", "not-recorded"),))
    with pytest.raises(RefusedError, match="not permitted"):
        card(demo_host().with_device(device), CARD[:1])


def test_a_plan_that_is_not_permitted_is_not_exported() -> None:
    with pytest.raises(RefusedError, match="not permitted"):
        card(functions=(Address("0000:77:00.0"),))


def test_an_open_device_is_a_danger_on_top_of_every_format_but_a_script() -> None:
    host = demo_host()
    host = host.with_device(host.devices[CARD[0]]._replace(driver="nvidia"))
    subject = card(host._replace(uses=Uses(openers=(Opener(CARD[0], "Xorg", 1, "/dev/nvidia0"),))), CARD[:1])
    for name in FORMATS:
        if name == "shell":
            with pytest.raises(RefusedError, match="Xorg"):
                render(FORMATS[name], subject)
        else:
            assert any(line.startswith("DANGER [unbind-hangs]") for line in render(FORMATS[name], subject).warnings)


def test_a_plan_without_vfio_devices_is_not_exported_for_a_virtual_machine() -> None:
    with pytest.raises(RefusedError, match="nothing to export for libvirt"):
        render(FORMATS["libvirt"], card(functions=CARD[:1], target="none"))


@pytest.mark.parametrize("name", FORMATS)
def test_dangers_are_comments_on_top(name: str) -> None:
    display = next(device for device in demo_host().devices.values() if device.boot_vga)
    subject = card(functions=(display.address,))
    export = render(FORMATS[name], subject)
    assert any(line.startswith("DANGER") for line in export.warnings)
    above = export.text.split("Where: ")[0]
    assert "DANGER" in above


HOSTILE = ('GeForce" --> <x>\n$(reboot) `reboot` \x1b[2J', "'; reboot; '", "--", "\uffff \u00fc \\")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("hostile", HOSTILE)
def test_names_stay_in_comments(name: str, hostile: str) -> None:
    host = demo_host()
    named = host.devices[CARD[0]]._replace(device_name=hostile, vendor_name=hostile)
    plain = host.devices[CARD[0]]._replace(device_name="x", vendor_name="x")
    assert body(name, card(host.with_device(named))) == body(name, card(host.with_device(plain)))
    if name == "libvirt":
        assert len(hostdevs(card(host.with_device(named)))) == 4


def run_script(subject: Subject, tree: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The exported script on a tree of files."""
    text = render(FORMATS["shell"], subject).text
    script = tree / "rebind.sh"
    script.write_text(text.replace("pci=/sys/bus/pci", f"pci={tree}"))
    return subprocess.run(["sh", str(script), *words], capture_output=True, text=True)


def put_device(tree: Path, address: str, ids: str, driver: str | None) -> Path:
    place = tree / "devices" / address
    place.mkdir(parents=True)
    for name, value in zip(("vendor", "device"), ids.split(":"), strict=True):
        (place / name).write_text(f"0x{value}\n")
    (place / "driver_override").write_text("(null)\n")
    if driver is not None:
        (place / "driver").symlink_to(f"../../drivers/{driver}")
    return place / "driver_override"


def test_the_script_writes_nothing_if_another_device_is_at_the_address(tmp_path: Path) -> None:
    override = put_device(tmp_path, CARD[0], "10de:2204", "nouveau")
    done = run_script(card(functions=CARD[:1]), tmp_path)
    assert (done.returncode, override.read_text()) == (1, "(null)\n")
    assert f"another device is at {CARD[0]}" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="the script goes on for root only")
def test_the_script_writes_nothing_if_the_driver_differs(tmp_path: Path) -> None:
    override = put_device(tmp_path, CARD[0], "10de:1f08", "nvidia")
    done = run_script(card(functions=CARD[:1]), tmp_path)
    assert (done.returncode, override.read_text()) == (1, "(null)\n")
    assert f"{CARD[0]} is on nvidia, not on nouveau" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="the script goes on for root only")
def test_the_script_stops_if_the_unbind_fails(tmp_path: Path) -> None:
    override = put_device(tmp_path, CARD[0], "10de:1f08", "nouveau")
    (tmp_path / "drivers/nouveau").mkdir(parents=True)
    done = run_script(card(functions=CARD[:1]), tmp_path)
    assert (done.returncode, override.read_text()) == (1, "vfio-pci\n")
    assert f"{CARD[0]} is on nouveau, not on none" in done.stderr


def test_the_script_accepts_only_two_commands(tmp_path: Path) -> None:
    put_device(tmp_path, CARD[0], "10de:1f08", "nouveau")
    assert run_script(card(functions=CARD[:1]), tmp_path, "destroy").returncode == 1
