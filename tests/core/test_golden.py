"""The golden cases: one group each, and the answer of every model. Numbered as in the notes on the kernel."""

import pytest

from iommutui.core.events import Bind, ClaimGroup, Override, Probe
from iommutui.core.host import Device, Host, Iommu
from iommutui.core.models import MODELS
from iommutui.core.reasons import State
from tests.core.machines import LAST_OLD, NEW, A, B, bridge, function, group_of, machine, on, shown, verdict_of

GROUPS: dict[str, tuple[Device, Device]] = {
    "G1": (function(A, "amdgpu"), function(B, "snd_hda_intel")),
    "G2": (function(A, "vfio-pci"), function(B, "snd_hda_intel")),
    "G3": (function(A, "vfio-pci"), function(B)),
    "G4": (function(A, "vfio-pci"), function(B, "pci-stub")),
    "G5": (bridge(A, "pcieport"), function(B, "vfio-pci")),
    "G6": (bridge(A, "shpchp"), function(B, "vfio-pci")),
    "G7": (function(A, "ifcvf"), function(B, "vfio-pci")),
    "G8": (function(A, "mlx5_vfio_pci"), function(B, "vfio-pci")),
    "G9": (function(A, "pciback"), function(B, "vfio-pci")),
    "G10": (function(A), function(B)),
    "G11": (function(A, "pci-stub"), function(B)),
    "G12": (function(A, "vfio-pci"), function(B)),
    "G13": (bridge(A, None), function(B, "vfio-pci")),
}

# Verdict and claim under dma-hint, vfio-group and dma-owner; "no node" if there is nothing to open.
GOLDEN = {
    "G1": ("EINVAL", "no no-node", "no no-node"),
    "G2": ("EINVAL", "no ok", "no EPERM"),
    "G3": ("ok", "yes ok", "yes ok"),
    "G4": ("ok", "yes ok", "yes ok"),
    "G5": ("EINVAL", "yes ok", "yes ok"),
    "G6": ("EINVAL", "yes ok", "no EPERM"),
    "G7": ("ok", "no ok", "no EPERM"),
    "G8": ("EINVAL", "yes ok", "yes ok"),
    "G9": ("EINVAL", "no ok", "no EPERM"),
    "G10": ("ok", "yes no-node", "yes no-node"),
    "G11": ("ok", "yes no-node", "yes no-node"),
    "G12": ("ok", "yes EPERM", "yes EINVAL"),
    "G13": ("ok", "yes ok", "yes ok"),
}


def golden(case: str, kernel: str = NEW) -> Host:
    return machine(group_of(1, *GROUPS[case], direct=case == "G12"), kernel=kernel)


def claimed(model: str, host: Host) -> str:
    """What a claim returns, with ``no-node`` for ENOENT."""
    return on(model, host, ClaimGroup(1, "vm1")).result.replace("ENOENT", "no-node")


@pytest.mark.parametrize("case", GOLDEN)
def test_dma_hint(case: str) -> None:
    host, expected = golden(case), GOLDEN[case][0]
    assert claimed("dma-hint", host) == expected
    assert verdict_of("dma-hint", host) == (expected == "ok", expected)


@pytest.mark.parametrize("kernel", [LAST_OLD, NEW])
@pytest.mark.parametrize("case", GOLDEN)
def test_vfio_group(case: str, kernel: str) -> None:
    """The answers depend on the model, not on the machine's kernel."""
    viable, claim = GOLDEN[case][1].split()
    host = golden(case, kernel)
    assert claimed("vfio-group", host) == claim
    assert verdict_of("vfio-group", host)[0] is (viable == "yes")


@pytest.mark.parametrize("kernel", [LAST_OLD, NEW, "5.10.0"])
@pytest.mark.parametrize("case", GOLDEN)
def test_dma_owner(case: str, kernel: str) -> None:
    """A machine with an older kernel is judged by the newest rules."""
    viable, claim = GOLDEN[case][2].split()
    host = golden(case, kernel)
    assert claimed("dma-owner", host) == claim
    assert verdict_of("dma-owner", host)[0] is (viable == "yes")


@pytest.mark.parametrize("case", GOLDEN)
def test_kernel_ownership(case: str) -> None:
    """Every bound driver makes the group the host's: only a group without drivers can be claimed."""
    expected = "ok" if case == "G10" else "EBUSY"
    assert claimed("kernel-ownership", golden(case)) == expected
    assert verdict_of("kernel-ownership", golden(case)) == (case == "G10", expected)


@pytest.mark.parametrize("case", ["G2", "G6", "G7", "G9"])
def test_the_blocking_device_is_named(case: str) -> None:
    blocking = A if case != "G2" else B
    verdict = MODELS["dma-owner"].verdict(golden(case), golden(case).groups[1])
    assert [(r.code.value, r.device) for r in verdict.reasons] == [("kernel-driver", blocking)]


