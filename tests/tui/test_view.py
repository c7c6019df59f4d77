"""Rows, details and plan, without a screen."""

import pytest

from iommutui.core.address import Address
from iommutui.core.host import NO_IOMMU, Claim, Device, Fit, Gap, Group, Host
from iommutui.core.labels import kind_word
from iommutui.core.models import MODELS
from iommutui.core.plan.intents import Intent
from iommutui.core.plan.planner import plan_intents, shell_line
from iommutui.demo import demo_host
from iommutui.tui.commands import COMMANDS, hints, reason_against
from iommutui.tui.derived import fix_of, preview
from iommutui.tui.machines.base import Job
from iommutui.tui.pages import details, plan_title
from iommutui.tui.pages.help import orientation
from iommutui.tui.pages.plan import Review, plan_lines, review_lines, step_lines
from iommutui.tui.rows import listing, row, settled
from iommutui.tui.rows.base import KIND, nothing_to_pass
from iommutui.tui.state import AppState, Key, Pane, Source, SourceKind, Tab, View, staged, start, with_host
from iommutui.tui.text import Line
from tests.tui.machines import DISK, GPU, NIC, PORT, SOUND, changed, small, without_iommu


def state_of(host: Host | None = None, **fields: object) -> AppState:
    return with_host(start(Source(SourceKind.DEMO)), host or small())[0]._replace(**fields)  # type: ignore[arg-type]


def text(state: AppState, key: Key, width: int = 90) -> str:
    return "".join(span.text for span in row(state, key, width)).rstrip()


def words(lines: tuple[Line, ...]) -> str:
    return "\n".join(source.text for source in lines)


def test_groups_are_above_their_devices() -> None:
    keys = listing(state_of()).keys
    assert keys == (Key(1), Key(1, PORT), Key(1, GPU), Key(1, SOUND), Key(2), Key(2, NIC), Key(3), Key(3, DISK))


def test_a_group_row_has_verdict_number_and_contents() -> None:
    assert text(state_of(), Key(1)) == "  ▾ ✖ blocked group  1  VGA, Audio, Bridge"
    assert text(state_of(), Key(3)) == "  ▾ ✔ viable  group  3  NVMe"


def test_a_device_row_has_driver_role_kind_and_name_and_marks_blockers() -> None:
    assert text(state_of(), Key(1, GPU)) == (
        "   ✖ 01:00.0 nvidia           host    VGA       GA104 [GeForce RTX 3070] · NVIDIA Corpora…"
    )
    assert text(state_of(), Key(1, PORT)).startswith("     00:01.0 pcieport         neutral Bridge ")
    assert text(state_of(), Key(3, DISK)).startswith("     06:00.0 free                     NVMe ")


def test_a_long_address_leaves_room_for_the_name() -> None:
    uuid = Address("a1b2c3d4-0000-1111-2222-333344445555")
    host = small().with_device(Device(uuid, bus="mdev", device_name="GVTg_V5_4"))
    assert "SM981" in text(state_of(host), Key(3, DISK), 80)


def test_a_group_without_isolation_is_marked_once_and_apart_from_its_number() -> None:
    host = small().with_group(small().groups[3]._replace(name=NO_IOMMU))
    assert text(state_of(host), Key(3)).startswith("  ▾ ! no isolation group  3")
    shown = words(details(state_of(host, cursor=Key(3))))
    assert shown.count("no-IOMMU mode") == 1


def test_the_review_shows_a_shared_reason_once() -> None:
    host = small()
    plan = plan_intents(host, [Intent(PORT, "none")], MODELS["dma-owner"])
    assert words(review_lines(Review("Review", Job(plan, (), MODELS["dma-owner"])))).count("until all are unbound") == 1


def test_a_virtual_function_and_its_physical_one_say_so() -> None:
    host = changed(changed(small(), SOUND, physfn=Address(GPU)), GPU, virtfns=(Address(SOUND),))
    assert "VF of 01:00.0" in text(state_of(host), Key(1, SOUND), 120)
    assert "1 VF " in text(state_of(host), Key(1, GPU), 120)
    assert "VF" not in text(state_of(), Key(1, GPU), 120)


