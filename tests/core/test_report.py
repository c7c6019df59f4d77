"""The report: its beginning, its redactions, and opening it again as the same machine."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iommutui.core.address import Address
from iommutui.core.diff import compare, is_equal
from iommutui.core.host import Device, Host
from iommutui.core.models import model_for
from iommutui.core.redact import redact
from iommutui.core.report import report
from iommutui.demo import demo_host
from iommutui.sources import open_text
from tests.strategies import hosts

GPU = Address("0000:09:00.0")


def text_of(host: Host, device: Address | None = None, *, markdown: bool = True) -> str:
    """The report under the model of the Host's kernel."""
    return report(host, model_for(host.kernel), device, markdown=markdown)


@pytest.mark.parametrize("markdown", [True, False])
def test_a_report_opens_as_the_machine_it_describes(markdown: bool) -> None:
    host = demo_host()
    opened = open_text(text_of(host, GPU, markdown=markdown))
    again = opened.host
    assert len(opened.notes) == 1, "only lines that were ignored, and no doubt whether it is one machine"
    assert (again.kernel, again.cmdline, again.cpu_vendor) == (host.kernel, host.cmdline, host.cpu_vendor)
    for address, device in host.devices.items():
        other = again.devices[address]
        for field in (
            *("group", "driver", "vendor_id", "device_id", "subsystem_vendor_id", "subsystem_device_id"),
            *("class_code", "driver_override"),
        ):
            assert getattr(device, field) == getattr(other, field), (address, field)
    assert is_equal(compare(host, again, *[model_for(host.kernel)] * 2))


IN_A_TEXT = (
    *("group", "driver", "driver_override", "class_code", "revision"),
    *("vendor_id", "device_id", "subsystem_vendor_id", "subsystem_device_id"),
)
"""The facts of a function that the report contains."""


def facts_in_text(device: Device) -> dict[str, object]:
    """The facts of a function that a text can hold: ids only in pairs, a revision only if it is not 00."""
    facts = {name: getattr(device, name) for name in IN_A_TEXT}
    for first, second in (("vendor_id", "device_id"), ("subsystem_vendor_id", "subsystem_device_id")):
        if not facts[first] or not facts[second]:
            facts[first] = facts[second] = None
    facts["revision"] = None if device.revision == "00" else device.revision
    facts["driver is unknown"] = device.driver is None and device.gap("driver") is not None
    return facts


def as_kernels_write(host: Host) -> Host:
    """The Host with ids and names as in hardware, kernels and pci.ids, and a command line of printable words."""

    def name(text: str | None) -> str | None:
        return re.sub(r"[^a-z0-9_.-]", "", text or "", flags=re.IGNORECASE) or None

    digits = {"revision": "[0-9a-f]{2}", "class_code": "[0-9a-f]{4}|[0-9a-f]{6}"}

    devices = {}
    for address, device in host.devices.items():
        facts: dict[str, Any] = {"bus": "pci", "class_name": None}
        for field in ("driver", "driver_override", "vendor_name", "device_name"):
            facts[field] = name(getattr(device, field))
        driver = (facts["driver"] or "").strip("._-")  # which people put around names
        facts["driver"] = None if driver.lower() in ("", "none", "no", "not", "unknown") else driver
        for field in IN_A_TEXT:
            if field.endswith(("_id", "code", "ion")):
                text = getattr(device, field)
                facts[field] = text if re.fullmatch(digits.get(field, "[0-9a-f]{4}"), text or "") else None
        devices[address] = device._replace(**facts)
    kernel = host.kernel if host.kernel and re.fullmatch(r"\d+\.\d+[-.\w]*", host.kernel) else None
    cmdline = host.cmdline if host.cmdline and re.fullmatch(r"[!-_a-~]+( [!-_a-~]+)*", host.cmdline) else None
    return host._replace(devices=devices, kernel=kernel, cmdline=cmdline)


@settings(max_examples=40)
@given(hosts().map(as_kernels_write).filter(lambda host: bool(host.devices)), st.booleans())
def test_the_report_of_any_machine_opens_as_that_machine(host: Host, markdown: bool) -> None:
    pci = redact(host).devices
    again = open_text(text_of(host, markdown=markdown)).host
    assert {a: facts_in_text(d) for a, d in again.devices.items()} == {a: facts_in_text(d) for a, d in pci.items()}
    assert (again.kernel, again.cmdline) == (host.kernel, redact(host).cmdline)


def test_the_question_comes_first_with_verdict_and_fix() -> None:
    text = text_of(demo_host(), GPU)
    assert text.index(f"The question: {GPU}") < text.index("IOMMU Group 0")
    assert "Group 17 is not viable." in text
    assert f"{GPU}=vfio-pci" in text


def test_the_report_contains_no_secret() -> None:
    host = demo_host()._replace(cmdline="root=UUID=0a1b-secret cryptdevice=/dev/secret quiet")
    assert "secret" not in text_of(host, GPU)


@pytest.mark.parametrize("device", [None, GPU])
def test_terminal_controls_are_made_visible(device: Address | None) -> None:
    host = demo_host()
    hostile = "nou\x1b]0;veau\x07"
    devices = {a: d._replace(driver=d.driver and hostile, device_name=hostile) for a, d in host.devices.items()}
    text = text_of(host._replace(devices=devices, kernel=hostile, cmdline=hostile), device)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text)
    assert r"\x1b]0;veau" in text


def test_only_markdown_has_a_fence() -> None:
    assert text_of(demo_host()).count("```") == 2
    assert "```" not in text_of(demo_host(), markdown=False)
