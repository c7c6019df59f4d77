"""The drivers that fit a device."""

import os
from pathlib import Path

import pytest

from iommutui.core.host import Fit, Gap
from iommutui.sources import load
from iommutui.sources.modules import Alias, Index
from tests.fake_tree import FakeTree, capability

A = "0000:01:00.0"
ANY = "d*sv*sd*bc*sc*i*"
GPU = "pci:v000010DEd00002204sv00001458sd0000403Bbc03sc00i00"


@pytest.fixture
def tree(tmp_path: Path) -> FakeTree:
    return FakeTree(tmp_path / "machine")


def fits(tree: FakeTree, address: str = A) -> list[Fit]:
    found = {str(a): d.fits for a, d in load(os.fspath(tree)).devices.items()}
    return list(found[address] or ())


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("pci:v000010DEd00002204sv*sd*bc*sc*i*", True),
        ("pci:v000010DEd00002204sv00001458sd0000403Bbc03sc00i00*", True),
        ("pci:v000010DEd*sv*sd*bc03sc*i*", True),
        ("pci:v*d*sv*sd*bc03sc00i00*", True),
        ("pci:v*d00002204sv00001458sd*bc*sc*i*", True),
        ("pci:v0000[0-9]*", True),
        ("pci:v000010D?d*", True),
        ("*", True),
        ("pci:v000010DEd00002204sv*sd*bc04sc*i*", False),
        ("pci:v000010DEd00002205sv*sd*bc*sc*i*", False),
        ("pci:v00001002d*sv*sd*bc*sc*i*", False),
        ("pci:v*d*sv*sd*bc02sc*i*", False),
        ("pci:v000010DE", False),
        ("pci:v000010ded*", False),
        ("", False),
    ],
)
def test_a_pattern_matches_a_device(pattern: str, matches: bool) -> None:
    assert bool(Index([Alias(pattern, "m")]).matches(GPU)) is matches


def test_only_aliases_of_pci_fit(tree: FakeTree) -> None:
    every = "v*d*sv*sd*bc*sc*i*"
    tree.device(A).modules(f"usb:{every} usb", f"vfio_pci:{every} vfio_pci", f"pci:v00008086{ANY} e1000e")
    assert fits(tree) == [Fit("e1000e", "e1000e", False)]


def test_a_module_that_is_not_loaded_fits(tree: FakeTree) -> None:
    tree.device(A, vendor="10de").modules(f"pci:v000010DE{ANY} nouveau", f"pci:v00001002{ANY} amdgpu")
    assert fits(tree) == [Fit("nouveau", "nouveau", False)]


def test_a_loaded_module_gives_the_name_of_its_driver(tree: FakeTree) -> None:
    tree.device(A, vendor="10de").driver("xhci_hcd", "xhci_pci").modules(f"pci:v000010DE{ANY} xhci-pci")
    assert fits(tree) == [Fit("xhci_hcd", "xhci-pci", True)]


def test_every_driver_of_a_module_fits(tree: FakeTree) -> None:
    tree.device(A).driver("a", "mod").driver("b", "mod").modules(f"pci:v00008086{ANY} mod")
    assert [fit.driver for fit in fits(tree)] == ["a", "b"]


def test_a_loaded_module_without_a_pci_driver_does_not_fit(tree: FakeTree) -> None:
    tree.device(A).modules(f"pci:v00008086{ANY} sp5100_tco")
    (tree.sys / "module/sp5100_tco/drivers/platform:sp5100-tco").mkdir(parents=True)
    assert fits(tree) == []


def test_a_built_in_driver_fits(tree: FakeTree) -> None:
    built_in = {f"pci:v00008086{ANY}": "virtio_pci", f"pci:v00008086{ANY[:-1]}00": "missing"}
    tree.device(A).driver("virtio-pci").modules(built_in=built_in)
    assert fits(tree) == [Fit("virtio-pci", None, True)]


