"""Every reason as a sentence, and small modules: drivers, kernels, addresses, queries, advice, printable text."""

import re

import pytest

from iommutui.core import drivers
from iommutui.core.address import Address, card_of, is_pci, nodedev_name, parse_pci, sort_key
from iommutui.core.advice import no_iommu_advice, turn_on_advice
from iommutui.core.drivers import DriverFacts, Role
from iommutui.core.errors import IommutuiError, RefusedError, UsageError
from iommutui.core.host import Host, vfio_role
from iommutui.core.kernel import Version, parse_release
from iommutui.core.models import MODELS, model_for
from iommutui.core.models.dma_owner import DMA_OWNER
from iommutui.core.printable import printable
from iommutui.core.query import VERDICTS, find_device, matching, mistakes, parse_query
from iommutui.core.reasons import Code, Reason
from iommutui.core.wording import sentence
from tests.core.machines import LAST_OLD, LONE, NO_DEVICES, OTHER, A, B, function, group_of, machine, pair, verdict_of

# -- sentences

FACTS = ("why", "role", "owner", "region", "asked", "override", "ids", "bus", "probing", "target", "wanted", "module",
         "what", "controller")  # fmt: skip
FULL = Reason(Code.OWNED, 14, A, "acme", tuple(sorted((name, f"<{name}>") for name in FACTS)))


@pytest.mark.parametrize("code", Code)
def test_every_reason_is_a_whole_sentence(code: Code) -> None:
    text = sentence(FULL._replace(code=code))
    assert text.endswith(".")
    assert not re.search(r"[{}]|  |\n|None", text)
    assert text[0] not in " ,.;"


@pytest.mark.parametrize("code", Code)
def test_a_reason_without_facts_has_a_sentence(code: Code) -> None:
    for reason in (Reason(code), Reason(code, group=14), Reason(code, device=A)):
        assert sentence(reason).endswith(".")


ABOUT_A_GROUP = {Code.OWNED, Code.FOREIGN_DOMAIN, Code.DIRECT_REGION, Code.NO_NODE,
                 Code.GROUP_FILE_OPEN, Code.DRAFT_SLIP_S08, Code.NO_INTERRUPT_REMAPPING, Code.UNKNOWN_MEMBERS,
                 Code.NO_IOMMU}  # fmt: skip


@pytest.mark.parametrize("code", sorted(set(Code) - {Code.NO_INTERFACE}))
def test_a_sentence_names_its_subject(code: Code) -> None:
    assert ("14" if code in ABOUT_A_GROUP else A) in sentence(FULL._replace(code=code))


ABOUT_A_DRIVER = [
    Code.KERNEL_DRIVER,
    Code.ASSUMED_ROLE,
    Code.UNFIT_DRIVER,
    Code.NO_MATCH,
    Code.BRIDGE,
    Code.KERNEL_BESIDE_USER,
    Code.USER_BESIDE_KERNEL,
    Code.DRAFT_GAP_H1,
    Code.NO_DRIVER,
    Code.DRAFT_GAP_BRIDGE,
    Code.ALREADY_BOUND,
    Code.VFS_ENABLED,
    Code.NOT_A_PORT,
]


@pytest.mark.parametrize("code", ABOUT_A_DRIVER)
def test_a_sentence_names_the_driver(code: Code) -> None:
    assert "acme" in sentence(FULL._replace(code=code))


@pytest.mark.parametrize("name", MODELS)
def test_a_model_lists_its_rules(name: str) -> None:
    model = MODELS[name]
    assert model.name == name
    assert len(model.rules) >= 3
    assert all(source and text.endswith(".") for source, text in model.rules)


# -- kernels and drivers


@pytest.mark.parametrize(
    ("release", "version"),
    [("6.1.0-56-amd64", (6, 1)), ("5.10.0", (5, 10)), ("7.2.13+deb14-amd64", (7, 2)), ("5.19.0-rc1", (5, 19)),
     ("", None), (None, None), ("unknown", None)],
)  # fmt: skip
def test_kernel_releases_are_parsed(release: str | None, version: tuple[int, int] | None) -> None:
    assert parse_release(release) == version
    assert str(Version(6, 1)) == "6.1"


