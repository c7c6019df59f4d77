"""Hazards of a device's uses, each with a case with it and a case without it."""

from collections.abc import Sequence

import pytest

from iommutui.core.address import Address
from iommutui.core.device import Gap
from iommutui.core.host import Device
from iommutui.core.uses import Held, Input, Network, Opener, Plugged, Screen, Sound, Storage, Uses
from tests.core.hazards import GPU, GPU2, NIC, NIC2, found, hazards, one, severities, two
from tests.core.machines import OTHER, A, function, group_of, machine


@pytest.mark.parametrize(
    ("boot_vga", "driver", "target", "expected"),
    [(True, "amdgpu", "vfio-pci", True), (True, "amdgpu", "none", True), (True, "amdgpu", "pci-stub", True),
     (True, "amdgpu", "default", False), (True, None, "vfio-pci", False), (False, "amdgpu", "vfio-pci", False),
     (True, "amdgpu", "nvme", False), (True, "vfio-pci", "none", False)],
)  # fmt: skip
def test_the_boot_display_is_a_hazard(boot_vga: bool, driver: str | None, target: str, expected: bool) -> None:
    shown = hazards(one(function(A, driver, boot_vga=boot_vga)), f"A={target}")
    assert (("boot-display", A) in shown) is expected


@pytest.mark.parametrize(
    ("class_code", "driver", "target", "gaps", "expected"),
    [("030000", "amdgpu", "vfio-pci", (), "not-recorded"), ("030000", "amdgpu", "none", (), "not-recorded"),
     ("030000", "amdgpu", "vfio-pci", (Gap("boot_vga", "EACCES"),), "EACCES"),
     ("030000", "amdgpu", "default", (), None), ("030000", "vfio-pci", "none", (), None),
     ("030000", None, "vfio-pci", (), None), ("030200", "amdgpu", "vfio-pci", (), None),
     ("038000", "amdgpu", "vfio-pci", (), None), ("010802", "nvme", "vfio-pci", (), None)],
)  # fmt: skip
def test_an_unknown_boot_display_is_reported(
    class_code: str, driver: str | None, target: str, gaps: tuple[Gap, ...], expected: str | None
) -> None:
    host = one(function(A, driver, boot_vga=None, class_code=class_code, gaps=gaps), screens=(Screen(A, ("DP-1",)),))
    shown = [h for h in found(host, f"A={target}") if h.code == "boot-display"]
    assert [(str(h.severity), h.unknown) for h in shown] == ([("info", expected)] if expected else [])


@pytest.mark.parametrize(
    ("screens", "boot_vga", "intents", "expected"),
    [
        ((Screen(A, ("DP-1",)),), False, ["A=vfio-pci"], {"monitor:00.0": "danger"}),
        ((Screen(A, ("DP-1",)), Screen(OTHER, ("DP-1",))), False, ["A=vfio-pci"], {"monitor:00.0": "warn"}),
        ((Screen(A, ("DP-1",)), Screen(OTHER, ("DP-1",))), True, ["A=vfio-pci"], {"boot-display:00.0": "warn"}),
        ((Screen(A),), False, ["A=vfio-pci"], {}),
        ((Screen(A), Screen(OTHER, ("DP-1",))), False, ["A=vfio-pci"], {}),
        ((Screen(A, (), ("fb0",), True),), False, ["A=vfio-pci"], {"text-console:00.0": "warn"}),
        ((Screen(A, (), ("fb0",), False),), False, ["A=vfio-pci"], {}),
        ((Screen(A, ("DP-1",), ("fb0",), True),), True, ["A=vfio-pci"], {"boot-display:00.0": "danger"}),
        ((Screen(A, firmware="BOOTFB"),), False, ["A=vfio-pci"], {"framebuffer-removed:00.0": "warn"}),
        ((Screen(A, firmware="BOOTFB"),), False, ["A=none"], {"firmware-framebuffer:00.0": "warn"}),
        ((Screen(A, ("DP-1",)),), False, ["A=default"], {}),
    ],
)
def test_a_display_with_a_picture_is_a_hazard(
    screens: tuple[Screen, ...], boot_vga: bool, intents: list[str], expected: dict[str, str]
) -> None:
    host = two(GPU._replace(boot_vga=boot_vga), GPU2, screens=screens)
    assert severities(host, *intents) == expected


