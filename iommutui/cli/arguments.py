"""The parsers of the command line: what every command's words may be, its help, and what is said of a mistake."""

import argparse
import os
import sys
from types import ModuleType
from typing import NoReturn

from iommutui import __version__
from iommutui.cli.parser import COMMANDS, Command, add_source
from iommutui.core.errors import Exit


def _formatter(prog: str) -> argparse.HelpFormatter:
    """Help as wide as the terminal. Left to itself, argparse imports shutil to find that out, even without help."""
    return argparse.RawDescriptionHelpFormatter(prog, width=min(_columns(), 100) - 2)


def _wrapped(text: str, hang: int = 0) -> str:
    """The formatter leaves what stands around the options as it is, because most of it is lists."""
    from textwrap import fill

    return fill(text, min(_columns(), 100) - 2, subsequent_indent=" " * hang)


def _columns() -> int:
    try:
        return max(os.get_terminal_size().columns, 40)
    except OSError:
        return 80


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence, and where to read on."""

    def error(self, message: str) -> NoReturn:
        """Ends the program as the exit codes have it."""
        self.print_usage(sys.stderr)
        print(f"iommutui: {message}.", file=sys.stderr)
        print(f"'{self.prog} --help' shows what can be said.", file=sys.stderr)
        sys.exit(Exit.USAGE)


def command_parser(command: Command, module: ModuleType) -> Parser:
    """The parser of a command, whose module adds its own options."""
    parser = Parser(
        prog=f"iommutui {command.name}",
        description=_wrapped(command.help[0].upper() + command.help[1:] + "."),
        epilog="\n".join(("examples:", *(f"  iommutui {command.name} {words}".rstrip() for words in command.examples))),
        formatter_class=_formatter,
    )
    module.add_arguments(parser)
    return parser


def screen_parser() -> Parser:
    """The parser of what opens the screen; its help is that of the whole program."""
    width = max(len(command.name) for command in COMMANDS)
    lines = "\n".join(_wrapped(f"  {command.name:{width}}  {command.help}", width + 4) for command in COMMANDS)
    parser = Parser(
        prog="iommutui",
        usage="iommutui [--from PATH | --demo] [--kernel RELEASE] [--model NAME] [COMMAND ...]",
        description=_wrapped(
            "Explore IOMMU groups, see why one is not viable, and rebind its devices. Without a command, the screen "
            "opens (or, with no terminal, the listing is printed)."
        ),
        epilog=f"commands:\n{lines}\n\n'iommutui COMMAND --help' says more.\n\n"
        + _wrapped(
            "exit codes: 0 done, 1 error, 2 usage, 3 refused, 4 no permission, 5 failed or not kept, and rolled back, "
            "6 failed and not wholly rolled back"
        ),
        formatter_class=_formatter,
    )
    parser.add_argument("--version", action="version", version=f"iommutui {__version__}")
    add_source(parser)
    return parser


def meant(name: str) -> str:
    """What somebody who writes this may have in mind."""
    if os.path.exists(name):
        return f"; '--from {name}' opens a machine that was recorded"
    import difflib

    near = difflib.get_close_matches(name, [command.name for command in COMMANDS], n=1)
    return f"; is it {near[0]!r}?" if near else ""