@pytest.mark.parametrize(
    ("release", "model"),
    [("5.10.0", "vfio-group"), (LAST_OLD, "vfio-group"), ("5.19.0", "dma-owner"), ("6.1.0", "dma-owner"),
     ("7.2.13", "dma-owner"), ("4.19.0", "vfio-group"), (None, "dma-owner"), ("junk", "dma-owner")],
)  # fmt: skip
def test_each_kernel_has_its_model(release: str | None, model: str) -> None:
    assert model_for(release).name == model


MANAGED = {"pci-stub", "pcieport", "vfio-pci", "mlx5_vfio_pci", "hisi_acc_vfio_pci", "pds_vfio_pci", "virtio_vfio_pci",
           "nvgrace_gpu_vfio_pci", "qat_vfio_pci", "xe-vfio-pci", "ism_vfio_pci", "vfio-platform", "vfio-amba",
           "vfio-fsl-mc", "vfio-cdx"}  # fmt: skip


def test_drivers_have_the_roles_of_the_table() -> None:
    assert {row.name for row in drivers.TABLE if row.managed} == MANAGED
    assert {row.name: row.hint for row in drivers.TABLE if row.hint is not Role.KERNEL} == {
        "pci-stub": Role.NONE,
        "vfio-pci": Role.USER,
        "ifcvf": Role.USER,
    }
    assert {row.name for row in drivers.TABLE if row.vfio} == MANAGED - {"pci-stub", "pcieport"}
    newer = {row.name: str(row.managed) for row in drivers.TABLE if row.managed and row.managed != (5, 19)}
    assert newer == {
        "pds_vfio_pci": "6.6",
        "virtio_vfio_pci": "6.8",
        "nvgrace_gpu_vfio_pci": "6.9",
        "qat_vfio_pci": "6.10",
        "xe-vfio-pci": "6.19",
        "ism_vfio_pci": "7.0",
        "vfio-cdx": "6.4",
    }


@pytest.mark.parametrize("driver", sorted(MANAGED))
@pytest.mark.parametrize("kernel", ["6.1.0", "7.2.0"])
def test_a_managed_driver_newer_than_the_kernel_does_not_block(driver: str, kernel: str) -> None:
    host = pair("vfio-pci", driver, kernel=kernel)
    assert verdict_of("dma-owner", host) == (True, "ok")


def test_a_third_party_vfio_driver_is_known_by_its_directory() -> None:
    shown = function(A, "acme", vfio_dev=("vfio0",))
    assert vfio_role(NO_DEVICES, shown, "acme") == (Role.USER, False)
    assert vfio_role(NO_DEVICES, function(A, "acme", vfio_dev=()), "acme") == (Role.USER, False)
    assert vfio_role(NO_DEVICES, shown, "other") is None
    assert vfio_role(NO_DEVICES, function(A, "acme"), "acme") is None
    assert DMA_OWNER.role(NO_DEVICES, function(A, "acme"), "acme") == (Role.KERNEL, False)
    host = machine(group_of(1, shown, function(B, "vfio-pci")))
    assert [verdict_of(model, host) for model in ("dma-owner", "vfio-group")] == [(True, "ok")] * 2
    assert verdict_of("dma-hint", host) == (False, "EINVAL")


@pytest.mark.parametrize("model", ["dma-owner", "vfio-group"])
def test_a_role_guessed_from_a_name_is_marked_as_a_guess(model: str) -> None:
    host = pair("nvidia-vgpu-vfio", None, kernel=LAST_OLD if model == "vfio-group" else "6.12.0")
    verdict = MODELS[model].verdict(host, host.groups[1])
    assert (verdict.viable, [reason.code for reason in verdict.reasons]) == (True, [Code.ASSUMED_ROLE])
    assert vfio_role(host, host.devices[A], "nvidia-vgpu-vfio") == (Role.USER, True)


