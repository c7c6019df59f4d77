"""The subjects of exports: every group that can be freed, on every recorded machine and the built-in one."""

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

from iommutui.core.errors import RefusedError
from iommutui.core.host import Host
from iommutui.core.models import model_for
from iommutui.demo import demo_host
from iommutui.export import Subject, subject_of
from iommutui.sources import load
from tests.core.machines import free_group
from tests.recorded import NAMES, recorded
from tests.shared import SHARED

TREES = tuple(
    path.parent
    for path in sorted(SHARED.glob("corpus/sysfs-*/meta.json"))
    if json.loads(path.read_text())["counts"]["groups"]
)
MACHINES = ("demo", *NAMES, *(path.name for path in TREES))


def machine(name: str, scratch: Path) -> Host:
    """A machine by its name; a tree is unpacked into the scratch directory."""
    if name == "demo":
        return demo_host()
    if name in NAMES:
        return recorded(name)
    path = SHARED / "corpus" / name
    with tarfile.open(path / json.loads((path / "meta.json").read_text())["main_file"]) as archive:
        archive.extractall(scratch, filter="tar")
    return load(str(scratch))


def subjects(host: Host) -> Iterator[Subject]:
    """Every group of the machine that a plan frees for a virtual machine."""
    model = model_for(host.kernel)
    for group in host.groups.values():
        intents = free_group(host, group, model, reached=True)
        if intents:
            try:
                subject = subject_of(host, intents, model)
            except RefusedError:
                continue  # the rules do not permit this plan, so there is nothing to export
            if subject.guests:
                yield subject