@pytest.mark.parametrize("case", ["G1", "G5", "G8", "G9"])
def test_an_open_device_does_not_make_a_blocked_group_openable(case: str) -> None:
    outcome = on("vfio-group", golden(case), ClaimGroup(1, "vm1"))
    claim = outcome.host.groups[1].claim
    assert (claim.opened if claim else ()) == {"G5": (B,), "G8": (A, B)}.get(case, ())


@pytest.mark.parametrize("region", ["direct-relaxable", "msi", "reserved"])
def test_only_a_direct_region_refuses_a_claim(region: str) -> None:
    host = golden("G12")
    group = host.groups[1]._replace(regions=tuple(r._replace(type=region) for r in host.groups[1].regions or ()))
    assert verdict_of("dma-owner", host.with_group(group)) == (True, "ok")


@pytest.mark.parametrize(
    ("model", "kernel", "intel", "claim"),
    [
        ("dma-owner", "6.6.0", True, "EINVAL"),
        ("dma-owner", "6.6.0", False, "EINVAL"),
        ("dma-owner", "6.5.0", True, "EPERM"),
        ("dma-owner", "6.5.0", False, "ok"),
        ("dma-owner", "5.19.0", True, "EPERM"),
        ("vfio-group", "5.18.0", True, "EPERM"),
        ("vfio-group", "5.18.0", False, "ok"),
        ("dma-hint", "5.15.0", True, "ok"),
    ],
)
def test_a_direct_region_depends_on_kernel_and_iommu(model: str, kernel: str, intel: bool, claim: str) -> None:
    host = machine(group_of(1, function(A, "vfio-pci"), direct=True), kernel=kernel, intel=intel)
    assert verdict_of(model, host) == (True, claim)
    assert on(model, host, ClaimGroup(1, "vm1")).result == claim


@pytest.mark.parametrize(
    ("iommu", "claim"),
    [(Iommu("dmar0"), "EPERM"), (Iommu("unit", "intel-iommu"), "EPERM"), (Iommu("ivhd0", "amd-iommu"), "ok"),
     (Iommu("smmu3.0x1"), "ok"), (None, "ok")],
)  # fmt: skip
def test_an_intel_iommu_is_known_by_its_name_or_by_its_kind(iommu: Iommu | None, claim: str) -> None:
    host = golden("G12")._replace(iommus=None if iommu is None else (iommu,))
    assert verdict_of("vfio-group", host) == (True, claim)


# Results for device 2 of G3 while a machine has device 1, and while none has it: bind, then drivers_probe.
IN_USE = {
    "snd_hda_intel": {"dma-hint": ("EINVAL", "EINVAL"), "vfio-group": ("crash",) * 2, "dma-owner": ("EBUSY", "EINVAL")},
    "pci-stub": {"dma-hint": ("ok", "ok"), "vfio-group": ("ok", "ok"), "dma-owner": ("ok", "ok")},
    "vfio-pci": {"dma-hint": ("ok", "ok"), "vfio-group": ("ok", "ok"), "dma-owner": ("ok", "ok")},
    "ifcvf": {"dma-hint": ("ok", "ok"), "vfio-group": ("crash", "crash"), "dma-owner": ("EBUSY", "EINVAL")},
}


@pytest.mark.parametrize("model", ["dma-hint", "vfio-group", "dma-owner"])
@pytest.mark.parametrize("driver", IN_USE)
def test_results_of_binding_in_a_group_in_use(driver: str, model: str) -> None:
    events = (ClaimGroup(1, "vm1"), Override(B, driver))
    bind, probe = IN_USE[driver][model]
    bound = on(model, golden("G3"), *events, Bind(B, driver))
    probed = on(model, golden("G3"), *events, Probe(B))
    assert (shown(bound), shown(probed)) == (bind, probe)
    for outcome, word in ((bound, bind), (probed, probe)):
        assert outcome.host.devices[B].driver == (driver if word in ("ok", "crash") else None)


@pytest.mark.parametrize(
    ("model", "result", "viable"),
    [("dma-hint", "EINVAL", True), ("vfio-group", "ok", False), ("dma-owner", "ok", False)],
)
def test_results_of_binding_a_host_driver_in_an_idle_group(model: str, result: str, viable: bool) -> None:
    outcome = on(model, golden("G3"), Override(B, "snd_hda_intel"), Bind(B, "snd_hda_intel"))
    assert outcome.result == result
    assert verdict_of(model, outcome.host)[0] is viable


@pytest.mark.parametrize("case", GOLDEN)
def test_every_case_has_its_state(case: str) -> None:
    """The owner of the DMA: the host if a driver counts, else nobody."""
    host = golden(case)
    for model in MODELS.values():
        verdict = model.verdict(host, host.groups[1])
        assert verdict.state is (State.IDLE if verdict.viable else State.KERNEL)
        owned = on(model.name, host, ClaimGroup(1, "vm1"))
        if owned.ok:
            assert model.verdict(owned.host, owned.host.groups[1]).state is State.USER