def test_two_monitors_that_both_leave_are_both_dangers() -> None:
    host = two(GPU, GPU2, screens=(Screen(A, ("DP-1",)), Screen(OTHER, ("DP-1",))))
    assert [h.severity for h in found(host, "A=vfio-pci", "OTHER=vfio-pci")] == ["danger", "danger"]


@pytest.mark.parametrize(
    ("device", "target", "expected"),
    [(GPU, "vfio-pci", "danger"), (GPU, "default", None), (function(A, "nvme", class_code="010802"), "none", None)],
)
def test_a_gpu_that_processes_have_open_is_a_hazard(device: Device, target: str, expected: str | None) -> None:
    host = one(device, openers=(Opener(A, "Xorg", 20, "/dev/dri/card0"), Opener(OTHER, "x", 1, "/dev/dri/card1")))
    shown = [h for h in found(host, f"A={target}") if h.code == "gpu-in-use"]
    assert [str(h.severity) for h in shown] == ([expected] if expected else [])
    assert all(h.fact("who") == "Xorg (pid 20)" and h.fact("nodes") == "/dev/dri/card0" for h in shown)


DISK, DISK2 = (function(address, "nvme", class_code="010802") for address in (A, OTHER))


@pytest.mark.parametrize(
    ("held", "expected"),
    [(Held.MOUNT, {"disk-mounted:00.0": "danger"}), (Held.SWAP, {"swap-active:00.0": "danger"}),
     (Held.POOL, {"zfs-member:00.0": "danger"}), (Held.STACK, {"disk-assembled:00.0": "danger"}),
     (Held.FSTAB, {"fstab-entry:00.0": "warn"}), (Held.DISK, {"disk-leaves:00.0": "info"})],
)  # fmt: skip
@pytest.mark.parametrize(("target", "leaves"), [("vfio-pci", True), ("none", True), ("default", False)])
def test_every_use_of_a_disk_is_a_hazard(held: Held, expected: dict[str, str], target: str, leaves: bool) -> None:
    host = two(DISK, DISK2, storage=(Storage(A, held, ("/x",), ("sda1",)), Storage(A, Held.DISK, ("sda",))))
    assert severities(host, f"A={target}") == (expected if leaves else {})
    assert severities(host, f"OTHER={target}") == {}


def test_the_evidence_names_the_chain() -> None:
    host = one(DISK, storage=(Storage(A, Held.MOUNT, ("/", "/home"), ("dm-0 (vg-root)", "nvme0n1p3")),
                              Storage(A, Held.MOUNT, ("/boot",), ("nvme0n1p2",))))  # fmt: skip
    (hazard,) = found(host, "A=none")
    assert hazard.fact("what") == "/, /home, /boot"
    assert hazard.fact("chain") == "/ ← dm-0 (vg-root) ← nvme0n1p3; /boot ← nvme0n1p2"


@pytest.mark.parametrize(
    ("spare", "intents", "expected"),
    [
        (1, ["A=none"], {"disk-mounted:00.0": "warn"}),
        (0, ["A=none"], {"disk-mounted:00.0": "danger"}),
        (1, ["A=none", "OTHER=none"], None),
        (2, ["A=none", "OTHER=none"], {"disk-mounted:00.0": "warn"}),
    ],
)
def test_an_array_survives_the_loss_of_its_spare_members(
    spare: int, intents: list[str], expected: dict[str, str] | None
) -> None:
    array = "md0" if spare else ""
    uses = tuple(Storage(address, Held.MOUNT, ("/",), ("md0", disk), array, spare)
                 for address, disk in ((A, "sda"), (OTHER, "sdb")))  # fmt: skip
    shown = found(two(DISK, DISK2, storage=uses), *intents)
    if expected is None:
        assert [h.severity for h in shown] == ["danger", "danger"]
    else:
        assert {str(h.severity) for h in shown} == set(expected.values())


