"""The command line: options that choose the machine may stand anywhere, and mistakes are named."""

import pytest

from iommutui.cli.parser import COMMANDS, command_parser, parse


def test_the_machine_may_be_named_before_or_after_the_command() -> None:
    (before, first), (after, second) = parse(["--demo", "list", "group:17"]), parse(["list", "group:17", "--demo"])
    assert before is after
    assert first == second
    assert (first.demo, first.source, first.filter) == (True, None, ["group:17"])


def test_arguments_around_an_option_keep_their_order() -> None:
    _, options = parse(["list", "group:17", "--kernel", "5.10", "!nvidia", "--json"])
    assert (options.filter, options.kernel, options.json) == (["group:17", "!nvidia"], "5.10", True)


def test_an_option_value_that_equals_a_command_is_still_a_value() -> None:
    _, options = parse(["--from", "list", "why", "17"])
    assert options.source == ["list"]


def test_an_option_value_may_contain_spaces_and_punctuation() -> None:
    _, options = parse(["why", "--error", "VFIO_MAP_DMA failed: Invalid argument"])
    assert options.error == "VFIO_MAP_DMA failed: Invalid argument"


@pytest.mark.parametrize(
    "words",
    [["list", "--from"], ["list", "--from", "--json"], ["list", "-x"], ["--json"], ["list", "--fro", "x"]],
)
def test_unknown_arguments_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse(words)
    assert end.value.code == 2
    assert "--help'" in capsys.readouterr().err


def test_a_misspelt_command_gets_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse(["lsit"])
    assert end.value.code == 2
    assert "unknown command 'lsit'; did you mean 'list'?\n" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_has_help_and_an_example(command: object) -> None:
    found = next(entry for entry in COMMANDS if entry is command)
    text = command_parser(found).format_help()
    assert f"iommutui {found.name}" in text
    assert "examples:" in text
