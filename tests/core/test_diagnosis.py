"""Error messages, and what on a machine explains them: each with a machine that does and one that does not."""

import pytest

from iommutui.core.address import Address
from iommutui.core.diagnosis import MESSAGES, Diagnosis, diagnose
from iommutui.core.host import Gap, Host
from iommutui.core.models import model_for
from iommutui.demo import demo_host

NOT_VIABLE = "qemu-system-x86_64: vfio 0000:09:00.0: group 17 is not viable"
BUSY = "bash: echo: write error: Device or resource busy"
RESERVE = "vfio-pci 0000:08:00.0: BAR 0: can't reserve [mem 0xd0000000-0xdfffffff 64bit pref]"
DEPENDS = "vfio: Cannot reset device 0000:09:00.0, depends on group 16 which is not owned."
CONTAINER = "failed to setup container for group 23: Failed to set iommu for container: Operation not permitted"


def ask(text: str, host: Host | None = None) -> Diagnosis:
    host = host or demo_host()
    found = diagnose(host, text, model_for(host.kernel))
    assert found is not None
    return found


def codes(text: str, host: Host | None = None) -> list[str]:
    return [cause.code for cause in ask(text, host).causes]


def without(host: Host, group: int) -> Host:
    """The machine on which nothing has claimed the group."""
    return host.with_group(host.groups[group]._replace(claim=None))


def test_not_viable_names_each_driver_in_the_way() -> None:
    causes = ask(NOT_VIABLE).causes
    assert [cause.device for cause in causes] == [f"0000:09:00.{n}" for n in range(4)]
    assert {cause.code for cause in causes} == {"kernel-driver"}


def test_not_viable_although_it_is_now() -> None:
    assert codes("vfio: error, group 18 is not viable") == ["viable-now"]


def test_a_group_that_this_machine_does_not_have() -> None:
    assert codes("group 99 is not viable") == ["group-missing"]


def test_busy_fits_a_group_in_use() -> None:
    assert codes(BUSY) == ["group-owned"]
    assert codes(BUSY, without(demo_host(), 19)) == []


def test_busy_fits_a_device_that_is_bound_already() -> None:
    text = "echo 0000:09:00.0 > bind: write error: Device or resource busy"
    assert codes(text)[0] == "already-bound"


def test_busy_fits_a_device_with_virtual_functions() -> None:
    host = without(demo_host(), 19)
    nic = host.devices[Address("0000:05:00.0")]
    with_vfs = host.with_device(nic._replace(virtfns=(Address("0000:05:10.0"),)))
    assert codes(BUSY, with_vfs) == ["vfs-enabled"]


def test_busy_says_what_only_root_can_see() -> None:
    host = without(demo_host(), 19)._replace(gaps=(Gap("claims", "EACCES"),))
    assert codes(BUSY, host) == ["unknown-owner"]


def test_a_bar_that_the_boot_display_has() -> None:
    (cause,) = ask(RESERVE).causes
    assert (cause.code, cause.device) == ("boot-framebuffer", "0000:08:00.0")
    assert "bind the card to vfio-pci once more" in cause.remedy
    old = ask(RESERVE, demo_host()._replace(kernel="5.10.0")).causes[0]
    assert "sysfb_init" in old.remedy


def test_a_bar_of_a_device_that_is_no_display() -> None:
    assert codes("vfio-pci 0000:0a:00.0: BAR 0: can't reserve [mem 0xfc000000]") == ["region-taken"]


def test_a_reset_that_reaches_another_group() -> None:
    (cause,) = ask(DEPENDS).causes
    assert (cause.code, cause.group, cause.device) == ("reset-reaches-group", 16, "0000:08:00.1")
    assert "0000:08:00.1=vfio-pci" in cause.remedy


def test_a_container_that_is_refused() -> None:
    assert codes(CONTAINER) == ["direct-region", "no-interrupt-remapping"]
    assert codes(CONTAINER.replace("23", "18")) == ["no-interrupt-remapping"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Could not open '/dev/vfio/18': Permission denied", "node-permissions"),
        ("Could not open '/dev/vfio/17': No such file or directory", "no-vfio-node"),
        ("0000:00:03.2: write error: Invalid argument", "bridge"),
        ("0000:00:00.0: write error: Invalid argument", "no-group"),
    ],
)
def test_other_messages(text: str, code: str) -> None:
    assert code in codes(text)


def test_what_is_no_error_message() -> None:
    assert diagnose(demo_host(), "everything is fine", model_for(None)) is None


def test_every_message_has_a_name_of_its_own() -> None:
    assert len({message.name for message in MESSAGES}) == len(MESSAGES)