def test_an_array_may_lose_one_disk_but_not_two_on_one_controller() -> None:
    uses = tuple(Storage(A, Held.MOUNT, ("/",), ("md0", disk), "md0", 1) for disk in ("sda", "sdb"))
    assert severities(one(DISK, storage=uses), "A=none") == {"disk-mounted:00.0": "danger"}


@pytest.mark.parametrize(
    ("network", "intents", "expected"),
    [
        ((Network(A, ("eth0",), True, True),), ["A=none"], {"default-route:00.0": "danger"}),
        ((Network(A, ("eth0",), True, True),), ["A=default"], {}),
        ((Network(A, ("eth0",), True, True),), ["OTHER=none"], {}),
        ((Network(A, ("eth0",), True), Network(OTHER, ("wlan0",), True)), ["A=none"], {"default-route:00.0": "warn"}),
        ((Network(A, ("eth0",), False, True),), ["A=none"], {"network-address:00.0": "danger"}),
        ((Network(A, ("eth0",), False, True), Network(OTHER, ("eth1",), True, True)), ["A=none"],
         {"network-address:00.0": "warn"}),
        ((Network(A, ("eth0",), True, True, True),), ["A=none"],
         {"ssh-session:00.0": "danger", "default-route:00.0": "danger"}),
        ((Network(A, ("eth0",), True, True, True), Network(OTHER, ("eth1",), True, True)), ["A=none"],
         {"ssh-session:00.0": "danger", "default-route:00.0": "warn"}),
        (tuple(Network(each, ("bond0", "eth"), True, True, True, True) for each in (A, OTHER)), ["A=none"],
         {"ssh-session:00.0": "warn", "default-route:00.0": "warn"}),
        ((Network(A, ("br0", "eth0"), True, True), Network(OTHER, ("br0", "eth1"), True, True)), ["A=none"],
         {"default-route:00.0": "danger"}),
        ((Network(A, ("br0", "eth0")),), ["A=none"], {"network-member:00.0": "warn"}),
        ((Network(A, ("eth0",)),), ["A=none"], {}),
    ],
)  # fmt: skip
def test_a_network_interface_in_use_is_a_hazard(
    network: tuple[Network, ...], intents: list[str], expected: dict[str, str]
) -> None:
    assert severities(two(NIC, NIC2, network=network), *intents) == expected


USB, USB2 = (function(address, "nvme", class_code="0c0330") for address in (A, OTHER))
BOARD, MOUSE = Input(A, "Board", keyboard=True), Input(A, "Mouse", pointer=True)


@pytest.mark.parametrize(
    ("inputs", "intents", "expected"),
    [
        ((BOARD,), ["A=none"], {"last-keyboard:00.0": "danger"}),
        ((BOARD,), ["A=default"], {}),
        ((BOARD,), ["OTHER=none"], {}),
        ((BOARD, Input(None, "AT", keyboard=True)), ["A=none"], {"input-leaves:00.0": "info"}),
        ((BOARD, Input(OTHER, "Other", keyboard=True)), ["A=none"], {"input-leaves:00.0": "info"}),
        ((BOARD, Input(OTHER, "Other", keyboard=True)), ["A=none", "OTHER=none"], None),
        ((BOARD, Input(None, "BT", keyboard=True, wireless=True)), ["A=none"], {"last-keyboard:00.0": "danger"}),
        ((Input(A, "BT", keyboard=True, wireless=True),), ["A=none"], {}),
        ((MOUSE, Input(None, "AT", keyboard=True)), ["A=none"], {"last-pointer:00.0": "warn"}),
        ((BOARD, MOUSE), ["A=none"], {"last-keyboard:00.0": "danger", "last-pointer:00.0": "warn"}),
        ((), ["A=none"], {}),
    ],
)
def test_keyboards_and_pointers_are_judged_by_those_that_remain(
    inputs: tuple[Input, ...], intents: list[str], expected: dict[str, str] | None
) -> None:
    shown = found(two(USB, USB2, inputs=inputs), *intents)
    if expected is None:
        assert [(h.code, h.severity) for h in shown] == [("last-keyboard", "danger")] * 2
    else:
        assert {f"{h.code}:{h.device[-4:]}": str(h.severity) for h in shown} == expected