def test_fits_are_ordered(tree: FakeTree) -> None:
    tree.device(A).driver("loaded", "loaded").driver("builtin")
    tree.modules(
        "vfio_pci:v00008086d*sv*sd*bc*sc*i* broad_vfio_pci",
        f"pci:v00008086{ANY} absent",
        "vfio_pci:v00008086d00001533sv*sd*bc*sc*i* narrow_vfio_pci",
        "vfio_pci:v*d*sv*sd*bc*sc*i* vfio_pci",
        f"pci:v00008086{ANY} loaded",
        built_in={f"pci:v00008086{ANY}": "builtin"},
    )
    assert [(fit.driver, fit.loaded, fit.vfio) for fit in fits(tree)] == [
        ("builtin", True, False),
        ("loaded", True, False),
        ("absent", False, False),
        ("narrow_vfio_pci", False, True),
        ("broad_vfio_pci", False, True),
    ]


def test_a_variant_spelled_with_hyphens_keeps_its_name(tree: FakeTree) -> None:
    tree.device(A).modules("vfio_pci:v00008086d00001533sv*sd*bc*sc*i* xe_vfio_pci")
    assert fits(tree) == [Fit("xe-vfio-pci", "xe_vfio_pci", False, True)]


@pytest.mark.parametrize(
    ("driver", "override", "fitting"),
    [
        ("nvidia", None, ["nvidia"]),
        ("nvidia", "nvidia", []),
        ("vfio-pci", "vfio-pci", []),
        ("pci-stub", None, []),
        ("my_vfio_driver", None, []),
        (None, None, []),
    ],
)
def test_the_bound_driver_fits_unless_an_override_bound_it(
    tree: FakeTree, driver: str | None, override: str | None, fitting: list[str]
) -> None:
    tree.device(A, driver=driver, override=override)
    assert [fit.driver for fit in fits(tree)] == fitting


@pytest.mark.parametrize(
    ("class_code", "kind", "fitting"),
    [
        ("060400", 4, True),
        ("060401", 6, True),
        ("060700", None, True),
        ("060400", None, True),
        ("060400", 7, False),
        ("060400", 0, False),
        ("060000", None, False),
        ("030000", None, False),
    ],
)
def test_pcieport_fits_ports(tree: FakeTree, class_code: str, kind: int | None, fitting: bool) -> None:
    config = None if kind is None else capability(0x10, flags=kind << 4)
    tree.driver("pcieport").device(A, class_code=class_code, config=config)
    assert ("pcieport" in [fit.driver for fit in fits(tree)]) is fitting


def test_without_pcieport_nothing_fits_a_bridge(tree: FakeTree) -> None:
    tree.device(A, class_code="060400")
    assert fits(tree) == []


def test_unrecorded_modules_are_a_gap(tree: FakeTree, tmp_path: Path) -> None:
    assert Gap("modules.alias", "not-recorded") in load(os.fspath(tree)).gaps
    tree.modules()
    assert load(os.fspath(tree)).gaps == ()


@pytest.mark.parametrize("kernel", ["../../../etc", ".", "..", "a/b"])
def test_a_kernel_release_cannot_lead_outside_the_tree(tmp_path: Path, kernel: str) -> None:
    tree = FakeTree(tmp_path, kernel=kernel).device(A)
    assert Gap("modules.alias", "not-recorded") in load(os.fspath(tree)).gaps


def test_lines_that_depmod_never_writes_are_ignored(tree: FakeTree) -> None:
    place = f"lib/modules/{tree.kernel}"
    tree.device(A).file(f"{place}/modules.alias", b"alias\nalias pci:v\nalias pci:v00008086* \xff\n#alias pci:* x\n\0")
    tree.file(f"{place}/modules.builtin.modinfo", b"no nul and no key")
    assert fits(tree) == [Fit("\\xff", "\\xff", False)]


def test_other_buses_have_no_fits(tree: FakeTree) -> None:
    tree.other("dev", group=1)
    assert fits(tree, "dev") == []
