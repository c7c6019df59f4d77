"""A tree of files that reacts and stands in for this machine, for commands that write and the requests they send."""

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from iommutui import sources
from iommutui.apply import real_kernel
from iommutui.apply.request import Request, request_of
from iommutui.apply.validation import to_line
from iommutui.cli import main
from iommutui.core.host import Host
from iommutui.core.models import model_for
from iommutui.core.plan.intents import Intent
from iommutui.core.plan.planner import plan_intents
from iommutui.sources import load
from tests.apply.machines import GPU, SOUND
from tests.reacting_tree import ReactingTree


def put_in_place(host: Host, path: Path, monkeypatch: pytest.MonkeyPatch) -> ReactingTree:
    """Makes the program use the tree as this machine; journals go beside it."""
    tree = ReactingTree(path, host)
    monkeypatch.setattr(sources, "HERE", tree.root)
    monkeypatch.setattr(real_kernel, "put", tree.put)
    monkeypatch.setenv("IOMMUTUI_STATE_DIR", str(path / "state"))
    return tree


class Server:
    """The applying process with pipes in place of its standard files."""

    def __init__(self, *words: str, before: Callable[[], None] = lambda: None, room: int | None = None) -> None:
        """``room``: how many bytes the pipe of its events holds."""
        stdin, self.stdin = os.pipe()
        self.stdout, stdout = os.pipe()
        if room is not None:
            fcntl.fcntl(stdout, fcntl.F_SETPIPE_SZ, room)
        self.stderr, stderr = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            code = 99
            try:
                for ours in (self.stdin, self.stdout, self.stderr):
                    os.close(ours)
                for number, end in enumerate((stdin, stdout, stderr)):
                    os.dup2(end, number)
                os.closerange(3, 256)
                import sys

                sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
                before()
                code = main(list(words))
                sys.stderr.flush()
            finally:
                os._exit(code)
        for end in (stdin, stdout, stderr):
            os.close(end)
        self.out = open(self.stdout)  # noqa: SIM115
        self.code: int | None = None

    def send(self, text: str, *, end: bool = False) -> None:
        """Sends text as the asking program."""
        os.write(self.stdin, text.encode())
        if end:
            os.close(self.stdin)

    def events(self, until: str | None = None) -> Iterator[dict[str, Any]]:
        """Its events, up to the first of a kind."""
        for line in self.out:
            event: dict[str, Any] = json.loads(line)
            yield event
            if event["event"] == until:
                return

    def leave(self) -> None:
        """Closes the pipes, as if the asking program had ended."""
        os.close(self.stdin)
        self.out.close()

    def wait(self) -> int:
        """Waits for the end, and returns the exit code."""
        if self.code is None:
            self.code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.code

    def talk(self) -> str:
        """Its messages on standard error, once it has ended."""
        with open(self.stderr) as file:
            return file.read()


def eventually(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Waits until the condition holds, and returns whether it does."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


INTENTS = (Intent(GPU, "vfio-pci"), Intent(SOUND, "vfio-pci"))
LONG = 600.0
"""Seconds; no test waits this long."""


def request_for(tree: ReactingTree, **terms: object) -> Request:
    host = load(tree.root)
    plan = plan_intents(host, INTENTS, model_for(host.kernel))
    return request_of(plan, INTENTS)._replace(**terms)  # type: ignore[arg-type]


def request_to_json(request: Request) -> str:
    """The request as the asking program sends it, without the end of the line."""
    return to_line(request).decode().rstrip()


def journal_of(tree: ReactingTree) -> Path:
    return Path(tree.root).parent / "state/journal"


def driver_of(tree: ReactingTree) -> str | None:
    return load(tree.root).devices[GPU].driver


def processes_of(pid: int) -> list[int]:
    """A process and all its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(below for child in children for below in processes_of(int(child)))]
