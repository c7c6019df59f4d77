"""From the command line to a command's function and its options. Only the command that is run is imported."""

import os
import sys
from collections.abc import Callable, Sequence
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Options(SimpleNamespace):
    """What a command line says, by the names of its options."""


Run = Callable[[Options], int]


class Command(NamedTuple):
    """One entry of the registry: the module holds ``add_arguments(parser)`` and ``run(options)``."""

    name: str
    module: str
    help: str
    examples: tuple[str, ...] = ()
    """Words that may stand behind the name; all but those of apply, keep and revert are good for ``--demo`` too."""
    words: str | None = None
    """The option that holds every word, of a command that takes nothing else but ``--json`` and which machine it is."""


COMMANDS: tuple[Command, ...] = (
    Command(
        "list",
        "listing",
        "list the IOMMU groups and their devices",
        ("group:17", "driver:nouveau --json"),
        words="filter",
    ),
    Command(
        "why",
        "why",
        "say why a group can be handed to a virtual machine, or what stands in the way",
        ("17", "09:00.0 --all-models"),
    ),
    Command(
        "preview",
        "preview",
        "show what rebinding devices would do; nothing is written",
        ("09:00.0=vfio-pci 09:00.1=none",),
    ),
    Command(
        "simulate",
        "simulate",
        "run the kernel's own events through the engine, JSON lines in and out",
        ("events.jsonl",),
    ),
    Command(
        "plan",
        "plan",
        "find the rebinds that free a card, a group or devices, and write them down for apply",
        ("--card 09:00.0 -o gpu.json", "--group 17"),
    ),
    Command(
        "apply",
        "apply",
        "rebind devices on this machine, after a review",
        ("09:00.0=vfio-pci 09:00.1=vfio-pci", "gpu.json --keep-within 30"),
    ),
    Command("keep", "keep", "keep what an apply is about to take back", ("",)),
    Command("revert", "revert", "take an apply back", ("", "20261122T104501-1a2b")),
    Command("journal", "journal", "list what was applied", ("", "20261122T104501-1a2b")),
    Command("snapshot", "snapshot", "write this machine to a file that opens anywhere", ("-o machine.json",)),
    Command("models", "models", "the models of the kernel's rules", ("--json",)),
)

_WITH_VALUE = ("--from", "--kernel", "--model")


def parse(argv: Sequence[str]) -> tuple[Run, Options]:
    """The command to run and its options; prints help or a usage error and exits by itself."""
    name, rest = _split(argv)
    if name is None:
        options = plain_options(rest, _MACHINE)
        if options is None:
            from iommutui.cli.parser import screen_parser

            options = screen_parser().parse_args(rest, Options())
        return _open_screen, options
    command = next((c for c in COMMANDS if c.name == name), None)
    if command is None:
        from iommutui.cli.parser import meant, screen_parser

        screen_parser().error(f"there is no command {name!r}{meant(name)}")
    module = _module(command)
    options = None if command.words is None else plain_options(rest, _MACHINE | _JSON, command.words)
    if options is None:
        from iommutui.cli.parser import command_parser

        options = command_parser(command, module).parse_args(rest, Options())
    run: Run = module.run
    return run, options


def _module(command: Command) -> ModuleType:
    """As ``importlib.import_module`` does, which is a module of its own to import."""
    return __import__(f"iommutui.cli.{command.module}", fromlist=[command.module])


_MACHINE = {
    "--from": ("source", None),
    "--demo": ("demo", False),
    "--kernel": ("kernel", None),
    "--model": ("model", None),
}
_JSON = {"--json": ("json", False)}


def plain_options(
    argv: Sequence[str], known: dict[str, tuple[str, bool | None]], words: str | None = None
) -> Options | None:
    """What argparse makes of a plain command line; None where it takes argparse to understand or to refuse it.

    ``known`` has each option's name and what it is when absent, None for one with a value. Importing argparse and
    asking it takes a tenth of the listing of a whole machine.
    """
    found: dict[str, object] = dict(known.values())
    rest: list[str] = []
    places: list[int] = []
    left = iter(enumerate(argv))
    for place, word in left:
        if word in known:
            name, default = known[word]
            _, value = (place, True) if default is False else next(left, (place, "-"))
            if isinstance(value, str) and value.startswith("-"):
                return None
            found[name] = value
        elif words is None or word.startswith("-"):
            return None
        else:
            rest.append(word)
            places.append(place)
    if places and places[-1] - places[0] >= len(places):
        return None  # words on both sides of an option
    if words is not None:
        found[words] = rest
    return Options(**found)


def _split(argv: Sequence[str]) -> tuple[str | None, list[str]]:
    """The command's name and the other words; options may stand before the command or after it."""
    skip = False
    for number, word in enumerate(argv):
        if skip:
            skip = False
        elif word in _WITH_VALUE:
            skip = True
        elif not word.startswith("-"):
            return word, [*argv[:number], *argv[number + 1 :]]
        elif word == "--":
            break
    return None, list(argv)


def _open_screen(options: Options) -> int:
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM") == "dumb":
        from iommutui.cli.list import run

        options.json, options.filter = False, []
        return run(options)
    from iommutui.cli.options import check_source
    from iommutui.settings import read_config, take_effect
    from iommutui.tui import run as run_screen

    check_source(options)
    take_effect(read_config())

    return run_screen(options.source, demo=options.demo, kernel=options.kernel, model=options.model)


def add_source(parser: "ArgumentParser") -> None:
    """The options that every command takes: which machine, which kernel, which model."""
    parser.add_argument(
        "--from",
        dest="source",
        metavar="PATH",
        help="a snapshot, '-' for one on standard input, or a directory with a recorded sysfs (default: this machine)",
    )
    parser.add_argument("--demo", action="store_true", help="a built-in machine, on which nothing is real")
    parser.add_argument("--kernel", metavar="RELEASE", help="take the kernel to be this release (5.10, 6.12.1-amd64)")
    parser.add_argument("--model", metavar="NAME", help="the rules to use ('iommutui models' lists them)")


def add_json(parser: "ArgumentParser") -> None:
    """``--json``, which every reading command takes."""
    parser.add_argument("--json", action="store_true", help="print one JSON document")
