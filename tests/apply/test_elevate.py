"""Becoming root: which program is chosen, the command that it starts, and what its silence means."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from iommutui.apply.elevation import Applying, as_root, own_program, root_program
from iommutui.apply.events import LINE_LIMIT
from iommutui.apply.persistence import SCHEMA as PERSIST_SCHEMA
from iommutui.apply.persistence import PersistRequest, parse_persist_request
from iommutui.apply.request import SCHEMA, Request, Shown, parse_request
from iommutui.core.errors import Exit, IommutuiError, NotPermittedError
from iommutui.core.plan.drift import Basis
from iommutui.core.plan.intents import Intent
from tests.apply.machines import GPU

REQUEST = Request(SCHEMA, (Intent(GPU, "vfio-pci"),), Basis("6.12.0", ()), "dma-owner", Shown((), ()))


@pytest.mark.parametrize(
    ("there", "found"),
    [
        (("sudo", "pkexec", "run0"), "/x/sudo"),
        (("run0", "pkexec"), "/x/pkexec"),
        (("run0",), "/x/run0"),
        (("doas",), None),
        ((), None),
    ],
)
def test_the_first_installed_program_is_chosen(
    there: tuple[str, ...], found: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(shutil, "which", lambda name: f"/x/{name}" if name in there else None)
    assert root_program() == found


def test_root_needs_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert root_program() == ""
    assert as_root(["apply", "--stdin"], ["p"], "") == ["p", "apply", "--stdin"]


def test_without_a_program_to_become_root_an_error_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotPermittedError, match="none of sudo, pkexec and run0"):
        as_root(["x"], ["p"], None)


def test_the_interpreter_runs_isolated_and_by_its_absolute_path() -> None:
    program = own_program()
    assert os.path.isabs(program[0])
    assert program == [sys.executable, "-I", "-m", "iommutui"]


def _player(tmp_path: Path, text: str) -> list[str]:
    """A program that saves its first line of input, prints this text, and then saves the rest of its input."""
    script = tmp_path / "player.py"
    script.write_text(
        "import sys\n"
        f"open({str(tmp_path / 'sent')!r}, 'w').write(sys.stdin.readline())\n"
        f"sys.stdout.write({text!r})\n"
        "sys.stdout.flush()\n"
        "words = [line.strip() for line in sys.stdin]\n"
        f"open({str(tmp_path / 'words')!r}, 'w').write(' '.join(words))\n"
        "sys.exit(7)\n"
    )
    return [sys.executable, str(script)]


DONE = '{"event":"finished","exit":0,"summary":"Done.","left":[]}\n'


def test_only_the_request_is_sent_over_standard_input(tmp_path: Path) -> None:
    applying = Applying(REQUEST, _player(tmp_path, DONE), "")
    assert GPU not in " ".join(applying.command)
    assert [type(event).__name__ for event in applying.events()] == ["Finished"]
    assert parse_request((tmp_path / "sent").read_text()) == REQUEST
    assert (tmp_path / "words").read_text() == ""


def test_a_request_to_persist_is_sent_in_the_same_way(tmp_path: Path) -> None:
    request = PersistRequest(PERSIST_SCHEMA, forget_all=True)
    applying = Applying(request, _player(tmp_path, DONE), "", command="persist")
    assert applying.command[-2:] == ["persist", "--stdin"]
    assert [type(event).__name__ for event in applying.events()] == ["Finished"]
    assert parse_persist_request((tmp_path / "sent").read_text()) == request


def test_answers_reach_the_applying_process_during_the_countdown(tmp_path: Path) -> None:
    counting = '{"event":"counting","seconds":5.0,"within":5.0}\n'
    applying = Applying(REQUEST._replace(keep_within=5.0), _player(tmp_path, counting + DONE), "", answered=True)
    events = applying.events()
    next(events)
    applying.keep()
    applying.undo()
    next(events)
    applying._hang_up()
    assert list(events) == []
    assert (tmp_path / "words").read_text() == "keep undo"


def test_silence_means_that_it_did_not_become_root(tmp_path: Path) -> None:
    applying = Applying(REQUEST, _player(tmp_path, ""), "")
    with pytest.raises(NotPermittedError, match="printed nothing") as caught:
        list(applying.events())
    assert caught.value.exit_code is Exit.PERMISSION


def test_an_exit_without_a_last_event_is_reported(tmp_path: Path) -> None:
    applying = Applying(REQUEST, _player(tmp_path, '{"event":"started","journal_id":"j","steps":1}\n'), "")
    with pytest.raises(IommutuiError, match="before it had finished"):
        list(applying.events())


@pytest.mark.parametrize("text", ["nonsense\n", '{"event":"boom"}\n', "x" * (LINE_LIMIT + 10), "\x00\n"])
def test_hostile_events_are_an_error(tmp_path: Path, text: str) -> None:
    applying = Applying(REQUEST, _player(tmp_path, text), "")
    with pytest.raises(IommutuiError, match="The output of the applying process"):
        list(applying.events())
    applying._process.stdout.close()  # type: ignore[union-attr]
    applying._process.wait()


def test_a_missing_program_is_an_error() -> None:
    with pytest.raises(IommutuiError, match="does not start"):
        Applying(REQUEST, ["/no/such/program"], "")
