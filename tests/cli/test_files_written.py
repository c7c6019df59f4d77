"""The files that the applying process opens, creates, renames and removes, as the interpreter reports them."""

import os
import re
import sys
from pathlib import Path

import pytest

from iommutui.apply import real_kernel
from iommutui.apply.real_kernel import Write
from iommutui.apply.request import request_of
from iommutui.core.models import model_for
from iommutui.core.plan.intents import Intent
from iommutui.core.plan.planner import plan_intents
from iommutui.sources import load
from tests.apply.machines import GPU, SOUND
from tests.cli.reacting_machine import Server, request_to_json
from tests.reacting_tree import ReactingTree

_CHANGES = frozenset(
    {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.chown",
     "os.utime", "os.setxattr", "os.exec", "os.system", "os.posix_spawn", "subprocess.Popen"}
)  # fmt: skip
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


PUT = real_kernel.put
"""The real function, before a test replaces this machine with a tree."""


class Watch:
    """Records every change in a file opened before, so that child processes are watched as well."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(self._file, 300)
        self.on = True

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.on:
            return
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & _WRITING:
                os.write(300, f"open {path}\n".encode())
        elif event in _CHANGES:
            os.write(300, f"{event} {arguments[0]}\n".encode())


@pytest.mark.parametrize("keep_within", [None, 1.0])
def test_only_the_listed_files_and_the_journal_are_written(
    machine: ReactingTree, tmp_path: Path, keep_within: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The simulated kernel changes the tree while the watch is off."""
    trap = tmp_path / "trap"
    trap.mkdir()
    (trap / "file").touch()
    intents = (Intent(GPU, "vfio-pci"), Intent(SOUND, "vfio-pci"))
    host = load(machine.root)
    plan = plan_intents(host, intents, model_for(host.kernel))
    notes = tmp_path / "notes"
    notes.touch()
    watches: list[Watch] = []

    def both(write: Write) -> str:
        answer = PUT(write)
        watches[0].on = False
        reacted = machine.put(write)
        watches[0].on = True
        return answer if answer != "ok" else reacted

    monkeypatch.setattr(real_kernel, "put", both)

    def watch() -> None:
        watches.append(Watch(notes))
        sys.addaudithook(watches[0])

    server = Server("apply", "--stdin", before=watch)
    server.send(request_to_json(request_of(plan, intents, keep_within=keep_within)) + "\n")
    assert list(server.events())[-1]["exit"] == (0 if keep_within is None else 5)
    server.wait()
    seen = set(notes.read_text().splitlines())
    listed = {f"open {machine.root}{step.path}" for step in plan.steps}
    assert listed <= seen
    back = {f"open {machine.root}/sys/bus/pci/drivers/vfio-pci/unbind"} if keep_within is not None else set()
    above = Path(machine.root).parent
    others = {line for line in seen - listed - back if not line.split(" ", 1)[1].startswith(f"{above}/state")}
    # The state directory's parent is created if missing, and a journal's mode is set through its descriptor.
    harmless = {f"open {os.devnull}", f"os.mkdir {above}", "open /proc/self/fd/1"}
    assert {line for line in others - harmless if re.fullmatch(r"os\.chmod \d+", line) is None} == set()
