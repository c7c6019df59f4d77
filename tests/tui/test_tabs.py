"""The tabs of the details pane, without a screen."""

import pytest

from iommutui.core.hazards import Hazard, Severity, Topic
from iommutui.core.host import Host
from iommutui.core.topology import why_shared
from iommutui.demo import demo_host
from iommutui.tui.pages import details, impact
from iommutui.tui.state import AppState, Key, Source, SourceKind, Tab, staged, start, with_host
from iommutui.tui.text import Line
from tests.tui.machines import DISK, GPU, NIC, PORT, changed, small, without_iommu


def state_of(host: Host | None = None, **fields: object) -> AppState:
    return with_host(start(Source(SourceKind.DEMO)), host or small())[0]._replace(**fields)  # type: ignore[arg-type]


def words(lines: tuple[Line, ...]) -> str:
    return "\n".join(source.text for source in lines)


def shown(tab: Tab, key: Key, host: Host | None = None, **fields: object) -> str:
    return words(details(state_of(host, cursor=key, tab=tab, **fields)))


def test_the_device_tab_of_a_group_lists_every_members_facts() -> None:
    text = shown(Tab.DEVICE, Key(1))
    assert "8086:1901" in text
    assert "10de:2484" in text
    assert "10de:228b" in text


def test_the_device_page_says_that_a_bridge_can_stay() -> None:
    assert "It is a bridge: it need not be handed over" in shown(Tab.DEVICE, Key(1, PORT))


def test_the_impact_covers_the_whole_card() -> None:
    boot = changed(small(), GPU, boot_vga=True)
    text = shown(Tab.IMPACT, Key(1, GPU), boot)
    assert "What this machine would lose with this card" in text
    assert "0000:01:00.1  snd_hda_intel → vfio-pci" in text
    assert "‼ danger display  0000:01:00.0 is the display" in text


def test_with_a_plan_the_impact_covers_the_plan() -> None:
    text = words(details(staged(state_of(cursor=Key(1, GPU), tab=Tab.IMPACT), {GPU: "vfio-pci"})))
    assert "What this machine loses with the plan" in text
    assert "0000:01:00.1 (snd_hda_intel) is a function of the same card" in text
    assert "↳ Hand over every function of the card" in text


def test_the_tab_says_if_nothing_is_lost() -> None:
    assert "this machine uses none of it" in shown(Tab.IMPACT, Key(3, DISK))
    assert "This machine loses nothing with it" in shown(Tab.IMPACT, Key(1, PORT))


def test_an_unknown_impact_is_not_shown_as_harmless(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = Hazard("gpu-in-use", Topic.USE, Severity.WARN, NIC, unknown="EACCES")
    monkeypatch.setattr(impact, "hazards_of", lambda *_: [hidden])
    text = shown(Tab.IMPACT, Key(2, NIC), changed(small(), NIC, revision="77"))
    assert "not known use" in text


def test_the_models_are_side_by_side_and_the_kernels_own_is_marked() -> None:
    text = shown(Tab.MODELS, Key(3, DISK))
    assert "▸ dma-owner        ✔ viable  this kernel" in text
    assert "vfio-group       ✔ viable  up to 5.18" in text
    gpu = shown(Tab.MODELS, Key(1, GPU))
    assert "nvidia is a host driver." in gpu
    assert gpu.count("Opening it through VFIO") == 4


def test_for_an_unknown_kernel_no_model_is_marked_as_its_own() -> None:
    text = shown(Tab.MODELS, Key(1, GPU), small()._replace(kernel=None))
    assert "assumed: the kernel is unknown" in text
    assert "this kernel" not in text


def test_a_device_already_handed_over_is_no_further_loss() -> None:
    host = changed(small(), NIC, driver="vfio-pci", driver_override="vfio-pci")
    assert "This machine loses nothing with it." in shown(Tab.IMPACT, Key(2, NIC), host)


def test_a_device_without_a_group_has_no_impact() -> None:
    assert "This machine loses nothing with it." in shown(Tab.IMPACT, Key(None, GPU), without_iommu())


def test_without_a_group_no_model_has_a_verdict() -> None:
    assert "is in no IOMMU group" in shown(Tab.MODELS, Key(None, GPU), without_iommu())


def test_the_page_says_why_devices_share_a_group() -> None:
    host = demo_host()
    lumped = why_shared(host, host.groups[12])
    assert any("0000:02:00.2 is a bridge in the group itself, and 4 others are below it" in text for text in lumped)
    assert any("3 are functions of one card, 0000:02:00" in text for text in lumped)
    assert why_shared(host, host.groups[15]) == []
    assert why_shared(small(), small().groups[1])[0].startswith("0000:00:01.0 is a bridge in the group itself, and 2")


def test_groups_split_by_the_acs_override_are_marked() -> None:
    host = small()._replace(cmdline="quiet pcie_acs_override=downstream")
    assert "pcie_acs_override" in why_shared(host, host.groups[1])[-1]


def test_the_impact_comes_before_the_rebinds_that_cause_it() -> None:
    text = shown(Tab.IMPACT, Key(1, GPU))
    assert text.index("machine") < text.index("With these rebinds") < text.index("nvidia → vfio-pci")
