"""A user who is not root applies: sudo makes another process root, for the writes only."""

import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from . import pci
from .program import NOBODY, READS_ALL, Run, command
from .terminal import Terminal

pytestmark = pytest.mark.skipif(os.environ.get("IOMMUTUI_GUEST") != "gpu", reason="needs the topology gpu")

LONE = "0000:00:05.0"
SECRET = "correct horse"


@pytest.fixture
def journals() -> Iterator[None]:
    """The machine's own journals, removed afterwards."""
    yield
    shutil.rmtree("/var/lib/iommutui", ignore_errors=True)


@pytest.fixture
def user(journals: None) -> Iterator[list[str]]:
    """Run a program as a user with a stand-in for ``sudo`` that asks for no password."""
    place = Path("/run/iommutui-test")
    place.mkdir(mode=0o755)
    helper = place / "become"
    setpriv = shutil.which("setpriv")
    assert setpriv is not None
    shutil.copy(setpriv, helper)
    helper.chmod(0o4755)
    (place / "sudo").write_text(f'#!/bin/sh\nexec {helper} --reuid=0 --regid=0 --clear-groups -- env -i "$@"\n')
    (place / "sudo").chmod(0o755)
    yield [*NOBODY, "env", "-u", "IOMMUTUI_STATE_DIR", f"PATH={place}:{os.environ['PATH']}"]
    shutil.rmtree(place)


@pytest.fixture
def sudoer(journals: None) -> Iterator[list[str]]:
    """Run a program as a user who may use ``sudo`` with a password."""
    subprocess.run(["useradd", "-m", "sam"], check=True)
    subprocess.run(["chpasswd"], input=f"sam:{SECRET}\n", text=True, check=True)
    rule = Path("/etc/sudoers.d/sam")
    rule.write_text("sam ALL=(root) ALL\n")
    rule.chmod(0o440)
    yield ["setpriv", "--reuid=sam", "--regid=sam", "--init-groups", *READS_ALL, "env", "-u", "IOMMUTUI_STATE_DIR"]
    rule.unlink()
    subprocess.run(["userdel", "-r", "sam"], check=True, capture_output=True)


def test_sudo_asks_for_a_password_at_the_terminal(restored: pci.State, sudoer: list[str]) -> None:
    words = [*sudoer, *command("apply", f"{LONE}=vfio-pci", "--yes")]
    terminal = Terminal(["sh", "-c", f"{shlex.join(words)}; echo ended with $?; sleep 600"])
    try:
        terminal.wait("password for sam")
        assert pci.State.now() == restored
        terminal.press("-l", "wrong")
        terminal.press("Enter")
        terminal.wait("Sorry, try again")
        assert pci.State.now() == restored
        terminal.press("-l", SECRET)
        terminal.press("Enter")
        text = terminal.wait("ended with")
    finally:
        terminal.close()
    assert "ended with 0" in text
    assert SECRET not in text
    assert pci.driver(LONE) == "vfio-pci"


def test_an_unanswered_sudo_changes_nothing(restored: pci.State, sudoer: list[str]) -> None:
    words = [*sudoer, *command("apply", f"{LONE}=vfio-pci", "--yes")]
    terminal = Terminal(["sh", "-c", f"trap : INT; {shlex.join(words)}; echo ended with $?; sleep 600"])
    try:
        terminal.wait("password for sam")
        terminal.press("C-c")
        text = terminal.wait("ended with")
    finally:
        terminal.close()
    assert "ended with 4" in text
    assert "Nothing was written" in text
    assert pci.State.now() == restored


def test_a_user_applies_and_reverts_through_sudo(iommutui: Run, restored: pci.State, user: list[str]) -> None:
    applied = iommutui("apply", f"{LONE}=vfio-pci", "--yes", prefix=user)
    assert applied.code == 0, applied.out + applied.err
    assert pci.driver(LONE) == "vfio-pci"
    assert "in effect" in iommutui("journal", prefix=user).out
    reverted = iommutui("revert", "--yes", prefix=user)
    assert reverted.code == 0, reverted.out + reverted.err
    assert pci.State.now() == restored


def test_a_claim_that_only_root_can_see_is_refused_not_reported_as_drift(
    iommutui: Run, restored: pci.State, user: list[str], vfio_hold: Callable[..., dict[str, Any]]
) -> None:
    pci.bind(LONE, "vfio-pci")
    number = pci.group(LONE)
    assert pci.wait_for(Path(f"/dev/vfio/{number}").exists)
    vfio_hold(number, "--devices")
    refused = iommutui("apply", f"{LONE}=default", "--yes", prefix=user)
    assert refused.code == 3, refused.out + refused.err
    assert "in use" in refused.err
    assert "not as it was" not in refused.err
    assert pci.driver(LONE) == "vfio-pci"
