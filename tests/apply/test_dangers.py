"""Dangers are accepted one by one, and checked again during the apply."""

from pathlib import Path

import pytest

from iommutui.apply.events import Compensating
from iommutui.apply.executor import execute
from iommutui.core.address import Address
from iommutui.core.errors import Exit, RefusedError
from iommutui.core.hazards import Acceptance, accept_words, access, dangers_words, storage
from iommutui.core.host import Host
from iommutui.core.models import MODELS
from iommutui.core.plan.intents import Intent
from iommutui.core.plan.planner import plan_intents
from iommutui.core.uses import Held, Storage, Uses
from tests.apply.journals import list_journals
from tests.apply.machines import CLOCK, GPU, NIC, SOUND, desktop, facts, finished
from tests.reacting import FakeKernel, Faults

MODEL = MODELS["dma-owner"]
ACCEPTED = Acceptance("boot-display", GPU)


def _lit(host: Host, *addresses: Address) -> Host:
    """Marks the displays that the firmware started on."""
    for address in addresses:
        host = host.with_device(host.devices[address]._replace(boot_vga=True))
    return host


def _refused(host: Host, accepted: tuple[Acceptance, ...], tmp_path: Path, now: Host | None = None) -> RefusedError:
    plan = plan_intents(host, [Intent(GPU, "vfio-pci"), Intent(NIC, "vfio-pci")], MODEL)
    kernel = FakeKernel(now or host, MODEL)
    with pytest.raises(RefusedError) as caught:
        list(execute(plan, kernel, tmp_path / "s/journal", clock=CLOCK, accepted=accepted))
    assert kernel.steps == []
    assert list_journals(tmp_path / "s/journal") == []
    return caught.value


def test_a_danger_is_refused_with_its_evidence_and_the_option_that_accepts_it(tmp_path: Path) -> None:
    error = _refused(_lit(desktop(), GPU), (), tmp_path)
    assert f"{GPU} is the display that this machine booted on" in error.what
    assert error.remedy == f"To accept it: --accept boot-display:{GPU}"


@pytest.mark.parametrize(
    "accepted", [Acceptance("boot-display", NIC), Acceptance("other", GPU), Acceptance("boot-display", SOUND)]
)
def test_accepting_another_danger_does_not_help(accepted: Acceptance, tmp_path: Path) -> None:
    _refused(_lit(desktop(), GPU), (accepted,), tmp_path)


def test_each_danger_has_to_be_accepted(tmp_path: Path) -> None:
    error = _refused(_lit(desktop(), GPU, NIC), (ACCEPTED,), tmp_path)
    assert error.remedy == f"To accept it: --accept boot-display:{NIC}"
    error = _refused(_lit(desktop(), GPU, NIC), (), tmp_path)
    assert error.what.startswith("2 dangers have not been accepted.")


def test_a_new_danger_is_refused(tmp_path: Path) -> None:
    error = _refused(desktop(), (), tmp_path, now=_lit(desktop(), GPU))
    assert f"--accept boot-display:{GPU}" in error.remedy


def test_an_accepted_danger_is_applied(tmp_path: Path) -> None:
    host = _lit(desktop(), GPU)
    plan = plan_intents(host, [Intent(GPU, "vfio-pci")], MODEL)
    kernel = FakeKernel(host, MODEL)
    events = list(execute(plan, kernel, tmp_path / "s/journal", clock=CLOCK, accepted=[ACCEPTED]))
    assert finished(events).exit is Exit.DONE
    assert list_journals(tmp_path / "s/journal")[-1].header.accepted == (ACCEPTED,)


def test_a_danger_that_appears_between_two_phases_reverts_everything(tmp_path: Path) -> None:
    """The second scan comes after the overrides and before the first unbind."""
    host = desktop()
    plan = plan_intents(host, [Intent(GPU, "vfio-pci")], MODEL)
    kernel = FakeKernel(host, MODEL, Faults(outside={2: lambda now: _lit(now, GPU)}))
    events = list(execute(plan, kernel, tmp_path / "s/journal", clock=CLOCK))
    why = next(event.why for event in events if isinstance(event, Compensating))
    assert f"--accept boot-display:{GPU}" in why
    assert finished(events).exit is Exit.ROLLED_BACK
    assert [step.op for step in kernel.steps] == ["override", "override"]
    assert facts(kernel.host) == facts(host)


def test_a_danger_of_an_unbound_device_does_not_stop_the_apply(tmp_path: Path) -> None:
    host = desktop()
    plan = plan_intents(host, [Intent(GPU, "vfio-pci")], MODEL)
    kernel = FakeKernel(host, MODEL, Faults(outside={3: lambda now: _lit(now, GPU)}))
    events = list(execute(plan, kernel, tmp_path / "s/journal", clock=CLOCK))
    assert finished(events).exit is Exit.DONE


def test_a_refusal_names_no_option_that_accepts_it() -> None:
    gpu, nic = (desktop().devices[address] for address in (GPU, NIC))
    refused, danger = storage.MOUNTED.of(gpu, what="/"), access.BOOT.of(nic)
    assert dangers_words([danger, refused]).startswith(f"Refused, whatever is accepted: {GPU} holds file systems")
    assert NIC not in dangers_words([danger, refused])
    assert "--accept" not in accept_words([danger, refused])
    assert accept_words([danger]) == f"To accept it: --accept boot-display:{NIC}"


def test_a_disk_mounted_since_the_plan_is_refused_and_cannot_be_accepted(tmp_path: Path) -> None:
    mounted = desktop()._replace(uses=Uses(storage=(Storage(NIC, Held.MOUNT, ("/",), ("sda",)),)))
    error = _refused(desktop(), (), tmp_path, now=mounted)
    assert "mounted at /" in error.what
    assert "--accept" not in f"{error.what} {error.remedy}"
