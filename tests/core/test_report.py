"""The report: what it says first, what it hides, and that it opens again as what it was made of."""

import pytest
from hypothesis import given, settings

from iommutui.core.address import Address
from iommutui.core.diff import compare, is_equal
from iommutui.core.host import Host
from iommutui.core.models import model_for
from iommutui.core.redact import redact
from iommutui.core.report import report
from iommutui.demo import demo_host
from iommutui.sources import open_text
from tests.strategies import hosts

GPU = Address("0000:09:00.0")


def text_of(host: Host, device: Address | None = None, *, markdown: bool = True) -> str:
    """The report by the rules of the Host's kernel."""
    return report(host, model_for(host.kernel), device, markdown=markdown)


@pytest.mark.parametrize("markdown", [True, False])
def test_a_report_opens_as_the_machine_that_it_is_of(markdown: bool) -> None:
    host = demo_host()
    again = open_text(text_of(host, GPU, markdown=markdown)).host
    assert (again.kernel, again.cmdline, again.cpu_vendor) == (host.kernel, host.cmdline, host.cpu_vendor)
    for address, device in host.devices.items():
        other = again.devices[address]
        for field in (
            *("group", "driver", "vendor_id", "device_id", "subsystem_vendor_id", "subsystem_device_id"),
            *("class_code", "driver_override"),
        ):
            assert getattr(device, field) == getattr(other, field), (address, field)
    assert is_equal(compare(host, again, *[model_for(host.kernel)] * 2))


@settings(max_examples=60)
@given(hosts())
def test_any_machine_with_functions_opens_again(host: Host) -> None:
    pci = {address: device for address, device in redact(host).devices.items() if device.bus == "pci"}
    if not pci:
        return
    again = open_text(text_of(host)).host
    assert set(again.devices) == set(pci)
    for address, device in pci.items():
        assert again.devices[address].group == device.group
        assert again.devices[address].vendor_id == (device.vendor_id if device.device_id else None)


def test_the_question_comes_first_with_verdict_and_way_out() -> None:
    text = text_of(demo_host(), GPU)
    assert text.index(f"The question: {GPU}") < text.index("IOMMU Group 0")
    assert "Group 17 is not viable." in text
    assert f"{GPU}=vfio-pci" in text


def test_secrets_are_in_no_byte_of_it() -> None:
    host = demo_host()._replace(cmdline="root=UUID=0a1b-secret cryptdevice=/dev/secret quiet")
    assert "secret" not in text_of(host, GPU)


def test_markdown_has_a_fence_and_plain_has_none() -> None:
    assert text_of(demo_host()).count("```") == 2
    assert "```" not in text_of(demo_host(), markdown=False)
