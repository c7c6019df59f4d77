"""Every row of the decision table for the sketch that preceded the draft."""

from iommutui.core.events import (
    Bind,
    ClaimDevice,
    ClaimGroup,
    ReleaseGroup,
)
from iommutui.core.models import MODELS
from tests.core.machines import (
    LONE,
    NO_DEVICES,
    A,
    B,
    codes,
    function,
    on,
    pair,
)
from tests.core.tables import TO_SND, TO_STUB, TO_VFIO, Row, check, lone, owned, rows

OWNERSHIP = {
    "probe": Row(pair("vfio-pci", None), TO_SND, "ok", {B: "snd_hda_intel"}),
    "probe-vfio": Row(pair("amdgpu", None), TO_VFIO, "ok", {B: "vfio-pci"}),
    "probe-owned": Row(owned(None, None), TO_SND, "EBUSY", {B: None}, "vm1", 1),
    "probe-owned-vfio": Row(owned(None, None), TO_VFIO, "EBUSY", {B: None}, "vm1", 1),
    "probe-owned-stub": Row(owned(None, None), TO_STUB, "EBUSY", {B: None}, "vm1", 1),
    "probe-no-group": Row(lone(), [Bind(LONE, "amdgpu")], "ok", {LONE: "amdgpu"}),
    "claim": Row(pair(None, None), [ClaimGroup(1, "vm1")], "ok", {}, "vm1", 1),
    "claim-vfio": Row(pair("vfio-pci", None), [ClaimGroup(1, "vm1")], "EBUSY"),
    "claim-again": Row(owned(None, None), [ClaimGroup(1, "vm1")], "EBUSY", {}, "vm1", 1),
    "claim-other": Row(owned(None, None), [ClaimGroup(1, "vm2")], "EBUSY", {}, "vm1", 1),
    "claim-device": Row(pair(None, None), [ClaimDevice(A, "vm1"), ClaimDevice(B, "vm1")], "ok", {}, "vm1", 2),
    "claim-device-other": Row(
        pair(None, None), [ClaimDevice(A, "vm1"), ClaimDevice(B, "vm2")], "EBUSY", {}, "vm1", 1
    ),
    "claim-device-bound": Row(pair(None, "vfio-pci"), [ClaimDevice(A, "vm1")], "EBUSY"),
    "release": Row(pair(None, None), [ClaimGroup(1, "vm1"), ReleaseGroup(1, "vm1")], "ok"),
}  # fmt: skip


@rows("kernel-ownership", OWNERSHIP)
def test_kernel_ownership(row: Row) -> None:
    check("kernel-ownership", row)


def test_in_the_sketch_a_foreign_domain_belongs_to_the_host() -> None:
    outcome = on("kernel-ownership", pair(None, None, foreign=True), ClaimGroup(1, "vm1"))
    assert (outcome.result, codes(outcome)) == ("EBUSY", ["foreign-domain"])


def test_the_verdicts_of_the_sketch() -> None:
    model = MODELS["kernel-ownership"]
    assert model.role(NO_DEVICES, function(A), "vfio-pci") == ("kernel", False)
    for host, viable, state in (
        (pair(None, None), True, "idle"),
        (pair("vfio-pci", None), False, "kernel"),
        (owned(None, None), True, "user"),
        (pair(None, None, foreign=True), False, "foreign"),
    ):
        verdict = model.verdict(host, host.groups[1])
        assert (verdict.viable, verdict.state) == (viable, state)
    assert codes(on("kernel-ownership", pair(None, None), ClaimGroup(1, "vm1"), ClaimDevice(A, "vm1"))) == ["owned"]
