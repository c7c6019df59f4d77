"""The command line: the commands, and their parsers.

The options that name the machine may come before or after the command. Only the module of the command that runs is
imported.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from types import SimpleNamespace
from typing import Any, NamedTuple, NoReturn

from iommutui import __version__
from iommutui.core.errors import Exit


class Options(SimpleNamespace):
    """The parsed options by name: those common to all commands, and the command's own."""

    source: list[str] | None
    demo: bool
    kernels: list[str] | None
    model: str | None

    @property
    def kernel(self) -> str | None:
        """The last of ``kernels``; only `diff` uses more."""
        return self.kernels[-1] if self.kernels else None


Run = Callable[[Options], int]

_DOCUMENT, _EVENTS = "print one JSON document", "print what happens as JSON events, one per line"


class Command(NamedTuple):
    """An entry of the registry: ``cli/NAME.py`` has ``run``, and ``add_arguments`` for its own options.

    If two commands share a ``module``, the second has ``run_NAME`` and ``add_arguments_NAME`` there.
    """

    name: str
    help: str
    examples: tuple[str, ...]
    """Arguments for the command; ``--demo`` works with all of them but those of apply, keep and revert."""
    json: str = _DOCUMENT
    """The help of ``--json``; empty for a command without it."""
    module: str = ""

    def function(self, name: str) -> Any:
        """``run`` or ``add_arguments`` of the command's module; None if it has none."""
        module = import_module(f"iommutui.cli.{self.module or self.name}")
        return getattr(module, f"{name}_{self.name}" if self.module else name, None)


COMMANDS: tuple[Command, ...] = (
    Command("list", "list the IOMMU groups and their devices", ("group:17", "driver:nouveau --json")),
    Command("why", "explain why a virtual machine can have a group, or why not", ("17", "09:00.0 --all-models")),
    Command("preview", "show what rebinding devices would do", ("09:00.0=vfio-pci 09:00.1=none",), module="plan"),
    Command("simulate", "simulate kernel events: JSON lines in, JSON lines out", ("events.jsonl",), ""),
    Command("plan", "find the rebinds that free a card or a group", ("--card 09:00.0 -o gpu.json", "--group 17")),
    Command("apply", "rebind devices, after a review", ("09:00.0=vfio-pci", "gpu.json --keep-within 30"), _EVENTS),
    Command("export", "print a plan for libvirt, QEMU or another program", ("libvirt --card 09:00.0", "")),
    Command(
        "persist",
        "bind devices at every boot, before any host driver loads",
        ("09:00.0=vfio-pci 09:00.1=vfio-pci", "gpu.json", "--list"),
        f"{_EVENTS}; with --list one JSON document",
    ),
    Command("unpersist", "remove persistent bindings", ("", "09:00.0", "--last"), _EVENTS, "persist"),
    Command("keep", "confirm an apply that would otherwise revert automatically", ("",), ""),
    Command("revert", "revert an apply", ("", "20261122T104501-1a2b"), _EVENTS, "apply"),
    Command("journal", "list what was applied", ("", "20261122T104501-1a2b")),
    Command("snapshot", "save this machine to a file that can be opened anywhere", ("-o machine.json",), ""),
    Command("report", "print a redacted report to share when you ask for help", ("09:00.0", "-o report.md")),
    Command("diff", "compare two machines, or one under two kernels", ("a.json b.json", "--kernel 5.15 --kernel 6.8")),
    Command("doctor", "check what the program and passthrough need from this system", ("", "--json")),
    Command("models", "describe the models of kernel rules", ("--json",)),
)

SCREEN = Command("screen", "open the screen", (), "")
"""Without the name of a command."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence and a pointer to the help."""

    def __init__(self, prog: str, description: str, epilog: str, usage: str | None = None) -> None:
        super().__init__(prog, usage, description, epilog, allow_abbrev=False, formatter_class=_formatter)

    def error(self, message: str) -> NoReturn:
        """Ends the program with the exit code of a usage error."""
        self.print_usage(sys.stderr)
        print(f"iommutui: {message}{'' if message.endswith('?') else '.'}", file=sys.stderr)
        print(f"See '{self.prog} --help'.", file=sys.stderr)
        sys.exit(Exit.USAGE)


