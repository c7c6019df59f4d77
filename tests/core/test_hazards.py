"""What the host loses by a plan: each hazard where there is one, and not where there is none."""

import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iommutui.core.address import Address
from iommutui.core.gap import Gap
from iommutui.core.hazards import CHECKS, KINDS, Hazard, Severity, cuts_a_lifeline, hazards_of
from iommutui.core.hazards.sentences import _SENTENCES, _UNKNOWN, hazard_advice, hazard_loss, hazard_sentence
from iommutui.core.host import Details, Device, Host, Region
from iommutui.core.intents import Goal, Intent, goal_of
from iommutui.core.printable import printable
from iommutui.core.uses import ById, Held, Input, Network, Opener, Plugged, Screen, Sound, Storage, Uses
from tests.core.machines import LONE, OTHER, A, B, C, D, bridge, function, group_of, machine
from tests.strategies import hosts

NAMES = {"A": A, "B": B, "C": C, "D": D, "OTHER": OTHER, "LONE": LONE}


def goals_of(host: Host, *intents: str) -> list[Goal]:
    goals: list[Goal] = []
    for text in intents:
        device, _, target = text.partition("=")
        goal, _, reason = goal_of(host, Intent(NAMES[device], target))
        assert goal is not None, reason
        goals.append(goal)
    return goals


def found(host: Host, *intents: str) -> list[Hazard]:
    hazards = hazards_of(host, goals_of(host, *intents))
    for hazard in hazards:
        assert hazard.device in hazard_loss(hazard)
        assert not re.search(r"None|  | [.,;]|\(\)|[^.]$", hazard_sentence(hazard)), hazard_sentence(hazard)
        assert hazard.severity in KINDS[hazard.code].severities
        assert hazard.topic is KINDS[hazard.code].topic
    return hazards


def hazards(host: Host, *intents: str) -> list[tuple[str, str]]:
    return [(hazard.code, hazard.device) for hazard in found(host, *intents)]


def severities(host: Host, *intents: str) -> dict[str, str]:
    return {f"{h.code}:{h.device[-4:]}": str(h.severity) for h in found(host, *intents)}


def one(device: Device, **uses: Any) -> Host:
    return machine(group_of(1, device))._replace(uses=Uses(**uses))


def two(first: Device, second: Device, **uses: Any) -> Host:
    """Two cards in two groups."""
    return machine(group_of(1, first), group_of(2, second))._replace(uses=Uses(**uses))


# -- the registry


def test_every_code_has_a_sentence_an_advice_and_a_policy() -> None:
    kinds = [kind for check in CHECKS for kind in check.kinds]
    assert len(kinds) == len(KINDS) == len(_SENTENCES)
    assert set(KINDS) == set(_SENTENCES) >= set(_UNKNOWN)
    for kind in kinds:
        assert re.fullmatch(r"[a-z0-9-]+", kind.code)
        assert kind.advice.endswith(".")
        assert kind.loses
        assert not kind.loses.endswith(".")
        assert list(kind.severities) == sorted(kind.severities, key=["danger", "warn", "info"].index)
        assert Severity.INFO in kind.severities or kind.code not in _UNKNOWN or Severity.WARN in kind.severities


def test_being_bound_to_a_kernel_driver_is_no_hazard() -> None:
    for code in ("020000", "0c0330", "030000", "010802", "040300"):
        assert hazards(one(function(A, "nvme", class_code=code)), "A=vfio-pci") == []


def test_dangers_come_first_and_cut_lifelines() -> None:
    host = one(
        function(A, "amdgpu", boot_vga=True, details=Details(reset_methods=(), power_state="D3cold")),
        plugged=(Plugged(A, ("Dock",)),),
    )
    shown = found(host, "A=vfio-pci")
    assert [h.severity for h in shown] == ["danger", "warn", "info", "info"]
    assert cuts_a_lifeline(shown)
    assert not cuts_a_lifeline(shown[1:])


# -- display


