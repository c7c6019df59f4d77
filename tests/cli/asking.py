"""What the tests of the process that writes share: a request, and what has become of it."""

from pathlib import Path

from iommutui.apply.request import Request, request_of
from iommutui.core.models import model_for
from iommutui.core.plan.intents import Intent
from iommutui.core.plan.planner import plan_intents
from iommutui.sources import load
from tests.apply.machines import GPU, SOUND
from tests.reacting_tree import ReactingTree

INTENTS = (Intent(GPU, "vfio-pci"), Intent(SOUND, "vfio-pci"))
LONG = 600.0
"""Seconds that no test waits for."""


def request_for(tree: ReactingTree, **terms: object) -> Request:
    host = load(tree.root)
    plan = plan_intents(host, INTENTS, model_for(host.kernel))
    return request_of(plan, INTENTS)._replace(**terms)  # type: ignore[arg-type]


def journal_of(tree: ReactingTree) -> Path:
    return Path(tree.root).parent / "state/journal"


def driver_of(tree: ReactingTree) -> str | None:
    return load(tree.root).devices[GPU].driver


def processes_of(pid: int) -> list[int]:
    """A process and all below it."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(below for child in children for below in processes_of(int(child)))]