def test_an_intent_is_shown_beside_the_driver() -> None:
    state = staged(state_of(), {GPU: "vfio-pci", SOUND: "vfio-pci"})
    assert "nvidia → vfio-pci" in text(state, Key(1, GPU))
    assert "snd_hda_intel → vfio-pci" in text(state, Key(1, SOUND))
    assert text(state, Key(1)) == "  ▾ ✖ blocked group  1  → ✔ viable planned VGA, Audio, Bridge"


def test_for_a_device_already_on_the_driver_only_the_override_is_set() -> None:
    host = small()
    for address in (GPU, SOUND):
        host = changed(host, address, driver="vfio-pci", driver_override=None)
    state = staged(state_of(host), {GPU: "vfio-pci"})
    assert "vfio-pci → sets override" in text(state, Key(1, GPU))
    assert "vfio-pci → sets override" in words(plan_lines(state))
    assert "Group 1  ✔ viable → still viable" in words(plan_lines(state))


def test_a_group_that_the_plan_does_not_free_says_so() -> None:
    assert "→ still blocked" in text(staged(state_of(), {GPU: "vfio-pci"}), Key(1))


def test_a_driver_that_could_not_be_read_is_not_called_free() -> None:
    hidden = changed(small(), NIC, driver=None, gaps=(Gap("driver", "timeout"),))
    assert "unknown" in text(state_of(hidden), Key(2, NIC))
    assert "? unknown" in text(state_of(hidden), Key(2))


@pytest.mark.parametrize("width", [58, 68, 118])
def test_no_row_is_wider_than_the_pane(width: int) -> None:
    state = staged(state_of(), {SOUND: "a-very-long-driver-name-indeed"})
    for key in listing(state).keys:
        assert len("".join(span.text for span in row(state, key, width))) <= width


def test_a_filter_keeps_the_groups_of_matches_and_counts_devices() -> None:
    found = listing(state_of(filter="driver:nvidia"))
    assert found.keys == (Key(1), Key(1, GPU))
    assert (found.shown, found.total) == (1, 5)


@pytest.mark.parametrize(
    ("expression", "addresses"),
    [
        ("nvidia !audio", [GPU]),
        ("class:gpu", [GPU]),
        ("viable:yes", [DISK]),
        ("group:2", [NIC]),
        ("enp5s0", [NIC]),
        ("RTX", [GPU]),
        ("", [PORT, GPU, SOUND, NIC, DISK]),
        ("no-such-thing", []),
    ],
)
def test_filters_select_devices(expression: str, addresses: list[Address]) -> None:
    keys = listing(state_of(filter=expression)).keys
    assert [key.device for key in keys if key.device] == addresses


def test_a_filter_opens_folded_groups() -> None:
    assert Key(1, GPU) in listing(state_of(filter="nvidia", collapsed=frozenset({1}))).keys


def test_the_cursor_goes_to_the_nearest_remaining_row() -> None:
    state = state_of(filter="igb", cursor=Key(1, GPU))
    assert settled(state).cursor == Key(2, NIC)
    assert settled(state_of(cursor=Key(9, Address("gone"))), hint=3).cursor == Key(1, SOUND)


def test_groups_of_only_bridges_start_folded() -> None:
    host = changed(small(), NIC, header_type=1, class_code="060400")
    assert nothing_to_pass(host) == {2}


def test_devices_without_a_group_are_listed() -> None:
    state = state_of(without_iommu())
    assert listing(state).keys[0] == Key(None)
    assert text(state, Key(None)) == "  ▾ no group  5 devices that no IOMMU translates"
    gaps = (Gap("iommu_group", "not-listed"),)
    state = state_of(changed(without_iommu(), NIC, gaps=gaps))
    assert text(state, Key(None)) == "  ▾ no group, or not known  5 devices"
    host = without_iommu()
    state = state_of(host._replace(devices={a: d._replace(gaps=gaps) for a, d in host.devices.items()}))
    assert text(state, Key(None)) == "  ▾ group not known  5 devices"


