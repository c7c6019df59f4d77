"""The trace for bug reports."""

import os
import subprocess
import sys
from pathlib import Path

from tests.test_architecture import imported


def _list(**environment: str) -> "subprocess.CompletedProcess[str]":
    words = [sys.executable, "-m", "iommutui", "list", "--demo"]
    return subprocess.run(words, env=os.environ | environment, capture_output=True, text=True, check=True)


def test_without_a_trace_nothing_is_written_or_imported() -> None:
    assert _list(IOMMUTUI_DEBUG="").stderr == ""
    assert imported("from iommutui.cli import main\nmain(['list', '--demo'])", ("logging",)) == ""


def test_the_trace_goes_to_standard_error_or_to_a_file(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "bus/pci/devices").mkdir(parents=True)
    words = [sys.executable, "-m", "iommutui", "list", "--from", str(tree)]
    seen = subprocess.run(words, env=os.environ | {"IOMMUTUI_DEBUG": "1"}, capture_output=True, text=True, check=False)
    assert f"scan: {tree}" in seen.stderr
    place = tmp_path / "trace"
    place.write_text("before\n")
    quiet = subprocess.run(
        words, env=os.environ | {"IOMMUTUI_DEBUG": str(place)}, capture_output=True, text=True, check=False
    )
    assert "scan:" not in quiet.stderr
    assert place.read_text().startswith("before\n")
    assert f"scan: {tree}" in place.read_text()


def test_an_unread_trace_does_not_block_the_program() -> None:
    """A full pipe on standard error."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        while True:
            os.write(writing, b"x" * 4096)
    except BlockingIOError:
        os.set_blocking(writing, True)
    words = [sys.executable, "-c", "from iommutui import debug\ndebug.log('x' * 5000)\nprint('done')"]
    environment = os.environ | {"IOMMUTUI_DEBUG": "1"}
    ended = subprocess.run(words, env=environment, stdout=subprocess.PIPE, stderr=writing, text=True, check=False)
    assert ended.stdout == "done\n"
    os.close(reading)
    os.close(writing)
