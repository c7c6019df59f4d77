"""From the command line to a command's function and its options. Only the command that is run is imported."""

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple, NoReturn

from iommutui import __version__
from iommutui.core.errors import Exit

Run = Callable[[argparse.Namespace], int]


class Command(NamedTuple):
    """One entry of the registry: the module holds ``add_arguments(parser)`` and ``run(options)``."""

    name: str
    module: str
    help: str
    examples: tuple[str, ...] = ()
    """Words that may stand behind the name; all but those of apply, keep and revert are good for ``--demo`` too."""


COMMANDS: tuple[Command, ...] = (
    Command("list", "listing", "list the IOMMU groups and their devices", ("group:17", "driver:nouveau --json")),
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


def _formatter(prog: str) -> argparse.HelpFormatter:
    """Help as wide as the terminal. Left to itself, argparse imports shutil to find that out, even without help."""
    return argparse.RawDescriptionHelpFormatter(prog, width=min(_columns(), 100) - 2)


def _columns() -> int:
    try:
        return max(os.get_terminal_size().columns, 40)
    except OSError:
        return 80


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        print(f"iommutui: {message}.", file=sys.stderr)
        print(f"'{self.prog} --help' shows what can be said.", file=sys.stderr)
        sys.exit(Exit.USAGE)


def parse(argv: Sequence[str]) -> tuple[Run, argparse.Namespace]:
    """The command to run and its options; prints help or a usage error and exits by itself."""
    name, rest = _split(argv)
    if name is None:
        parser = _screen_parser()
        return _open_screen, parser.parse_args(rest)
    command = next((c for c in COMMANDS if c.name == name), None)
    if command is None:
        _screen_parser().error(f"there is no command {name!r}{_meant(name)}")
    module = importlib.import_module(f"iommutui.cli.{command.module}")
    parser = _Parser(
        prog=f"iommutui {name}",
        description=command.help[0].upper() + command.help[1:] + ".",
        epilog="\n".join(("examples:", *(f"  iommutui {name} {words}".rstrip() for words in command.examples))),
        formatter_class=_formatter,
    )
    module.add_arguments(parser)
    run: Run = module.run
    return run, parser.parse_args(rest)


def _meant(name: str) -> str:
    """What somebody who writes this may have in mind."""
    if os.path.exists(name):
        return f"; '--from {name}' opens a machine that was recorded"
    import difflib

    near = difflib.get_close_matches(name, [command.name for command in COMMANDS], n=1)
    return f"; is it {near[0]!r}?" if near else ""


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


def _screen_parser() -> _Parser:
    width = max(len(command.name) for command in COMMANDS)
    lines = "\n".join(f"  {command.name:{width}}  {command.help}" for command in COMMANDS)
    parser = _Parser(
        prog="iommutui",
        usage="iommutui [--from PATH | --demo] [--kernel RELEASE] [--model NAME] [COMMAND ...]",
        description="Explore IOMMU groups, see why one is not viable, and rebind its devices. Without a command, "
        "the screen opens (or, with no terminal, the listing is printed).",
        epilog=f"commands:\n{lines}\n\n'iommutui COMMAND --help' says more.\n\n"
        "exit codes: 0 done, 1 error, 2 usage, 3 refused, 4 no permission, 5 failed or not kept, and rolled back, "
        "6 failed and not wholly rolled back",
        formatter_class=_formatter,
    )
    parser.add_argument("--version", action="version", version=f"iommutui {__version__}")
    add_source(parser)
    return parser


def _open_screen(options: argparse.Namespace) -> int:
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM") == "dumb":
        from iommutui.cli.listing import run

        options.json, options.filter = False, []
        return run(options)
    from iommutui.cli.options import check_source
    from iommutui.config import read_config, take_effect
    from iommutui.tui import run as run_screen

    check_source(options)
    take_effect(read_config())

    return run_screen(options.source, demo=options.demo, kernel=options.kernel, model=options.model)


def add_source(parser: argparse.ArgumentParser) -> None:
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


def add_json(parser: argparse.ArgumentParser) -> None:
    """``--json``, which every reading command takes."""
    parser.add_argument("--json", action="store_true", help="print one JSON document")
