"""The settings file."""

import subprocess
import sys
from pathlib import Path

import pytest

from iommutui.core.drivers import Role
from iommutui.core.errors import IommutuiError
from iommutui.settings import Config, config_path, read_config
from iommutui.tui.commands import BY_ID
from iommutui.tui.keys import keys_of, use_keys


def write(folder: Path, text: str) -> str:
    path = folder / "config.toml"
    path.write_text(text)
    return str(path)


def test_without_a_file_nothing_is_set(tmp_path: Path) -> None:
    assert read_config(str(tmp_path / "config.toml")) == Config()


def test_the_place_follows_the_standard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/somewhere")
    assert config_path() == "/somewhere/iommutui/config.toml"


def test_roles_of_drivers(tmp_path: Path) -> None:
    path = write(tmp_path, '[drivers]\nfancy = "user"\nquiet = "none"\n')
    assert read_config(path).drivers == {"fancy": Role.USER, "quiet": Role.NONE}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[drivers", "not TOML"),
        ("colour = 1", "no setting 'colour'"),
        ("drivers = 3", "has to be a table"),
        ("keys = 3", "'keys' has to be a table"),
        ("[keys]\napply = 9", "line 2: keys.apply has to be text"),
        ("[keys]\napply = ['a']", "line 2: keys.apply has to be text"),
        ("screen = 3", "'screen' has to be a table"),
        ("[screen]\ncolour = 'red'", "line 2: there is no setting screen.colour"),
        ("[screen]\ntheme = 3", "line 2: screen.theme has to be text"),
        ('[drivers]\nx = "guest"', "drivers.x has the role 'guest'"),
        ("[drivers]\nx = [1]", "drivers.x has the role"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = write(tmp_path, text)
    (error,) = read_config(path).wrong
    assert said in error.what
    assert path in error.what
    assert error.remedy


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"aply": "f9"}, "there is no command 'aply'"),
        ({"apply": " , "}, "apply has no key left"),
        ({"apply": "Tab"}, "Tab cannot be given to apply"),
        ({"apply": "q"}, "q would be the key of both"),
        ({"apply": "f9", "quit": "f9"}, "f9 would be the key of both"),
        ({"apply": "!", "quit": "exclamation_mark"}, "! would be the key of both"),
        ({"apply": "alt+ctrl+x", "quit": "Ctrl+Alt+x"}, "alt+ctrl+x would be the key of both"),
        ({"fix": "ctrl+shift+zz"}, "there is no key 'ctrl+shift+zz' for fix"),
        ({"apply": "a f99", "fix": "ctl+x"}, "'f99' for apply; there is no key 'ctl+x' for fix"),
        ({"aply": "f9", "fix": "zz"}, "there is no command 'aply'; there is no key 'zz'"),
    ],
)
def test_keys_that_do_not_work_out_are_named(chosen: dict[str, str], said: str) -> None:
    with pytest.raises(IommutuiError) as caught:
        use_keys(chosen)
    assert said in caught.value.what
    assert config_path() in caught.value.remedy
    assert "apply" in caught.value.remedy
    assert keys_of("apply") == BY_ID["apply"].keys


@pytest.mark.parametrize(("role", "viable"), [("user", "viable"), ("none", "viable"), ("kernel", "blocked")])
def test_a_declared_driver_counts_in_the_verdict(tmp_path: Path, role: str, viable: str) -> None:
    """In a process of its own, because settings are in force for a whole program."""
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