def test_without_an_iommu_the_details_say_what_to_do() -> None:
    assert "shows no IOMMU groups" in words(details(state_of(without_iommu())))


def test_the_details_say_that_there_is_no_remedy_if_the_iommu_covers_no_pci_device() -> None:
    codec = Device(Address("fe800000.codec"), bus="platform", group=0)
    host = without_iommu().with_device(codec).with_group(Group(0, (codec.address,)))
    for key in (Key(0), Key(None), Key(None, NIC)):
        assert "No setting or parameter changes that" in words(details(state_of(host, cursor=key)))
    for command in ("fix", "pass"):
        assert reason_against(command, state_of(host, cursor=Key(0))) == "Group 0 holds nothing to pass through."


def test_the_details_of_a_group_say_why_and_the_smallest_fix() -> None:
    shown = words(details(state_of(cursor=Key(1))))
    assert "✖ Group 1 is not viable." in shown
    assert "2 of its devices are bound to host drivers" in shown
    assert "✖ 0000:01:00.0 nvidia  GA104" in shown
    assert "Smallest fix  F stages it" in shown
    assert "0000:01:00.1  snd_hda_intel → vfio-pci" in shown


def test_the_details_of_a_device_contain_every_fact() -> None:
    shown = words(details(state_of(cursor=Key(1, GPU), tab=Tab.DEVICE)))
    for fact in (
        "NVIDIA Corporation GA104 [GeForce RTX 3070]", "nvidia (a host driver)", "Override    none", "10de:2484",
        "030000", "dmar1 (intel-iommu)", "flr, bus", "D0", "8.0 GT/s x16, of 16.0 GT/s x16", "BAR 0: 16 MiB memory",
        "vfio-pci", "loads vfio-pci", "nouveau", "NUMA node", "bridge 0000:00:01.0",
    ):  # fmt: skip
        assert fact in shown, fact


def test_missing_facts_are_named() -> None:
    bare = Device(NIC, group=2, driver="igb", gaps=(Gap("driver_override", "EACCES"),))
    shown = words(details(state_of(small().with_device(bare), cursor=Key(2, NIC), tab=Tab.DEVICE)))
    assert "Override    not known: it can be read by root only" in shown
    assert "power, BARs and resets were not recorded" in shown


def test_a_fix_completes_what_is_staged() -> None:
    fix = fix_of(staged(state_of(cursor=Key(1)), {GPU: "vfio-pci"}))
    assert fix is not None
    assert fix.further
    assert [str(intent) for intent in fix.intents or ()] == ["0000:01:00.1=vfio-pci"]


def test_a_group_without_a_fix_shows_its_own_reason() -> None:
    state = state_of(demo_host())
    assert "holds swap in use" in words(details(state._replace(cursor=Key(11))))
    refused = words(details(state._replace(cursor=Key(23))))
    assert "refuses to hand over such a group" in refused
    assert "rebind" not in refused


def test_a_viable_group_needs_no_fix_and_an_owned_one_names_its_owner() -> None:
    fix = fix_of(state_of(cursor=Key(3)))
    assert fix is not None
    assert fix.intents == ()
    host = small()
    owned = host.with_group(host.groups[3]._replace(claim=Claim("qemu (pid 7)")))
    assert "qemu (pid 7)" in words(details(state_of(owned, cursor=Key(3))))


def test_the_plan_counts_writes_and_modules_and_shows_before_and_after() -> None:
    state = staged(state_of(), {GPU: "vfio-pci", SOUND: "vfio-pci"})
    assert "".join(s.text for s in plan_title(state)) == " 3 Plan · 2 changes, 6 writes, loads vfio-pci "
    assert words(plan_lines(state)).startswith("Group 1  ✖ blocked → ✔ viable\n  0000:01:00.0  nvidia → vfio-pci")


def test_a_refused_plan_says_so_first() -> None:
    state = staged(state_of(), {PORT: "vfio-pci"})
    assert plan_title(state)[0].text.endswith("refused ")
    assert words(plan_lines(state)).startswith("✖ refused: 0000:00:01.0 is a bridge")