def version_line() -> str:
    """``iommutui 0.2.0 (Python 3.11.7, Textual 8.2.3, Linux 6.1.0-13-amd64)``."""
    import platform
    from importlib.metadata import version

    kernel = f"{platform.system()} {platform.release()}"
    return f"iommutui {__version__} (Python {platform.python_version()}, Textual {version('textual')}, {kernel})"


def parse(argv: Sequence[str]) -> tuple[Run, Options]:
    """The command to run and its options; prints help or a usage error and exits if need be."""
    source = argparse.ArgumentParser(
        add_help=False, allow_abbrev=False, exit_on_error=False, formatter_class=_formatter
    )
    add_source(source)
    options = Options()
    try:
        _, words = source.parse_known_args(argv, options)
    except argparse.ArgumentError as error:
        command_parser(SCREEN).error(str(error))
    command, name = SCREEN, next((word for word in words if not word.startswith("-")), None)
    if name is not None:
        words.remove(name)
        found = next((each for each in COMMANDS if each.name == name), None)
        command = found or command_parser(SCREEN).error(f"unknown command {name!r}{_meant(name)}")
    return command.function("run"), command_parser(command).parse_args(words, options)


def command_parser(command: Command) -> Parser:
    """The parser of a command, whose module adds its own options; that of the screen has the help of the program."""
    if command is SCREEN:
        parser = _program()
    else:
        examples = "".join(f"\n  iommutui {command.name} {words}".rstrip() for words in command.examples)
        description = f"{command.help[0].upper()}{command.help[1:]}."
        parser = Parser(f"iommutui {command.name}", description, f"examples:{examples}")
    add_arguments = command.function("add_arguments")
    if add_arguments is not None:
        add_arguments(parser)
    if command.json:
        parser.add_argument("--json", action="store_true", help=command.json)
    add_source(parser)
    return parser


def _program() -> Parser:
    commands = "\n".join(f"  {command.name:9}  {command.help}" for command in COMMANDS)
    codes = "\n".join(f"  {int(code)}  {code.meaning}" for code in Exit)
    return Parser(
        "iommutui",
        "Explore IOMMU groups, see why one is not viable, and rebind its devices.\n"
        "Without a command, it opens the screen, or prints the listing if there is no terminal.",
        f"commands:\n{commands}\n\n'iommutui COMMAND --help' describes a command.\n\nexit codes:\n{codes}",
        "iommutui [--from PATH | --demo] [--kernel RELEASE] [--model NAME] [COMMAND ...]",
    )


def add_source(parser: argparse.ArgumentParser) -> None:
    """The options that every command takes: which machine, which kernel, which model."""
    path = (
        "read a snapshot, a pasted listing (several are combined; FILE#2 is the second state in a file), a recorded "
        "sysfs as a directory or tar archive, or '-' for standard input (default: this machine)"
    )
    parser.add_argument("--from", dest="source", action="append", metavar="PATH", help=path)
    parser.add_argument("--demo", action="store_true", help="use a built-in example machine")
    release = "assume this kernel release (5.10, 6.12.1-amd64)"
    parser.add_argument("--kernel", dest="kernels", action="append", metavar="RELEASE", help=release)
    parser.add_argument("--model", metavar="NAME", help="use these rules ('iommutui models' lists them)")


def _meant(name: str) -> str:
    """A suggestion for a command that does not exist."""
    if os.path.exists(name):
        return f"; '--from {name}' opens a recorded machine"
    import difflib

    near = difflib.get_close_matches(name, [command.name for command in COMMANDS], n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _formatter(prog: str) -> argparse.HelpFormatter:
    """Every ``add_argument`` makes a formatter, which without a width would import `shutil` to find one."""
    return argparse.RawDescriptionHelpFormatter(prog, width=_width())


def _width() -> int:
    try:
        return min(max(os.get_terminal_size().columns, 40), 100) - 2
    except OSError:
        return 78
