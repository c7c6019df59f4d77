"""``iommutui`` without a command: the screen, or the listing if there is no terminal for one."""

import argparse
import os
import sys

from iommutui.cli.options import check_source
from iommutui.cli.parser import Options, version_line
from iommutui.core.errors import Exit


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--version", action="store_true", help="show the versions that a bug report needs, and exit")


def run(options: Options) -> int:
    """Opens the screen until the user leaves it."""
    if options.version:
        print(version_line())
        return Exit.DONE
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM") == "dumb":
        from iommutui.cli.list import run

        options.json, options.filter = False, []
        return run(options)
    from iommutui.tui import run as run_screen

    check_source(options)
    return run_screen(options.source, demo=options.demo, kernel=options.kernel, model=options.model)
