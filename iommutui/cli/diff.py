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
    words = "a machine, as for --from; a single one is compared with the machine of --from, or this one"
    parser.add_argument("machines", nargs="*", metavar="FILE", help=words)
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
    named, kernels = options.machines, options.kernels or []
    if options.last_boot and not (named or options.source or options.demo):
        host, model = read_machine(options)
        remember(host)
        then = before_this_boot()
        return ("the last boot", then, model if options.model else model_for(then.kernel)), ("this boot", host, model)
    if len(kernels) == 2 and not named:
        before, after = (_side(f"kernel {kernel}", options, kernels=[kernel]) for kernel in kernels)
        return before, after
    if len(kernels) < 2 and (len(named) == 1 or (len(named) == 2 and not options.source)):
        first, *rest = (_side(path, options, source=[path], demo=False) for path in named)
        other = "the machine of --from" if options.source else "this machine"
        return first, rest[0] if rest else _side(other, options)
    raise UsageError(
        "Exactly two machines are compared.",
        "Give two files, one file, --last-boot, or --kernel twice for one machine.",
    )


def _side(name: str, options: Options, **changed: object) -> Side:
    return name, *read_machine(Options(**{**vars(options), **changed}))