def test_a_refused_plan_promises_no_verdict() -> None:
    state = staged(state_of(demo_host()), {Address("0000:01:00.0"): "vfio-pci"})
    assert "Group 11  ✖ blocked → ✖ plan refused" in words(plan_lines(state))
    assert "viable" not in text(state, Key(11))
    assert "viable planned" not in words(details(state._replace(cursor=Key(11))))
    assert words(orientation(state._replace(hints=True))).startswith("Staged, but refused. 3 shows why")


def test_a_probe_that_binds_nothing_is_not_shown_as_a_success() -> None:
    host = changed(small(), NIC, virtfns=(Address("0000:05:10.0"),), fits=(Fit("vfio-pci", None, True, True),))
    plan = plan_intents(host, [Intent(NIC, "vfio-pci")], MODELS["dma-owner"])
    assert [step.outcome for step in plan.steps] == ["ok"] * 3
    assert not plan.permitted
    assert [line.text.split("echo")[0].split(None, 1)[1].strip() for line in step_lines(plan)] == [
        "✔ ok", "✔ ok", "✖ not bound",
    ]  # fmt: skip
    plan = plan_intents(small(), [Intent(NIC, "vfio-pci")], MODELS["dma-owner"])
    assert "not bound" not in words(tuple(step_lines(plan)))


def test_the_review_shows_every_write_exactly_and_in_order() -> None:
    plan = preview(staged(state_of(), {GPU: "vfio-pci"}))
    assert plan is not None
    assert [shell_line(step) for step in plan.steps] == [
        "echo vfio-pci > /sys/bus/pci/devices/0000:01:00.0/driver_override",
        "echo 0000:01:00.0 > /sys/bus/pci/drivers/nvidia/unbind",
        "echo 0000:01:00.0 > /sys/bus/pci/drivers_probe",
    ]
    shown = words(review_lines(Review("Review", Job(plan, (), MODELS["dma-owner"]))))
    assert shown.index("modprobe vfio-pci") < shown.index("  1  ✔ ok  echo vfio-pci")


def test_clearing_an_override_writes_an_empty_line() -> None:
    host = changed(small(), NIC, driver="pci-stub", driver_override="pci-stub")
    found = preview(staged(state_of(host), {NIC: "default"}))
    assert found is not None
    assert shell_line(found.steps[0]) == "echo '' > /sys/bus/pci/devices/0000:05:00.0/driver_override"


def test_every_command_has_one_meaning_per_key_and_one_word_in_the_footer() -> None:
    keys = [key for command in COMMANDS for key in command.keys]
    assert len(keys) == len(set(keys))
    assert all(command.help.endswith(".") for command in COMMANDS)


def test_the_key_bar_has_the_keys_of_the_pane_and_of_the_mode_first() -> None:
    def bar(state: AppState) -> list[str]:
        return [f"{hint.key} {hint.word}" for hint in hints(state)]

    assert bar(state_of())[0] == "c free"
    assert bar(state_of(pane=Pane.FILTER)) == ["Enter keep", "Tab complete", "Esc clear"]
    assert bar(staged(state_of(), {NIC: "none"}))[:2] == ["a apply", "z undo"]
    assert "x remove" in bar(staged(state_of(pane=Pane.PLAN), {NIC: "none"}))
    assert "Enter next tab" in bar(state_of(pane=Pane.DETAILS))
    assert "n next" in bar(state_of(view=View.TOPOLOGY))
    for pane in Pane:
        assert sum(len(text) + 2 for text in bar(state_of(pane=pane, intents=(Intent(NIC, "none"),)))) < 100


def test_without_groups_the_screen_does_not_suggest_freeing_a_card() -> None:
    state = state_of(without_iommu())
    assert "free the card" not in words(plan_lines(state))
    assert "no IOMMU groups" in (reason_against("free", state) or "")


def test_no_kind_is_wider_than_its_column() -> None:
    codes = ("0002", "0780", "0880", "0b40", "1101", "1180", "0403", "0001", "0580", "0d80")
    assert all(len(kind_word(small().devices[NIC]._replace(class_code=f"{code}00"))) <= KIND for code in codes)
