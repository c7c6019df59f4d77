"""``iommutui doctor``: recorded machines, and the program's own environment."""

import json
import re
from pathlib import Path

import pytest

from tests.bench.trees import make_tree
from tests.cli.conftest import Run
from tests.cli.terminal import on_terminal

RELEASE = "6.1.0-test"
REMAPPED = "           CPU0\n  9:          0  IR-IO-APIC    9-fasteoi   acpi\n"
PLAIN = "           CPU0\n  9:          0  IO-APIC    9-fasteoi   acpi\n 24:   0  PCI-MSI 1-edge  PCIe PME\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A recorded machine that has everything passthrough needs."""
    make_tree(tmp_path / "sys", 8)
    put(tmp_path, "proc/sys/kernel/osrelease", RELEASE + "\n")
    put(tmp_path, "proc/interrupts", REMAPPED)
    put(tmp_path, "sys/kernel/security/lockdown", "[none] integrity confidentiality\n")
    put(tmp_path, f"lib/modules/{RELEASE}/modules.dep", "kernel/drivers/vfio/pci/vfio-pci.ko.xz: kernel/x.ko.xz\n")
    put(tmp_path, f"lib/modules/{RELEASE}/modules.builtin", "kernel/drivers/pci/pci-stub.ko\n")
    put(tmp_path, f"lib/modules/{RELEASE}/modules.alias", "alias vfio_pci:v*d*sv*sd*bc*sc*i* vfio_pci\n")
    return tmp_path


def put(tree: Path, name: str, text: str) -> None:
    path = tree / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def states(run: Run, tree: Path, code: int = 0) -> dict[str, str]:
    answer = run("doctor", "--json", "--from", str(tree))
    assert answer.code == code
    return {check["check"]: check["state"] for check in answer.document["checks"]}


def test_a_complete_machine_passes_every_check(run: Run, tree: Path) -> None:
    assert set(states(run, tree).values()) == {"ok"}


@pytest.mark.parametrize(
    ("name", "text", "check", "state", "code"),
    [
        ("proc/interrupts", PLAIN, "interrupt remapping", "problem", 1),
        ("proc/interrupts", "", "interrupt remapping", "unknown", 0),
        ("proc/interrupts", " 1: 0 GICv3 27 Level arch_timer\n", "interrupt remapping", "unknown", 0),
        ("sys/kernel/security/lockdown", "none [integrity] confidentiality\n", "lockdown", "warning", 0),
        ("sys/kernel/security/lockdown", "", "lockdown", "unknown", 0),
        (f"lib/modules/{RELEASE}/modules.dep", "kernel/drivers/vfio/vfio.ko:\n", "vfio-pci", "problem", 1),
    ],
)
def test_missing_parts_are_found(run: Run, tree: Path, name: str, text: str, check: str, state: str, code: int) -> None:
    put(tree, name, text)
    assert states(run, tree, code)[check] == state


def test_vfio_pci_may_be_built_in(run: Run, tree: Path) -> None:
    put(tree, f"lib/modules/{RELEASE}/modules.dep", "")
    put(tree, f"lib/modules/{RELEASE}/modules.builtin", "kernel/drivers/vfio/pci/vfio-pci.ko\n")
    assert states(run, tree)["vfio-pci"] == "ok"


def test_unrecorded_facts_are_unknown(run: Run, tree: Path) -> None:
    found = states(run, tree / "sys")
    assert found["IOMMU"] == "ok"
    assert {name for name, state in found.items() if state == "unknown"} == {
        "kernel",
        "vfio-pci",
        "interrupt remapping",
    }


def test_a_snapshot_is_checked_as_far_as_recorded(on_demo: Run) -> None:
    answer = on_demo("doctor")
    assert answer.code == 0
    assert "✔ IOMMU: The IOMMU is on: 24 groups." in answer.out
    assert "? lockdown:" in answer.out


def test_every_problem_has_a_cost_and_a_remedy(run: Run, tree: Path) -> None:
    put(tree, "proc/interrupts", PLAIN)
    checks = run("doctor", "--json", "--from", str(tree)).document["checks"]
    assert all(check["cost"] and check["remedy"] for check in checks if check["state"] in ("problem", "warning"))


def test_settings_and_journals_are_checked_on_this_machine(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("IOMMUTUI_STATE_DIR", str(tmp_path / "state"))
    put(tmp_path, "iommutui/config.toml", "[drivers]\nx = 'guest'\n")
    (tmp_path / "state/journal").mkdir(parents=True)
    (tmp_path / "state/journal").chmod(0o777)
    answer = run("doctor", "--json")
    found = {check["check"]: check for check in json.loads(answer.out)["checks"]}
    assert answer.code == 1
    assert found["settings"]["state"] == "warning"
    assert "line 2" in found["settings"]["text"]
    assert found["journals"]["state"] == "problem"
    assert "chmod go-w" in found["journals"]["remedy"]
    assert {"live updates", "names", "terminal", "root"} <= found.keys()


@pytest.mark.parametrize(
    ("columns", "kind", "said"),
    [
        (80, "xterm-256color", "✔ colours: The terminal supports 256 colours"),
        (50, "xterm-256color", "! terminal size: The terminal has 50 columns"),
        (80, "no-such-terminal", "! colours: TERM=no-such-terminal is not a known terminal."),
    ],
)
def test_the_terminal_is_checked(columns: int, kind: str, said: str) -> None:
    assert said in re.sub(r"\x1b\[\d+m", "", on_terminal("doctor", columns=columns, TERM=kind))
