"""Displays, inputs and sound, found in trees of files."""

import os

import pytest

from iommutui.core.address import Address
from iommutui.core.uses import Input, Plugged, Screen, Sound
from tests.sources.used import BUTTONS, KEYS, A, B, Machine


def test_monitors_framebuffers_and_the_console_are_found(machine: Machine) -> None:
    machine.class_device("drm", "card0", A)
    for name, status in (("card0-HDMI-A-1", "connected"), ("card0-DP-1", "disconnected"), ("card0-eDP-1", "unknown")):
        machine.class_device("drm", name, A, {"status": status})
    machine.class_device("graphics", "fb0", A)
    machine.class_device("drm", "card1", B)
    machine.class_device("graphics", "fbcon", "virtual")
    expected = (Screen(A, ("HDMI-A-1",), ("fb0",)), Screen(B))
    assert machine.uses().screens == expected
    machine.class_device("vtconsole", "vtcon1", "virtual", {"name": "(M) frame buffer device", "bind": "1"})
    assert machine.uses().screens == (expected[0]._replace(console=True), expected[1])


@pytest.mark.parametrize(("name", "bind"), [("(M) frame buffer device", "0"), ("(S) dummy device", "1")])
def test_a_console_without_framebuffers_is_not_reported(machine: Machine, name: str, bind: str) -> None:
    machine.class_device("graphics", "fb0", A)
    machine.class_device("vtconsole", "vtcon1", "virtual", {"name": name, "bind": bind})
    assert machine.uses().screens == (Screen(A, (), ("fb0",)),)


IOMEM = """\
00000000-00000000 : PCI Bus 0000:00
  00000000-00000000 : PCI Bus 0000:01
    00000000-00000000 : 0000:01:00.0
      00000000-00000000 : {}
    00000000-00000000 : 0000:02:00.0
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [(IOMEM.format("BOOTFB"), {A: "BOOTFB"}), (IOMEM.format("efifb"), {A: "efifb"}), (IOMEM.format("amdgpu"), {}),
     ("e0000000-e7ffffff : BOOTFB\n", {}), ("rubbish\n", {})],
)  # fmt: skip
def test_the_firmwares_framebuffer_is_found_in_a_devices_memory(
    machine: Machine, text: str, expected: dict[Address, str]
) -> None:
    machine.tree.file("proc/iomem", text)
    assert {s.device: s.firmware for s in machine.uses().screens} == expected


def test_the_firmwares_framebuffer_is_found_as_a_child_device(machine: Machine) -> None:
    place = machine.tree.place(A) / "simple-framebuffer.0"
    place.mkdir()
    link = machine.tree.sys / "bus/platform/devices/simple-framebuffer.0"
    link.parent.mkdir(parents=True)
    link.symlink_to(os.path.relpath(place, link.parent))
    assert machine.uses().screens == (Screen(A, firmware="simple-framebuffer"),)


def keyboard(machine: Machine, number: int, below: Address | str, name: str = "K", **files: str) -> None:
    facts = {"name": name, "capabilities/key": KEYS, "id/bustype": "0003", **files}
    machine.class_device("input", f"input{number}", below, facts)


def test_keyboards_and_pointers_are_found(machine: Machine) -> None:
    keyboard(machine, 1, A, "USB keyboard")
    machine.class_device(
        "input", "input2", A, {"name": "Mouse", "capabilities/key": BUTTONS, "capabilities/rel": "903"}
    )
    touchpad = {"name": "Touchpad", "capabilities/key": "400 0 0 0 0 0", "capabilities/abs": "3"}
    machine.class_device("input", "input3", B, touchpad)
    machine.class_device("input", "input4", A, {"name": "Power Button", "capabilities/key": "10000000000000 0"})
    gamepad = {"name": "Pad", "capabilities/key": "7cdb000000000000 0 0 0 0", "capabilities/abs": "3003f"}
    machine.class_device("input", "input5", A, gamepad)
    machine.class_device("input", "input6", A, {"capabilities/key": "no number"})
    machine.class_device("input", "mouse0", A)
    keyboard(machine, 7, "platform/i8042/serio0", "AT keyboard")
    keyboard(machine, 8, "virtual", "uinput")
    keyboard(machine, 9, "virtual/misc/uhid/0005:1", "Alice's keyboard", **{"id/bustype": "0005"})
    assert machine.uses().inputs == (
        Input(A, "USB keyboard", keyboard=True),
        Input(A, "Mouse", pointer=True),
        Input(B, "Touchpad", pointer=True),
        Input(None, "AT keyboard", keyboard=True),
        Input(None, "Alice's keyboard", keyboard=True, wireless=True),
    )


def test_playing_sound_is_found(machine: Machine) -> None:
    machine.class_device("sound", "card0", A)
    machine.class_device("sound", "card1", B)
    machine.class_device("sound", "controlC0", A)
    for path, text in (("card0/pcm0p/sub0", "closed\n"), ("card1/pcm0p/sub0", "closed\n"),
                       ("card1/pcm3c/sub1", "state: RUNNING\nowner_pid   : 5\n")):  # fmt: skip
        machine.tree.file(f"proc/asound/{path}/status", text)
    assert machine.uses().sounds == (Sound(A, "card0"), Sound(B, "card1", ("pcm3c",)))


def test_thunderbolt_devices_are_found(machine: Machine) -> None:
    bus = machine.tree.sys / "bus/thunderbolt/devices"
    bus.mkdir(parents=True)
    for name, text in (("domain0", ""), ("0-0", "host"), ("0-1", "Dock"), ("0-301", ""), ("0-1.0", "service")):
        place = machine.tree.place(A) / "domain0" / name
        place.mkdir(parents=True)
        if text:
            (place / "device_name").write_text(text + "\n")
        (bus / name).symlink_to(os.path.relpath(place, bus))
    assert machine.uses().plugged == (Plugged(A, ("Dock", "0-301")),)
