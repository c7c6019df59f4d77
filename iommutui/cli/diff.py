"""``iommutui diff``: what differs between two machines, two times, or two kernels."""

import argparse

from iommutui.cli.documents import SCHEMA
from iommutui.cli.options import chosen_model, read_host
from iommutui.cli.output import clean, write_json, write_lines
from iommutui.cli.parser import Options, add_json, add_source
from iommutui.core.diff import change_sentence, compare, is_equal
from iommutui.core.errors import UsageError
from iommutui.core.host import Host
from iommutui.core.redact import redact

EQUAL, DIFFERENT = 0, 1
"""Exit codes, which are those of ``diff`` itself."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``diff [A] [B] [--kernel OLD --kernel NEW] [--last-boot]``."""
    parser.add_argument("before", nargs="?", metavar="A", help="what --from takes (default: the machine of --from)")
    parser.add_argument("after", nargs="?", metavar="B", help="likewise (default: the machine of --from, or this one)")
    parser.add_argument(
        "--last-boot", action="store_true", help="compare this machine with what it was before it was started last"
    )
    add_json(parser)
    add_source(parser)


def run(options: Options) -> int:
    """Prints the differences between the machines as they may be shown to others."""
    kernels = getattr(options, "kernels", [])
    sides = [(name, redact(host)) for name, host in _sides(options, kernels)]
    (name, before), (other_name, after) = sides
    models = [chosen_model(options, host) for host in (before, after)]
    changes = compare(before, after, *models)
    equal = is_equal(changes)
    if options.json:
        document = {
            "schema": SCHEMA,
            "before": name,
            "after": other_name,
            "equal": equal,
            "changes": [{**change._asdict(), "text": change_sentence(change)} for change in changes],
        }
        write_json(document)
    else:
        lines = [change_sentence(change) for change in changes]
        lines += [f"{name} and {other_name} are equal, as far as both tell."] if equal else []
        write_lines([clean(line) for line in lines])
    return EQUAL if equal else DIFFERENT


def _sides(options: Options, kernels: list[str]) -> list[tuple[str, Host]]:
    named = [path for path in (options.before, options.after) if path is not None]
    if len(kernels) > 2 or (len(kernels) == 2 and named):
        raise UsageError("Two kernels are compared on one machine.", "Name the machine with --from.")
    if len(kernels) == 2:
        return [(f"kernel {kernel}", read_host(Options(**{**vars(options), "kernel": kernel}))) for kernel in kernels]
    shared = vars(options)
    here = ("the machine of --from" if options.source else "this machine", Options(**shared))
    if options.last_boot:
        from iommutui.apply.boots import before_this_boot, remember

        if named or options.source or options.demo:
            raise UsageError("--last-boot is about this machine.", "Leave the other machines out.")
        now = read_host(here[1])
        remember(now)
        return [("the last boot", before_this_boot()), ("this boot", now)]
    if not named:
        raise UsageError("There is nothing to compare with.", "Give one file or two, --last-boot, or --kernel twice.")
    if len(named) == 2 and options.source:
        raise UsageError("These are three machines.", "Leave --from out.")
    sides = [(path, read_host(Options(**{**shared, "source": [path], "demo": False}))) for path in named]
    return sides if len(sides) == 2 else [*sides, (here[0], read_host(here[1]))]
