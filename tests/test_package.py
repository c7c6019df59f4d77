"""The wheel, the manual page and the shell completions."""

import runpy
import shutil
import subprocess
import sys
import zipfile
from argparse import SUPPRESS
from pathlib import Path
from typing import Any

import pytest

from iommutui import __version__
from iommutui.cli.parser import COMMANDS, command_parser

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is installed below ``share``."""
    folder = tmp_path_factory.mktemp("made") / "share"
    generate: dict[str, Any] = runpy.run_path(str(ROOT / "packaging/build_hook.py"))
    generate["write"](folder)
    return folder


def need(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


def output(*command: str, stdin: str = "") -> str:
    done = subprocess.run(
        command, input=stdin, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"}
    )
    assert done.stderr == ""
    return done.stdout


def test_the_wheel_holds_the_program_its_manual_and_completions(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert wheel.name == f"iommutui-{__version__}-py3-none-any.whl"
    data = f"iommutui-{__version__}.data/data/share"
    assert {
        f"{data}/man/man1/iommutui.1",
        f"{data}/bash-completion/completions/iommutui",
        f"{data}/zsh/site-functions/_iommutui",
        f"{data}/fish/vendor_completions.d/iommutui.fish",
        "iommutui/py.typed",
        "iommutui/cli/doctor.py",
    } <= set(names)
    assert not [name for name in names if name.startswith(("tests/", "packaging/", "screenshots/"))]


def test_the_changelog_has_this_version() -> None:
    assert f"\n## {__version__} " in (ROOT / "CHANGELOG.md").read_text()


def test_the_manual_passes_mandoc(share: Path) -> None:
    assert output(need("mandoc"), "-Tlint", str(share / "man/man1/iommutui.1")) == ""


def test_the_manual_names_every_command_and_every_option(share: Path) -> None:
    text = output(need("mandoc"), "-Tutf8", "-Owidth=200", str(share / "man/man1/iommutui.1"))
    plain = "".join(c for i, c in enumerate(text) if c != "\b" and text[i + 1 : i + 2] != "\b")
    for command in COMMANDS:
        assert f"\n   {command.name}\n" in plain
        for action in command_parser(command)._actions:
            assert action.help == SUPPRESS or all(flag in plain for flag in action.option_strings)


def complete_in_bash(share: Path, line: str) -> set[str]:
    script = f"""
        source {share}/bash-completion/completions/iommutui
        ls() {{ echo 0000:01:00.0; }}; command() {{ shift; echo 0000:01:00.0; }}
        COMP_LINE={line!r} COMP_POINT={len(line)}
        _iommutui
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    return set(output(need("bash"), "--norc", "-c", script).split())


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("iommutui wh", {"why"}),
        ("iommutui ", {command.name for command in COMMANDS}),
        ("iommutui why --all", {"--all-models"}),
        ("iommutui --demo list --js", {"--json"}),
        ("iommutui list --model vf", {"vfio-group"}),
        ("iommutui why 0000:01", {"01:00.0"}),  # the part after the last colon of the word
        ("iommutui preview 0000:01:00.0=vf", {"vfio-pci"}),
        ("iommutui plan --card 0000:01", {"01:00.0"}),
        ("iommutui preview 0000:01:00.0=", {"vfio-pci", "pci-stub", "none", "default"}),
        ("iommutui snapshot -o ", set()),  # readline itself completes files
    ],
)
def test_bash_completes(share: Path, line: str, expected: set[str]) -> None:
    assert complete_in_bash(share, line) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("iommutui wh", {"why"}),
        ("iommutui why --all", {"--all-models"}),
        ("iommutui list --model vf", {"vfio-group"}),
    ],
)
def test_fish_completes(share: Path, line: str, expected: set[str]) -> None:
    script = f"source {share}/fish/vendor_completions.d/iommutui.fish; complete -C '{line}'"
    lines = output(need("fish"), "--no-config", "-c", script).splitlines()
    assert {each.partition("\t")[0] for each in lines} == expected


def test_zsh_loads_its_completion(share: Path) -> None:
    script = f"""
        fpath=({share}/zsh/site-functions $fpath)
        autoload -Uz compinit && compinit -u -D
        print $_comps[iommutui]
        autoload +X _iommutui && print loaded
    """
    assert output(need("zsh"), "-f", "-c", script).split() == ["_iommutui", "loaded"]
