"""``iommutui diff``: what differs between two machines, two times, or two kernels."""

import argparse

from iommutui.apply.boots import before_this_boot, remember
from iommutui.cli.options import read_machine
from iommutui.cli.output import write_json, write_lines
from iommutui.cli.parser import Options
from iommutui.core.diff import change_sentence, compare, is_equal
from iommutui.core.errors import UsageError
from iommutui.core.host import Host
from iommutui.core.models import Model, model_for
from iommutui.core.redact import redact

EQUAL, DIFFERENT = 0, 1
"""Exit codes, which are those of ``diff`` itself."""

Side = tuple[str, Host, Model]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("before", nargs="?", metavar="A", help="a machine, as for --from (default: the one of --from)")
    parser.add_argument(
        "after", nargs="?", metavar="B", help="another machine (default: the one of --from, else this one)"
    )
    parser.add_argument("--last-boot", action="store_true", help="compare this machine with its state before this boot")


def run(options: Options) -> int:
    """Prints the differences between the redacted machines."""
    (name, before, model), (other_name, after, other_model) = _sides(options)
    changes = compare(redact(before), redact(after), model, other_model)
    equal = is_equal(changes)
    if options.json:
        document = [{**change._asdict(), "text": change_sentence(change)} for change in changes]
        write_json({"before": name, "after": other_name, "equal": equal, "changes": document})
    else:
        lines = [change_sentence(change) for change in changes]
        lines += [f"{name} and {other_name} are equal, as far as both are known."] if equal else []
        write_lines(lines)
    return EQUAL if equal else DIFFERENT


def _sides(options: Options) -> tuple[Side, Side]:
    named = [path for path in (options.before, options.after) if path is not None]
    kernels = options.kernels or []
    if len(kernels) > 2 or (len(kernels) == 2 and named):
        raise UsageError(
            "Two kernels are compared on one machine.", "Give --kernel twice, and name the machine with --from."
        )
    if len(kernels) == 2:
        before, after = (_side(f"kernel {kernel}", options, kernels=[kernel]) for kernel in kernels)
        return before, after
    if options.last_boot:
        if named or options.source or options.demo:
            raise UsageError("--last-boot compares this machine with itself.", "Name no other machine.")
        host, model = read_machine(options)
        now = redact(host)
        remember(now)
        then = before_this_boot()
        return ("the last boot", then, model if options.model else model_for(then.kernel)), ("this boot", now, model)
    if not named:
        raise UsageError("There is nothing to compare with.", "Give one file or two, --last-boot, or --kernel twice.")
    if len(named) == 2 and options.source:
        raise UsageError("Two files and --from make three machines.", "Leave --from out.")
    first, *rest = (_side(path, options, source=[path], demo=False) for path in named)
    other = rest[0] if rest else _side("the machine of --from" if options.source else "this machine", options)
    return first, other


def _side(name: str, options: Options, **changed: object) -> Side:
    return name, *read_machine(Options(**{**vars(options), **changed}))
