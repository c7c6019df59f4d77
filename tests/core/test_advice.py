"""Settings that have no effect, settings that came too late, and settings already made."""

import pytest

from iommutui.core.advice import idle_iommu, notices_of, parameter_advice
from iommutui.core.host import Host
from iommutui.core.uses import ById, Uses
from tests.core.machines import A, one


def card(cmdline: str, driver: str | None = "amdgpu") -> Host:
    return one(driver, vendor_id="1002", device_id="67df")._replace(cmdline=cmdline)


def codes(host: Host) -> list[str]:
    return [notice.code for notice in notices_of(host, host.devices[A])]


@pytest.mark.parametrize(
    "word",
    ["vfio-pci-ids=1002:67df", "vfio_pci_ids=1002:67df", "vfio-pci.id=1002:67df", "vfio.ids=1002:67df,1002:aaf0"],
)
def test_a_misspelt_parameter_is_reported(word: str) -> None:
    (notice,) = notices_of(card(f"quiet {word}"), card("").devices[A])
    assert notice.code == "misspelt-parameter"
    assert f"vfio-pci.ids={word.partition('=')[2]}" in notice.remedy


@pytest.mark.parametrize(
    "cmdline", ["vfio-pci.ids=1002:67df", "vfio_pci.ids=1002:67df", "pci-stub.ids=1002:67df", "vfio-pci-ids=1:2", ""]
)
def test_a_correct_or_unrelated_parameter_is_not_reported(cmdline: str) -> None:
    assert "misspelt-parameter" not in codes(card(cmdline))


def test_a_misspelt_parameter_does_not_matter_on_vfio() -> None:
    assert codes(card("vfio-pci-ids=1002:67df", "vfio-pci")) == []


def test_ids_that_came_too_late_are_reported() -> None:
    late = card("vfio-pci.ids=1002:67df")
    (notice,) = notices_of(late, late.devices[A])
    assert notice.code == "ids-too-late"
    assert "amdgpu was loaded first" in notice.text
    assert "softdep amdgpu pre: vfio-pci" in notice.remedy
    assert codes(card("vfio-pci.ids=1002:67df", "vfio-pci")) == []
    assert codes(card("vfio-pci.ids=1002:0000")) == []


def test_a_modprobe_setting_that_came_too_late_is_reported() -> None:
    host = card("")._replace(uses=Uses(by_id=(ById("vfio-pci", ("1002:67df",), "/etc/modprobe.d/vfio.conf"),)))
    (notice,) = notices_of(host, host.devices[A])
    assert notice.text.startswith("/etc/modprobe.d/vfio.conf gives")


@pytest.mark.parametrize(
    ("vendor", "cmdline", "said"),
    [
        ("AuthenticAMD", "amd_iommu=on", "is not a value"),
        ("AuthenticAMD", "intel_iommu=on", "for processors of Intel"),
        ("GenuineIntel", "amd_iommu=force_enable", "for processors of AMD"),
        ("GenuineIntel", "intel-iommu=on", "misspelt"),
        ("GenuineIntel", "iommu=on", "is not a value"),
        ("GenuineIntel", "iommu=1", "is not a value"),
        ("GenuineIntel", "intel_iommu=on iommu=pt", ""),
        ("GenuineIntel", "intel_iommu=on,igfx_off", ""),
        ("AuthenticAMD", "amd_iommu=force_isolation iommu=pt quiet", ""),
        (None, "intel_iommu=on", ""),
    ],
)
def test_iommu_parameters_without_effect_are_reported(vendor: str | None, cmdline: str, said: str) -> None:
    sentences = list(idle_iommu(Host({}, {}, cmdline=cmdline, cpu_vendor=vendor)))
    assert [said in sentence for sentence in sentences] == ([True] if said else [])


@pytest.mark.parametrize(
    ("cmdline", "there"),
    [
        ("vfio-pci.disable_idle_d3=1", True),
        ("vfio_pci.disable_idle_d3=Y", True),
        ("vfio-pci.disable_idle_d3=0", False),
        ("quiet", False),
    ],
)
def test_a_parameter_already_set_is_not_advised(cmdline: str, there: bool) -> None:
    advice = parameter_advice(Host({}, {}, cmdline=cmdline), "vfio-pci.disable_idle_d3=1")
    assert ("already" in advice) is there