def test_a_user_can_add_drivers() -> None:
    host = pair("vfio-pci", "acme")
    assert verdict_of("dma-owner", host) == (False, "EPERM")
    rows = [DriverFacts("acme", Role.USER, Version(6, 1), vfio=True), DriverFacts("quiet", managed=Version(6, 1))]
    table = {**drivers.KNOWN, **{row.name: row for row in rows}}
    taught = host._replace(driver_table=table)
    assert [verdict_of(m, taught)[0] for m in ("dma-owner", "vfio-group", "dma-hint")] == [True, True, True]
    assert verdict_of("dma-owner", pair("vfio-pci", "quiet")._replace(driver_table=table))[0] is True
    assert verdict_of("dma-owner", host) == (False, "EPERM")


# -- addresses and queries


@pytest.mark.parametrize(
    ("text", "address"),
    [("0000:01:00.0", "0000:01:00.0"), ("01:00.0", "0000:01:00.0"), ("pci_0000_01_00_0", "0000:01:00.0"),
     ("0000:AF:1F.7", "0000:af:1f.7"), ("00000000:01:00.0", "0000:01:00.0"), ("10000:e1:00.0", "10000:e1:00.0"),
     ("00010000:e1:00.0", "10000:e1:00.0"), ("pci_10000_e1_00_0", "10000:e1:00.0"), ("0000:01:20.0", None),
     ("0000:01:00.8", None), ("1:00.0", None), ("0000:01:00", None), ("", None), (" 01:00.0", None),
     ("01:00.0\n", None), ("\u0661\u0661:00.0", None)],
)  # fmt: skip
def test_every_spelling_of_an_address_is_parsed(text: str, address: str | None) -> None:
    assert parse_pci(text) == address


def test_an_address_has_its_parts() -> None:
    assert nodedev_name("0000:01:00.0") == "pci_0000_01_00_0"
    assert card_of("0000:01:00.1") == "0000:01:00"
    assert [is_pci(text) for text in ("0000:01:00.0", "01:00.0", "usb1")] == [True, False, False]
    names = ["usb1", "10000:00:00.0", "0001:00:00.0", "0000:02:00.0", "0000:01:1f.0", "0000:01:02.1", "zz:1234567"]
    assert sorted(names, key=sort_key) == [
        "0000:01:02.1", "0000:01:1f.0", "0000:02:00.0", "0001:00:00.0", "10000:00:00.0", "usb1", "zz:1234567",
    ]  # fmt: skip


EHCI = Address("fd000000.ehci")


def people() -> Host:
    net = function(OTHER, "nvme", vendor_id="8086", device_id="10d3", class_code="020000", interfaces=("eth0",))
    platform = function(EHCI, "ehci", bus="platform")
    return machine(group_of(1, function(A, "amdgpu"), function(B)), group_of(2, net, platform), lone=[function(LONE)])