@pytest.mark.parametrize(
    ("boot_vga", "driver", "target", "expected"),
    [(True, "amdgpu", "vfio-pci", True), (True, "amdgpu", "none", True), (True, "amdgpu", "pci-stub", True),
     (True, "amdgpu", "default", False), (True, None, "vfio-pci", False), (False, "amdgpu", "vfio-pci", False),
     (None, "amdgpu", "vfio-pci", False), (True, "amdgpu", "nvme", False), (True, "vfio-pci", "none", False)],
)  # fmt: skip
def test_the_display_that_the_machine_booted_on(
    boot_vga: bool | None, driver: str | None, target: str, expected: bool
) -> None:
    shown = hazards(one(function(A, driver, boot_vga=boot_vga)), f"A={target}")
    assert (("boot-display", A) in shown) is expected


GPU, GPU2 = function(A, "amdgpu"), function(OTHER, "amdgpu")


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
        ((Screen(A, firmware="BOOTFB"),), False, ["A=vfio-pci"], {"firmware-framebuffer:00.0": "warn"}),
        ((Screen(A, ("DP-1",)),), False, ["A=default"], {}),
    ],
)
def test_what_shows_a_picture(
    screens: tuple[Screen, ...], boot_vga: bool, intents: list[str], expected: dict[str, str]
) -> None:
    host = two(GPU._replace(boot_vga=boot_vga), GPU2, screens=screens)
    assert severities(host, *intents) == expected


def test_two_monitors_that_both_go_are_both_dangers() -> None:
    host = two(GPU, GPU2, screens=(Screen(A, ("DP-1",)), Screen(OTHER, ("DP-1",))))
    assert [h.severity for h in found(host, "A=vfio-pci", "OTHER=vfio-pci")] == ["danger", "danger"]


@pytest.mark.parametrize(
    ("device", "target", "expected"),
    [(GPU, "vfio-pci", "danger"), (GPU, "default", None), (function(A, "nvme", class_code="010802"), "none", None)],
)
def test_a_gpu_that_processes_have_open(device: Device, target: str, expected: str | None) -> None:
    host = one(device, openers=(Opener(A, "Xorg", 20, "/dev/dri/card0"), Opener(OTHER, "x", 1, "/dev/dri/card1")))
    shown = [h for h in found(host, f"A={target}") if h.code == "gpu-in-use"]
    assert [str(h.severity) for h in shown] == ([expected] if expected else [])
    assert all(h.fact("who") == "Xorg (pid 20)" and h.fact("nodes") == "/dev/dri/card0" for h in shown)


# -- storage

DISK, DISK2 = (function(address, "nvme", class_code="010802") for address in (A, OTHER))


