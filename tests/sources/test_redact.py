"""What a shared snapshot does not tell."""

import pytest

from iommutui.core.address import Address
from iommutui.core.host import Claim, Device, Group, Host
from iommutui.core.redact import redact, redact_cmdline

A, B, C = Address("0000:01:00.0"), Address("0000:01:00.1"), Address("0000:02:00.0")


@pytest.mark.parametrize(
    "cmdline",
    [
        "",
        "ro quiet splash",
        "intel_iommu=on iommu=pt iommu.passthrough=1 amd_iommu=off",
        "vfio-pci.ids=10de:2204,10de:1aef vfio_iommu_type1.allow_unsafe_interrupts=1 pci-stub.ids=8086:1533",
        "pci=noaer,realloc pcie_acs_override=downstream,multifunction pcie_aspm=off pcie_ports=native",
        "video=efifb:off,vesafb:off modprobe.blacklist=nouveau module_blacklist=i915 rd.driver.pre=vfio-pci",
        "kvm.ignore_msrs=1 kvm_amd.nested=1 i915.enable_guc=3 amdgpu.dc=0 nvidia-drm.modeset=1 xe.force_probe=56a0",
        "hugepages=16 hugepagesz=1G default_hugepagesz=1G isolcpus=2-5 console=tty0 console=ttyS0,115200 loglevel=3",
        "acpi=force acpi_osi=Linux mitigations=off earlyprintk=serial panic=-1 oops=panic initcall_blacklist=sysfb",
        "quiet  intel_iommu=on\ttwo  blanks ",
    ],
)
def test_what_ordinary_machines_say_is_kept(cmdline: str) -> None:
    assert redact_cmdline(cmdline) == cmdline


@pytest.mark.parametrize(
    ("cmdline", "redacted"),
    [
        ("root=UUID=0a-1b ro", "root=<redacted> ro"),
        ("ip=10.0.0.2::10.0.0.1 hostname=box", "ip=<redacted> hostname=<redacted>"),
        ("rd.luks.uuid=luks-1 rd.iscsi.password=x", "rd.luks.uuid=<redacted> rd.iscsi.password=<redacted>"),
        ("console_secret=1 iommux=2 xpci=3", "console_secret=<redacted> iommux=<redacted> xpci=<redacted>"),
        ('a="b c" quiet', "a=<redacted> quiet"),
        ('"a=b c" quiet', '"a=<redacted>" quiet'),
        ('"a=b c', '"a=<redacted>"'),
        ("=x", "=<redacted>"),
    ],
)
def test_the_rest_is_not(cmdline: str, redacted: str) -> None:
    assert redact_cmdline(cmdline) == redacted
    assert redact_cmdline(redacted) == redacted


def host(*devices: Device, **fields: object) -> Host:
    return Host({d.address: d for d in devices}, {}, **fields)  # type: ignore[arg-type]


def test_interfaces_with_a_mac_in_their_name() -> None:
    before = host(
        Device(A, interfaces=("enxaabbccddeeff", "eth0")),
        Device(B, interfaces=("enx001122334455", "wlxaabbccddeeff", "enx0")),
        Device(C, interfaces=("enp3s0", "enxaabbccddeeff.7")),
    )
    after = redact(before)
    assert [d.interfaces for d in after.devices.values()] == [
        ("enx1", "eth0"),
        ("enx2", "wlx0", "enx0"),
        ("enp3s0", "enx3"),
    ]


def test_owners_keep_their_name_only() -> None:
    claims = (Claim("qemu-system-x86 (pid 123)"), Claim("vm1"), None)
    before = host()._replace(groups={n: Group(n, claim=claim) for n, claim in enumerate(claims)})
    owners = [group.claim.owner if group.claim else None for group in redact(before).groups.values()]
    assert owners == ["qemu-system-x86", "vm1", None]


def test_removed_devices_are_redacted_too() -> None:
    before = host(removed={A: Device(A, interfaces=("enxaabbccddeeff",))})
    assert redact(before).removed[A].interfaces == ("enx0",)


def test_an_ordinary_host_is_left_as_it_is() -> None:
    before = host(Device(A, driver="nvidia", interfaces=("enp3s0",)), cmdline="quiet intel_iommu=on", kernel="6.1.0")
    assert redact(before) == before
