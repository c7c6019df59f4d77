"""What apply and revert share: asking, carrying out, and telling what happens."""

import argparse
import json
import os
import shlex
import sys
from contextlib import closing

from iommutui.apply.events import (
    Compensating,
    Event,
    Finished,
    ModuleLoaded,
    Started,
    StepBegun,
    StepDone,
    StepWaiting,
    to_json,
)
from iommutui.apply.executor import execute
from iommutui.apply.real import RealKernel
from iommutui.apply.state import journal_dir
from iommutui.apply.words import change_words
from iommutui.cli.output import clean, complain, write_lines
from iommutui.cli.review import plan_lines, shell_line
from iommutui.core.errors import Exit, NotPermittedError, RefusedError, UsageError
from iommutui.core.host import Host
from iommutui.core.outcome import OK
from iommutui.core.planner import Plan


def refuse_recorded(options: argparse.Namespace, command: str) -> None:
    """Only the running machine can be written, under the rules of its own kernel."""
    if options.source is not None or options.demo:
        raise RefusedError(
            f"{command} writes to this machine only, and {options.source or 'the built-in one'} is a recording.",
            "'iommutui preview' and 'iommutui simulate' show what would happen on it.",
        )
    if options.kernel is not None:
        raise RefusedError(f"{command} goes by the kernel that is running.", "Leave --kernel away.")


def carry_out(host: Host, plan: Plan, options: argparse.Namespace, *, reverts: str | None = None) -> int:
    """Reviews the plan, asks, and applies it. Returns the exit code."""
    if not options.json:
        write_lines([clean(line) for line in plan_lines(host, plan, ())])
        sys.stdout.flush()
    if not plan.permitted:
        if options.json:
            for line in plan_lines(host, plan, ()):
                complain(line)
        return Exit.REFUSED
    if plan.steps or plan.modules:
        _check_permission(plan)
        if not options.yes and not _confirmed(len(plan.steps)):
            complain("Nothing was written.")
            return Exit.REFUSED
    return tell(plan, as_json=options.json, reverts=reverts)


def _check_permission(plan: Plan) -> None:
    try:
        RealKernel().check(plan.steps)
    except NotPermittedError as error:
        if os.geteuid() == 0:
            raise
        again = shlex.join(["iommutui", *sys.argv[1:]])
        raise NotPermittedError(error.what, f"Only root may do that: sudo {again}") from error


def _confirmed(writes: int) -> bool:
    if not sys.stdin.isatty():
        raise UsageError("There is no terminal to ask on.", "--yes applies without asking.")
    complain("")
    print(f"Make {writes} write{'' if writes == 1 else 's'}? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def tell(plan: Plan, *, as_json: bool, reverts: str | None = None) -> int:
    """Applies the plan to this machine and prints every event as it comes."""
    code = Exit.ERROR
    # Closed at once where the reader has gone: that is what takes everything back.
    with closing(execute(plan, RealKernel(), journal_dir(), reverts=reverts)) as events:
        for event in events:
            if as_json:
                print(json.dumps(to_json(event)), flush=True)
            else:
                write_lines([clean(line) for line in _event_lines(event)])
                sys.stdout.flush()
            if isinstance(event, Finished):
                code = event.exit
    return code


def _event_lines(event: Event) -> list[str]:
    match event:
        case Started(journal_id=journal) if journal:
            return ["", f"Journal {journal}."]
        case ModuleLoaded(module=module):
            return [f"Loaded {module}."]
        case StepDone(step=step, result=result, note=note):
            answer = "ok" if result == OK else f"FAILED with {result}"
            return [f"  {event.number}. {shell_line(step)}   {answer}{f' ({note})' if note else ''}"]
        case StepWaiting(step=step, seconds=seconds, holders=holders):
            held = f"; held by {'; '.join(holders)}" if holders else ""
            return [f"     waiting for {step.device} since {seconds:.0f} s{held}"]
        case Compensating(why=why):
            return [f"Taking everything back: {why}"]
        case Finished(summary=summary, left=left):
            return [summary, *(f"  {change_words(change)}" for change in left)]
        case StepBegun() | Started():
            return []