@pytest.mark.parametrize(
    ("text", "address"),
    [("0000:01:00.0", A), ("01:00.1", B), ("pci_0000_02_00_0", OTHER), ("00000000:02:00.0", OTHER), 
     ("8086:10D3", OTHER),     ("eth0", OTHER), ("fd000000.ehci", "fd000000.ehci"), ("1002:73b1", B)],
)  # fmt: skip
def test_a_device_is_found(text: str, address: str) -> None:
    assert find_device(people(), text).address == address


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [("0000:09:00.0", IommutuiError, "0000:09:00.0"), ("1002:73b0", RefusedError, f"{A}, {LONE}"),
     ("dead:beef", IommutuiError, "dead:beef"), ("wlan0", IommutuiError, "wlan0"), ("01:00", UsageError, "01:00"),
     ("", UsageError, "''")],
)  # fmt: skip
def test_a_device_that_cannot_be_found_is_an_error(text: str, error: type[IommutuiError], says: str) -> None:
    with pytest.raises(error) as caught:
        find_device(people(), text)
    assert type(caught.value) is error
    assert says in caught.value.what
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", [A, B, OTHER, LONE, EHCI]),
        ("amdgpu", [A]),
        ("driver:none", [B, LONE]),
        ("driver:free", [B, LONE]),
        ("!driver:none", [A, OTHER, EHCI]),
        ("group:1", [A, B]),
        ("group:none", [LONE]),
        ("viable:no", [A, B, OTHER, LONE, EHCI]),
        ("viable:yes", []),
        ("viable:blocked", [A, B, OTHER, EHCI]),
        ("class:nic", [OTHER]),
        ("class:0200", [OTHER]),
        ("id:8086", [OTHER]),
        ("id:10d3", [OTHER]),
        ("bus:platform", [EHCI]),
        ("class:gpu driver:amd", [A]),
        ("ETH0", [OTHER]),
        ("8086:10d3", [OTHER]),
        ("override:none !bus:pci", [EHCI]),
        ("nothing:here", []),
        ("!", []),
        ("driver:amd,free", [A, B, LONE]),
        ("class:nic|driver:amd", [OTHER, A]),
        ("!driver:none,amd", [OTHER, EHCI]),
        ("eth0,amdgpu bus:pci", [A, OTHER]),
        (",", []),
    ],
)
def test_filters_select_devices(text: str, found: list[str]) -> None:
    host, model = people(), MODELS["dma-owner"]
    query = parse_query(text)
    verdicts = {number: model.verdict(host, group) for number, group in host.groups.items()}
    shown = [d.address for d in matching(host, query, lambda group: verdicts[group.id])]
    assert sorted(shown) == sorted(found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("clas:gpu", ["Unknown key 'clas'; the keys are bus, class, driver, group, id, override, viable."]),
        ("!clas:gpu", ["Unknown key 'clas'; the keys are bus, class, driver, group, id, override, viable."]),
        ("viable:maybe", ["viable: takes yes, no, unknown, blocked, refused or viable, not maybe."]),
        ("viable:", ["viable: takes yes, no, unknown, blocked, refused or viable."]),
        ("group:x amd nope:1", ["group: takes a number or none, not x.",
                                "Unknown key 'nope'; the keys are bus, class, driver, group, id, override, viable."]),
        ("id:zz", ["id: takes hex, as 10de or 10de:2204, not zz."]),
        ("", []),
        ("class:anything driver:free override:x bus:y word", []),
        ("viable:no viable:refused group:14 id:10de id:10de:2204 !viable:YES", []),
        ("0000:01:00.0 01:00 10de:2204 dead:beef :x", []),
    ],
)  # fmt: skip
def test_a_mistake_in_a_filter_is_named(text: str, said: list[str]) -> None:
    assert mistakes(text) == said


def test_a_correct_filter_has_no_mistake() -> None:
    for word in VERDICTS:
        assert mistakes(f"viable:{word}") == []


# -- advice


def bare(**facts: object) -> str:
    return " ".join(no_iommu_advice(Host({}, {}, iommus=(), **facts)))  # type: ignore[arg-type]


def test_advice_without_groups() -> None:
    assert no_iommu_advice(people()) == []
    assert "VT-d" in bare(cpu_vendor="GenuineIntel")
    assert "Add intel_iommu=on" in bare(cpu_vendor="GenuineIntel", cmdline="quiet")
    assert "is on the kernel command line already" in bare(cpu_vendor="GenuineIntel", cmdline="intel_iommu=on")
    amd = bare(cpu_vendor="AuthenticAMD", cmdline="amd_iommu=on")
    assert "needs no parameter" in amd
    assert "intel_iommu" not in amd
    assert "remove iommu=off" in bare(cmdline="iommu=off")
    assert "SMMU" in bare(cpu_vendor="ARM")
    assert "empty" in bare()
    assert bare(hypervisor="kvm").startswith("No IOMMU is active")
    assert turn_on_advice(Host({}, {}, cpu_vendor="GenuineIntel")) in bare(cpu_vendor="GenuineIntel")
    assert turn_on_advice(people()) == turn_on_advice(machine()) == ""
    assert "no /sys/class/iommu" in " ".join(no_iommu_advice(Host({}, {})))
    active = machine(lone=[function(LONE)])
    assert "dmar0" in " ".join(no_iommu_advice(active))


# -- hostile text


@pytest.mark.parametrize(
    ("text", "shown"),
    [("plain", "plain"), ("\x1b[31m", "\\x1b[31m"), ("a\nb", "a\\nb"), ("\u202eevil", "\\u202eevil"), ("\x9b", "\\x9b"),
     ("\udcff", "\\udcff"), ("naïve", "naïve"), ("\u200b", "\\u200b"), ("\x7f", "\\x7f")],
)  # fmt: skip
def test_terminal_controls_are_made_visible(text: str, shown: str) -> None:
    assert printable(text) == shown
