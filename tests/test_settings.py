"""The settings file."""

import subprocess
import sys
from pathlib import Path

import pytest

from iommutui.core.drivers import Role
from iommutui.settings import Settings, read_settings, settings_path
from iommutui.tui import keys
from iommutui.tui.commands import BY_ID
from iommutui.tui.keys import keys_of, use_keys


def write(folder: Path, text: str) -> str:
    path = folder / "config.toml"
    path.write_text(text)
    return str(path)


def test_without_a_file_there_are_no_settings(tmp_path: Path) -> None:
    assert read_settings(str(tmp_path / "config.toml")) == Settings()


def test_the_path_follows_the_xdg_specification(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/somewhere")
    assert settings_path() == "/somewhere/iommutui/config.toml"


def test_roles_of_drivers_are_read(tmp_path: Path) -> None:
    path = write(tmp_path, '[drivers]\nfancy = "user"\nquiet = "none"\n')
    assert read_settings(path).drivers == {"fancy": Role.USER, "quiet": Role.NONE}


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("colour = 1", 1, "unknown setting 'colour'"),
        ("drivers = 3", 1, "'drivers' must be a table"),
        ("\nkeys = 3", 2, "'keys' must be a table"),
        ("[keys]\napply = 9", 2, "'apply' in [keys] cannot be 9"),
        ("[keys]\napply = ['a']", 2, "'apply' in [keys] cannot be ['a']"),
        ("screen = 3", 1, "'screen' must be a table"),
        ("[screen]\ncolour = 'red'", 2, "'colour' in [screen] cannot be 'red'"),
        ("screen.colour = 'red'", 1, "'colour' in [screen] cannot be 'red'"),
        ("[keys]\ntheme = 'a'\n[screen]\ntheme = 3", 4, "'theme' in [screen] cannot be 3"),
        ('[drivers]\nx = "guest"', 2, "'x' in [drivers] cannot be 'guest'"),
        ('drivers = {x = "guest"}', 1, "'x' in [drivers] cannot be 'guest'"),
        ("[drivers]\nx = [1]", 2, "'x' in [drivers] cannot be [1]"),
    ],
)
def test_a_mistake_is_named_with_file_line_and_remedy(tmp_path: Path, text: str, line: int, said: str) -> None:
    path = write(tmp_path, text)
    (error,) = read_settings(path).wrong
    assert error.what.startswith(f"{path}, line {line}: ")
    assert said in error.what
    assert error.remedy


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("foo\n", "line 1"),
        ('[drivers]\nx = "user"\n\ny user\n', "line 4"),
        ('[keys]\napply = "f9\n', "line 2"),
        ("[drivers", "end of document"),
    ],
)
def test_what_is_not_toml_is_named_with_its_place(tmp_path: Path, text: str, where: str) -> None:
    path = write(tmp_path, text)
    (error,) = read_settings(path).wrong
    assert path in error.what
    assert where in error.what
    assert error.remedy


def test_every_mistake_is_named_and_the_other_settings_are_used(tmp_path: Path) -> None:
    path = write(
        tmp_path, "[keys]\napply = 9\ncopy = 'c'\n[screen]\ntheme = 3\n[colours]\n[drivers]\nx = 'none'\ny = 1\n"
    )
    settings = read_settings(path)
    assert [error.what.partition(",")[2].partition(":")[0] for error in settings.wrong] == [
        " line 2",
        " line 5",
        " line 6",
        " line 9",
    ]
    assert (settings.keys, settings.theme, settings.drivers) == ({"copy": "c"}, Settings().theme, {"x": Role.NONE})


@pytest.mark.parametrize("content", [b"\xff\xfe", None])
def test_an_unreadable_file_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "config.toml"
    path.mkdir() if content is None else path.write_bytes(content)
    (error,) = read_settings(str(path)).wrong
    assert str(path) in error.what
    assert error.remedy


@pytest.fixture
def _own_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_CHOSEN", {})


@pytest.mark.usefixtures("_own_keys")
@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"aply": "f9"}, "there is no command 'aply'"),
        ({"apply": " , "}, "apply has no key left"),
        ({"apply": "Tab"}, "Tab cannot be given to apply"),
        ({"apply": "q"}, "q is the key of both"),
        ({"apply": "f9", "quit": "f9"}, "f9 is the key of both"),
        ({"apply": "!", "quit": "exclamation_mark"}, "! is the key of both"),
        ({"apply": "alt+ctrl+x", "quit": "Ctrl+Alt+x"}, "alt+ctrl+x is the key of both"),
        ({"fix": "ctrl+shift+zz"}, "there is no key 'ctrl+shift+zz' for fix"),
        ({"apply": "a f99", "fix": "ctl+x"}, "'f99' for apply; there is no key 'ctl+x' for fix"),
        ({"aply": "f9", "fix": "zz"}, "there is no command 'aply'; there is no key 'zz'"),
    ],
)
def test_unusable_keys_are_named(chosen: dict[str, str], said: str) -> None:
    wrong = use_keys(Settings(keys=chosen))
    assert said in "; ".join(error.what.partition(": ")[2].rstrip(".") for error in wrong)
    assert all(error.what.startswith(settings_path()) and "apply" in error.remedy for error in wrong)


@pytest.mark.usefixtures("_own_keys")
def test_valid_keys_beside_a_mistake_are_used_and_the_mistake_has_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, "[keys]\nfree = 'f8'\nquit = 'a'\nfix = 'zz'\n")
    wrong = use_keys(read_settings(path))
    assert [error.what.partition(":")[0] for error in wrong] == [f"{path}, line 4", f"{path}, line 3"]
    assert (keys_of("free"), keys_of("quit")) == (("f8",), BY_ID["quit"].keys)


@pytest.mark.parametrize(("role", "viable"), [("user", "viable"), ("none", "viable"), ("kernel", "blocked")])
def test_a_declared_driver_counts_in_the_verdict(tmp_path: Path, role: str, viable: str) -> None:
    """Runs in its own process, because settings apply to the whole program."""
    folder = tmp_path / "iommutui"
    folder.mkdir()
    write(folder, f'[drivers]\namdgpu = "{role}"\n')
    done = subprocess.run(
        [sys.executable, "-m", "iommutui", "list", "group:15", "--demo"],
        env={"XDG_CONFIG_HOME": str(tmp_path), "PYTHONIOENCODING": "utf-8"},
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert viable in done.stdout.splitlines()[0]
