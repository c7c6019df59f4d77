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


def test_busy_on_old_kernels_says_nothing_of_refused_drivers() -> None:
    """Up to 5.18 nothing is refused at a bind, and before 5.15 a device that is bound is 'no such device' to it."""
    (new,) = ask(BUSY).causes
    assert "refused" in new.text
    (old,) = ask(BUSY, demo_host()._replace(kernel="5.10.0")).causes
    assert "refused" not in old.text
    bound = "echo 0000:09:00.0 > bind: write error: Device or resource busy"
    assert codes(bound, demo_host()._replace(kernel="5.15.0")) == ["already-bound"]
    assert codes(bound, demo_host()._replace(kernel="5.14.0")) == []


def test_a_bridge_need_not_be_handed_over_for_a_reset() -> None:
    text = DEPENDS.replace("group 16", "group 12")
    assert "0000:02:00.2" not in [cause.device for cause in ask(text).causes]
    assert [cause.device for cause in ask(text).causes][:2] == ["0000:02:00.0", "0000:02:00.1"]


def test_what_a_reset_reaches_and_the_virtual_machine_could_have() -> None:
    (given,) = ask(DEPENDS.replace("group 16", "group 18")).causes
    assert given.remedy == "Give this device to the same virtual machine."
    (free,) = ask(DEPENDS.replace("group 16", "group 23")).causes
    assert "which is free" in free.text
    assert codes(DEPENDS.replace("group 16", "group 99")) == ["group-missing"]


def test_an_argument_that_is_invalid_because_of_the_firmware() -> None:
    text = "vfio: failed to set group 23 container: Invalid argument"
    assert codes(text) == ["direct-region"]
    assert codes(text.replace("23", "18")) == []
    assert codes(text.replace("23", "99")) == ["group-missing"]


@pytest.mark.parametrize(
    ("text", "causes"),
    [
        ("echo 0000:09:00.0 > vfio-pci/bind: No such device", ["bound-elsewhere", "no-match"]),
        ("echo 0000:0d:00.0 > vfio-pci/unbind: No such device", ["not-bound", "no-match"]),
        ("echo 0000:77:00.0 > vfio-pci/bind: No such device", ["no-device"]),
        ("write error: No such device", []),
    ],
)
def test_no_such_device(text: str, causes: list[str]) -> None:
    assert codes(text) == causes


def test_no_such_device_names_the_override() -> None:
    host = demo_host()
    device = host.devices[Address("0000:0d:00.0")]
    text = "echo 0000:0d:00.0 > vfio-pci/bind: No such device"
    assert "takes no device by itself" in ask(text, host).causes[1].text
    overridden = host.with_device(device._replace(driver_override="none"))
    assert "names none" in ask(text, overridden).causes[1].text


def test_what_the_message_is_about_may_be_said_beside_it() -> None:
    host = demo_host()
    model = model_for(host.kernel)
    device = host.devices[Address("0000:09:00.1")]
    found = diagnose(host, BUSY, model, device=device)
    assert found is not None
    assert [cause.code for cause in found.causes] == ["already-bound"]
    named = diagnose(host, NOT_VIABLE, model, group=10, device=device)
    assert named is not None
    assert {cause.group for cause in named.causes} == {17}
    grouped = diagnose(host, "group is not viable", model, group=10)
    assert grouped is not None
    assert {cause.group for cause in grouped.causes} == {10}