@pytest.mark.parametrize(
    ("held", "expected"),
    [(Held.MOUNT, {"disk-mounted:00.0": "danger"}), (Held.SWAP, {"swap-active:00.0": "danger"}),
     (Held.POOL, {"zfs-member:00.0": "danger"}), (Held.STACK, {"disk-assembled:00.0": "warn"}),
     (Held.FSTAB, {"fstab-entry:00.0": "warn"}), (Held.DISK, {"disk-leaves:00.0": "info"})],
)  # fmt: skip
@pytest.mark.parametrize(("target", "leaves"), [("vfio-pci", True), ("none", True), ("default", False)])
def test_every_use_of_a_disk(held: Held, expected: dict[str, str], target: str, leaves: bool) -> None:
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
def test_an_array_goes_on_without_as_many_members_as_it_can_lose(
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


def test_an_array_that_can_lose_one_disk_but_not_two_on_one_controller() -> None:
    uses = tuple(Storage(A, Held.MOUNT, ("/",), ("md0", disk), "md0", 1) for disk in ("sda", "sdb"))
    assert severities(one(DISK, storage=uses), "A=none") == {"disk-mounted:00.0": "danger"}


# -- network

NIC, NIC2 = (function(address, "nvme", class_code="020000") for address in (A, OTHER))


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
def test_what_is_talked_through(network: tuple[Network, ...], intents: list[str], expected: dict[str, str]) -> None:
    assert severities(two(NIC, NIC2, network=network), *intents) == expected


# -- input and audio

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
def test_keyboards_and_pointers_by_what_remains(
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
def test_sound(sounds: tuple[Sound, ...], openers: tuple[Opener, ...], target: str, expected: dict[str, str]) -> None:
    host = two(function(A, "snd_hda_intel", class_code="040300"), GPU2, sounds=sounds, openers=openers)
    assert severities(host, f"A={target}") == expected


# -- who else has it


@pytest.mark.parametrize(
    ("opened", "target", "expected"),
    [((A,), "none", True), ((A,), "default", True), ((A,), "vfio-pci", False), ((), "none", False)],
)
def test_a_device_that_a_virtual_machine_uses(opened: Sequence[Address], target: str, expected: bool) -> None:
    host = machine(group_of(1, function(A, "vfio-pci"), owner="qemu (pid 5)", opened=opened))
    shown = [h for h in found(host._replace(uses=Uses()), f"A={target}") if h.code == "used-by-vm"]
    assert [(str(h.severity), h.fact("owner")) for h in shown] == ([("danger", "qemu (pid 5)")] if expected else [])


@pytest.mark.parametrize(
    ("driver", "openers", "gap", "expected"),
    [("nvidia", (Opener(A, "llm", 5, "/dev/nvidia0"),), "", "danger"), ("nvidia", (), "EACCES", "warn"),
     ("nvidia", (), "", None), ("amdgpu", (Opener(A, "x", 5, "/dev/dri/card0"),), "", None),
     ("amdgpu", (), "EACCES", None)],
)  # fmt: skip
def test_a_driver_that_hangs(driver: str, openers: tuple[Opener, ...], gap: str, expected: str | None) -> None:
    gaps = (Gap("openers", gap),) if gap else ()
    host = one(function(A, driver), openers=openers, gaps=gaps)
    shown = [str(h.severity) for h in found(host, "A=none") if h.code == "unbind-hangs"]
    assert shown == ([expected] if expected else [])


@pytest.mark.parametrize(("target", "expected"), [("none", {"thunderbolt-devices:00.0": "warn"}), ("default", {})])
def test_thunderbolt_devices(target: str, expected: dict[str, str]) -> None:
    assert severities(one(USB, plugged=(Plugged(A, ("Dock", "Disk")),)), f"A={target}") == expected


# -- cards


@pytest.mark.parametrize(
    ("other", "intents", "expected"),
    [
        (function(B, "snd_hda_intel"), ("A=vfio-pci",), True),
        (function(B, "snd_hda_intel"), ("A=vfio-pci", "B=vfio-pci"), False),
        (function(B, "snd_hda_intel"), ("A=none",), False),
        (function(B, "vfio-pci"), ("A=vfio-pci",), False),
        (function(B, "pci-stub"), ("A=vfio-pci",), False),
        (function(B), ("A=vfio-pci",), False),
        (function(B, "nvme", physfn=OTHER), ("A=vfio-pci",), False),
        (bridge(B), ("A=vfio-pci",), False),
        (function(OTHER, "nvme"), ("A=vfio-pci",), False),
    ],
)
def test_a_part_of_a_card_that_stays_behind(other: Device, intents: tuple[str, ...], expected: bool) -> None:
    shown = hazards(machine(group_of(1, function(A, "amdgpu"), other)), *intents)
    assert (("card-split", other.address) in shown) is expected


@pytest.mark.parametrize("group", [1, 2])
def test_a_part_that_stays_behind_in_another_group_is_told_with_its_group(group: int) -> None:
    audio = function(B, "snd_hda_intel")
    groups = [group_of(1, GPU, audio)] if group == 1 else [group_of(1, GPU), group_of(2, audio)]
    (hazard,) = (h for h in found(machine(*groups)._replace(uses=Uses()), "A=vfio-pci") if h.code == "card-split")
    assert hazard.fact("group") == ("" if group == 1 else "2")


@pytest.mark.parametrize(
    ("network", "opened", "target", "expected"),
    [((), (), "none", "warn"), ((Network(B, ("eth1",), False, True),), (), "none", "danger"),
     ((), (B,), "none", "danger"), ((), (), "default", None)],
)  # fmt: skip
def test_virtual_functions_vanish_with_their_physical_function(
    network: tuple[Network, ...], opened: tuple[Address, ...], target: str, expected: str | None
) -> None:
    virtual = function(B, "vfio-pci" if opened else "nvme", physfn=A)
    host = machine(group_of(1, NIC._replace(virtfns=(B,))), group_of(2, virtual, owner="vm", opened=opened))
    shown = found(host._replace(uses=Uses(network=network)), f"A={target}")
    assert [str(h.severity) for h in shown if h.code == "virtual-functions"] == ([expected] if expected else [])
    assert [h.device for h in shown if h.code == "network-address"] == ([B] if network else [])


@pytest.mark.parametrize(
    ("cmdline", "by_id", "driver", "expected"),
    [
        ("vfio-pci.ids=1002:73b0", (), "amdgpu", True),
        ("quiet vfio_pci.ids=10de:1,1002:73b0:1043:1", (), "amdgpu", True),
        ("", (ById("vfio-pci", ("1002:73b0",), "/etc/modprobe.d/vfio.conf"),), "amdgpu", True),
        ("vfio-pci.ids=1002:73b1", (), "amdgpu", False),
        ("kvm.ids=1002:73b0", (), "amdgpu", False),
        ("vfio-pci.ids=1002:73b0", (), "vfio-pci", False),
        ("", (), "amdgpu", False),
    ],
)
def test_a_twin_that_a_setting_by_id_takes_as_well(
    cmdline: str, by_id: tuple[ById, ...], driver: str, expected: bool
) -> None:
    host = two(GPU, function(OTHER, driver), by_id=by_id)._replace(cmdline=cmdline)
    shown = [h for h in found(host, "A=vfio-pci") if h.code == "matched-by-id"]
    assert [h.fact("twins") for h in shown] == ([OTHER] if expected else [])


# -- condition


@pytest.mark.parametrize(
    ("methods", "target", "expected"),
    [((), "vfio-pci", True), (None, "vfio-pci", False), (("flr",), "vfio-pci", False), ((), "none", False)],
)
def test_a_device_that_cannot_be_reset(methods: tuple[str, ...] | None, target: str, expected: bool) -> None:
    host = one(function(A, "amdgpu", details=Details(reset_methods=methods)))
    assert (("no-reset", A) in hazards(host, f"A={target}")) is expected


@pytest.mark.parametrize(
    ("methods", "parent", "other", "intents", "expected"),
    [
        (("bus",), LONE, function(B, "nvme"), ["A=vfio-pci"], True),
        ((), LONE, function(B, "nvme"), ["A=vfio-pci"], True),
        (("flr", "bus"), LONE, function(B, "nvme"), ["A=vfio-pci"], False),
        (None, LONE, function(B, "nvme"), ["A=vfio-pci"], False),
        (("bus",), None, function(B, "nvme"), ["A=vfio-pci"], False),
        (("bus",), LONE, function(B), ["A=vfio-pci"], False),
        (("bus",), LONE, function(B, "nvme"), ["A=vfio-pci", "B=vfio-pci"], False),
        (("bus",), LONE, function(OTHER, "nvme"), ["A=vfio-pci"], False),
    ],
)
def test_a_reset_that_reaches_other_groups(
    methods: tuple[str, ...] | None, parent: Address | None, other: Device, intents: list[str], expected: bool
) -> None:
    host = two(GPU._replace(parent=parent, details=Details(reset_methods=methods)), other)
    assert (("reset-reaches-others", A) in hazards(host, *intents)) is expected


def test_a_reset_within_the_group_is_no_hazard() -> None:
    card = GPU._replace(parent=LONE, details=Details(reset_methods=("bus",)))
    assert ("reset-reaches-others", A) not in hazards(machine(group_of(1, card, function(B, "nvme"))), "A=vfio-pci")


@pytest.mark.parametrize(
    ("state", "target", "expected"),
    [("D3cold", "vfio-pci", True), ("D0", "vfio-pci", False), (None, "vfio-pci", False), ("D3cold", "none", False)],
)
def test_a_device_that_sleeps(state: str | None, target: str, expected: bool) -> None:
    host = one(GPU._replace(details=Details(power_state=state)))
    assert (("sleeps-in-d3cold", A) in hazards(host, f"A={target}")) is expected


@pytest.mark.parametrize(("answers", "expected"), [(False, True), (True, False), (None, False)])
def test_a_device_that_has_fallen_off_the_bus(answers: bool | None, expected: bool) -> None:
    shown = hazards(one(function(A, details=Details(config_answers=answers, reset_methods=("flr",)))), "A=vfio-pci")
    assert (("not-responding", A) in shown) is expected


@pytest.mark.parametrize(
    ("kind", "target", "expected"),
    [("direct", "vfio-pci", True), ("direct", "none", False), ("direct-relaxable", "vfio-pci", False),
     ("msi", "vfio-pci", False)],
)  # fmt: skip
def test_memory_that_firmware_uses_through_the_device(kind: str, target: str, expected: bool) -> None:
    host = one(GPU)
    host = host.with_group(host.groups[1]._replace(regions=(Region(0x1000, 0x1FFF, kind),)))
    assert (("direct-region", A) in hazards(host, f"A={target}")) is expected


@pytest.mark.parametrize(
    ("cmdline", "target", "expected"),
    [("ro pcie_acs_override=downstream", "vfio-pci", True), ("ro pcie_acs_override=downstream", "none", False),
     ("ro quiet", "vfio-pci", False), (None, "vfio-pci", False)],
)  # fmt: skip
def test_groups_that_are_split_on_paper(cmdline: str | None, target: str, expected: bool) -> None:
    assert (("acs-override", A) in hazards(one(GPU)._replace(cmdline=cmdline), f"A={target}")) is expected


# -- what is not known


@pytest.mark.parametrize(
    ("code", "driver", "field", "expected"),
    [
        ("010802", "nvme", "storage", {"disk-mounted"}),
        ("010802", "nvme", "fstab", {"fstab-entry"}),
        ("0c0330", "nvme", "storage", {"disk-mounted"}),
        ("0c0330", "nvme", "inputs", {"input-leaves"}),
        ("020000", "nvme", "network", {"default-route"}),
        ("030000", "amdgpu", "screens", {"monitor"}),
        ("030000", "amdgpu", "openers", {"gpu-in-use"}),
        ("030000", "nvidia", "openers", {"gpu-in-use", "unbind-hangs"}),
        ("040300", "snd_hda_intel", "sounds", {"audio-playing"}),
        ("088000", "nvme", "storage", set()),
    ],
)
def test_what_cannot_be_known_is_told_as_unknown(code: str, driver: str, field: str, expected: set[str]) -> None:
    host = one(function(A, driver, class_code=code), gaps=(Gap(field, "EACCES"),))
    shown = found(host, "A=none")
    assert {h.code for h in shown} == expected
    assert all(h.unknown == "EACCES" and h.severity is not Severity.DANGER for h in shown)
    assert all("root" in hazard_loss(h) and "sudo" in hazard_advice(h) for h in shown)
    assert hazards(one(function(A, driver, class_code=code)), "A=none") == []
    assert hazards(host, "A=default") == []


@pytest.mark.parametrize("code", ["010802", "0c0330", "020000", "030000", "040300"])
def test_a_host_without_uses_is_never_fine(code: str) -> None:
    host = machine(group_of(1, function(A, "nvme", class_code=code)))
    shown = found(host, "A=none")
    assert shown
    assert all(hazard.unknown == "not-recorded" for hazard in shown)


# -- anything at all


@given(hosts(), st.randoms(use_true_random=False), st.sampled_from(["vfio-pci", "none", "default", "pci-stub"]))
def test_the_order_of_the_goals_makes_no_difference_and_everything_can_be_said(
    host: Host, random: Any, target: str
) -> None:
    goals = [g for address in host.devices if (g := goal_of(host, Intent(address, target))[0]) is not None]
    shuffled = [*goals]
    random.shuffle(shuffled)
    shown = hazards_of(host, goals)
    assert shown == hazards_of(host, shuffled)
    assert len(set(shown)) == len(shown)
    for hazard in shown:
        assert hazard.severity in KINDS[hazard.code].severities
        assert printable(hazard_sentence(hazard)).isprintable()