@pytest.mark.parametrize(
    ("sounds", "openers", "target", "expected"),
    [
        ((Sound(A, "card0", ("pcm0p",)),), (), "none", {"audio-playing:00.0": "warn"}),
        ((Sound(A, "card0", ("pcm0p",)),), (), "default", {}),
        ((Sound(A, "card0"),), (), "none", {}),
        ((Sound(A, "card0"),), (Opener(A, "pipewire", 1, "/dev/snd/controlC0"),), "none", {"audio-open:00.0": "info"}),
        ((Sound(OTHER, "card0", ("pcm0p",)),), (), "none", {}),
    ],
)
def test_playing_sound_is_a_hazard(
    sounds: tuple[Sound, ...], openers: tuple[Opener, ...], target: str, expected: dict[str, str]
) -> None:
    host = two(function(A, "snd_hda_intel", class_code="040300"), GPU2, sounds=sounds, openers=openers)
    assert severities(host, f"A={target}") == expected


@pytest.mark.parametrize(
    ("opened", "target", "expected"),
    [((A,), "none", True), ((A,), "default", True), ((A,), "vfio-pci", False), ((), "none", False)],
)
def test_a_device_that_a_virtual_machine_uses_is_a_hazard(
    opened: Sequence[Address], target: str, expected: bool
) -> None:
    host = machine(group_of(1, function(A, "vfio-pci"), owner="qemu (pid 5)", opened=opened))
    shown = [h for h in found(host._replace(uses=Uses()), f"A={target}") if h.code == "used-by-vm"]
    assert [(str(h.severity), h.fact("owner")) for h in shown] == ([("danger", "qemu (pid 5)")] if expected else [])


@pytest.mark.parametrize(
    ("driver", "openers", "gap", "expected"),
    [("nvidia", (Opener(A, "llm", 5, "/dev/nvidia0"),), "", "danger"), ("nvidia", (), "EACCES", "warn"),
     ("nvidia", (), "", None), ("amdgpu", (Opener(A, "x", 5, "/dev/dri/card0"),), "", None),
     ("amdgpu", (), "EACCES", None)],
)  # fmt: skip
def test_a_driver_that_hangs_at_unbind_is_a_hazard(
    driver: str, openers: tuple[Opener, ...], gap: str, expected: str | None
) -> None:
    gaps = (Gap("openers", gap),) if gap else ()
    host = one(function(A, driver), openers=openers, gaps=gaps)
    shown = [str(h.severity) for h in found(host, "A=none") if h.code == "unbind-hangs"]
    assert shown == ([expected] if expected else [])


def test_the_uses_of_one_device_include_the_gaps_of_all() -> None:
    gaps = (Gap("openers", "EACCES"),)
    board, other = Input(A, "Board", keyboard=True), Input(OTHER, "Other", keyboard=True)
    uses = Uses(inputs=(board, other, Input(None, "AT")), sounds=(Sound(A, "card0"),), gaps=gaps)
    assert uses.of(A) == Uses(inputs=(board,), sounds=(Sound(A, "card0"),), gaps=gaps)
    assert uses.of(OTHER) == Uses(inputs=(other,), gaps=gaps)
    assert uses._replace(inputs=()).of(OTHER) == Uses(gaps=gaps)


@pytest.mark.parametrize(("target", "expected"), [("none", {"thunderbolt-devices:00.0": "warn"}), ("default", {})])
def test_thunderbolt_devices_are_a_hazard(target: str, expected: dict[str, str]) -> None:
    assert severities(one(USB, plugged=(Plugged(A, ("Dock", "Disk")),)), f"A={target}") == expected
