"""A plain command line is read without argparse, and means what argparse would say."""

import pytest

from iommutui.cli import listing
from iommutui.cli.parser import COMMANDS, Options, command_parser, parse, screen_parser

LIST = next(command for command in COMMANDS if command.name == "list")


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--json"],
        ["group:17", "!nvidia"],
        ["--from", "machine.json", "viable:no", "--json"],
        ["a word", "--model", "dma-hint", "--kernel", "5.10", "--demo"],
        ["--from", "one", "--from", "two"],
        ["--from", ""],
        ["--from=machine.json"],
        ["--mod", "dma-hint"],
        ["--from", "-"],
        ["--", "word"],
    ],
)
def test_a_listing_is_understood_as_argparse_does(words: list[str]) -> None:
    _, found = parse(["list", *words])
    assert found == command_parser(LIST, listing).parse_args(words, Options())


@pytest.mark.parametrize("words", [[], ["--demo"], ["--from", "machine.json", "--kernel", "6.1"], ["--kernel=6.1"]])
def test_the_screen_is_asked_for_as_argparse_does(words: list[str]) -> None:
    _, found = parse(words)
    assert found == screen_parser().parse_args(words, Options())


@pytest.mark.parametrize(
    "words",
    [["list", "--from"], ["list", "--from", "--json"], ["list", "a", "--demo", "b"], ["list", "-x"], ["--json"]],
)
def test_what_is_not_understood_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse(words)
    assert end.value.code == 2
    assert "--help' shows what can be said" in capsys.readouterr().err
