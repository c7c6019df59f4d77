"""``iommutui journal``: what was applied to this machine."""

import argparse
from typing import TYPE_CHECKING, Any, NamedTuple

from iommutui.apply.steps import step_words
from iommutui.cli.documents import SCHEMA
from iommutui.cli.output import clean, complain, write_json, write_lines
from iommutui.cli.parser import Options, add_json, add_source
from iommutui.core.errors import Exit
from iommutui.core.wording import changes_words

if TYPE_CHECKING:
    from iommutui.apply.journal.reader import Damaged, Journal, JournaledWrite
    from iommutui.apply.revert import State
    from iommutui.core.plan.drift import Change


class _Shown(NamedTuple):
    """A journal, what it means now, and what something else has changed since."""

    journal: "Journal"
    state: "State"
    changed: "tuple[Change, ...]"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """``journal [ID] [--json]``."""
    parser.add_argument(
        "id", nargs="?", metavar="ID", help="show one journal, write by write; its id or the beginning of it"
    )
    add_json(parser)
    add_source(parser)


def run(options: Options) -> int:
    """Lists journals, the newest last, or shows one."""
    from iommutui.apply.journal.directory import at_work, journal_dir
    from iommutui.apply.journal.reader import Damaged, read_journals
    from iommutui.apply.revert import standing, state_of
    from iommutui.cli.offline import refuse_recorded
    from iommutui.cli.persist import persisted, persisted_documents, persisted_lines
    from iommutui.sources import HERE, Depth, load
    from iommutui.sources.boots import boot_id

    refuse_recorded(options, "journal")
    directory, boot = journal_dir(), boot_id(HERE)
    journals = read_journals(directory)
    ours = [journal for journal in journals.readable if journal.of_boot(boot)]
    host = load(depth=Depth.LISTING) if journals.readable else None
    going_on = at_work(directory)

    def look(journal: "Journal | Damaged") -> "_Shown | Damaged":
        if isinstance(journal, Damaged):
            return journal
        assert host is not None
        state = state_of(journal, ours, host, boot, going_on=going_on)
        return _Shown(journal, state, standing(journal, host, ours).changed if state == "changed" else ())

    chosen = [journals.find_any(options.id)] if options.id else journals.every
    shown = [look(journal) for journal in chosen]
    lasting = [] if options.id else persisted(options)
    if options.json:
        document = {"journals": [_document(each) for each in shown], "persisted": persisted_documents(lasting)}
        write_json({"schema": SCHEMA, **document})
        return Exit.DONE
    if not shown:
        complain(f"Nothing has been applied yet; journals would be in {directory}.")
    lines: list[str] = []
    for each in shown:
        lines += _lines(each, whole=bool(options.id)) if isinstance(each, _Shown) else _damaged_lines(each)
    write_lines([clean(line) for line in (*lines, *persisted_lines(lasting))])
    return Exit.DONE


def _damaged_lines(journal: "Damaged") -> list[str]:
    lines = [f"{journal.id}  DAMAGED: {journal.why}"]
    return [*lines, f"  'iommutui keep {journal.id}' closes it."] if journal.open else lines


def _state(shown: _Shown) -> str:
    journal = shown.journal
    match shown.state:
        case "going-on":
            return "going on"
        case "waiting":
            return "waits to be kept"
        case "cut-off":
            from iommutui.apply.recovery import cut_off_words

            return f"CUT OFF: {cut_off_words(journal)}"
        case "reverted":
            return f"taken back by {journal.reverted_by}"
        case "revert":
            done = journal.exit is Exit.DONE
            return f"{'took' if done else 'tried to take'} {journal.header.reverts} back"
        case "undone-by-reboot":
            return "undone by a reboot" if not journal.open else "cut off, and undone by a reboot"
        case "changed":
            return f"changed since by something else: {changes_words(shown.changed)}"
        case "in-effect":
            return f"in effect, kept by {journal.kept_by}" if journal.kept_by is not None else "in effect"
        case "not-rolled-back":
            cut_off = journal.kept_by is not None
            return "cut off, and left as it was" if cut_off else "FAILED, and not wholly rolled back"
    if journal.exit is Exit.PERMISSION:
        return "not permitted, nothing was changed"
    return "failed, and rolled back" if journal.within is None else "not kept, and taken back"


def _remedy(shown: _Shown) -> str:
    """What can be done about it now; empty where that is nothing."""
    if shown.state == "waiting":
        return f"'iommutui keep {shown.journal.id}' keeps it."
    if shown.state == "cut-off":
        from iommutui.apply.recovery import way_out

        return way_out(shown.journal)
    if shown.state == "changed":
        devices = {change.subject for change in shown.changed}
        if devices == {facts.device for facts in shown.journal.header.before}:
            return ""
        return f"'iommutui revert {shown.journal.id}' takes back the rest."
    in_effect = shown.state in ("in-effect", "not-rolled-back")
    return f"'iommutui revert {shown.journal.id}' takes it back." if in_effect else ""


def when(started: str) -> str:
    """The time of a journal as the clock on the wall shows it: ``2026-11-22 16:03:46``."""
    from datetime import datetime

    try:
        return datetime.fromisoformat(started).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError):
        return started


def _lines(shown: _Shown, *, whole: bool) -> list[str]:
    from iommutui.core.wording import goal_words

    journal = shown.journal
    before = {facts.device: facts for facts in journal.header.before}
    lines = [f"{journal.id}  {when(journal.header.started)}  {_state(shown)}"]
    for goal in journal.header.goals:
        was = before.get(goal.device)
        now = f"{was.driver or 'free'} → " if was is not None else "stays at "
        lines.append(f"  {goal.device}  {now}{goal_words(goal)}")
    if journal.damage:
        lines.append(f"  DAMAGED: {journal.damage}; what follows is not known.")
    if whole:
        lines += _details(journal)
    elif journal.end is not None and journal.exit is not Exit.DONE and journal.kept_by is None:
        lines.append(f"  {journal.end.summary}")
    remedy = _remedy(shown)
    return [*lines, f"  {remedy}"] if remedy else lines


def _details(journal: "Journal") -> list[str]:
    """Everything that is known of it, write by write."""
    header = journal.header
    lines = ["", f"  Kernel {header.kernel or 'not known'}, model {header.model}, boot {header.boot or 'not known'}"]
    for title, every in (("Before", header.before), ("Left", journal.end.after if journal.end is not None else ())):
        lines += [
            f"  {title}: {facts.device} on {facts.driver or 'no driver'}, override {facts.override or 'none'}"
            for facts in every
        ]
    lines += [f"  Accepted: {acceptance}" for acceptance in header.accepted]
    if header.modules:
        lines.append(f"  Modules to load first: {', '.join(header.modules)}")
    lines += ["", "  Writes:"] if journal.steps else ["", "  Nothing was written."]
    turned = False
    for step in journal.steps:
        if step.restoring and not turned:
            turned = True
            lines += ["", f"  Taken back because {journal.why}:" if journal.why else "  Taken back:"]
        lines.append(f"  {step.number:3}. {_write_words(step)}")
    if journal.within is not None:
        kept = f"kept by {journal.kept_by}" if journal.kept_by is not None else "not kept"
        lines += ["", f"  To be kept within {journal.within:g} s: {kept}"]
    if journal.end is not None:
        lines += ["", f"  {journal.end.summary}"]
    return lines


def _write_words(step: "JournaledWrite") -> str:
    """``unbinding 0000:01:00.0 from nvidia: ok, 0.21 s``."""
    what = step_words(step)
    if step.result is None:
        return f"{what}: not known, the apply was cut off before it returned"
    late = ", after nobody waited for it any more" if step.late else ""
    note = f" ({step.note})" if step.note else ""
    return f"{what}: {step.result}{note}, {step.seconds:.2f} s{late}"


def _document(shown: "_Shown | Damaged") -> dict[str, Any]:
    from iommutui.apply.journal.reader import Damaged
    from iommutui.apply.validation import to_object

    if isinstance(shown, Damaged):
        return {"id": shown.id, "state": "damaged", "damage": shown.why, "open": shown.open, "in_effect": False}
    journal = shown.journal
    header, end = journal.header, journal.end
    document = {
        "id": journal.id,
        "state": shown.state,
        "open": journal.open,
        "in_effect": shown.state in ("in-effect", "not-rolled-back", "changed") and bool(_remedy(shown)),
        "changed": shown.changed,
        **{name: getattr(header, name) for name in _HEADER},
        "planned": header.steps,
        "steps": journal.steps,
        "why": journal.why,
        "exit": journal.exit,
        "summary": end.summary if end is not None else "",
        "left": end.left if end is not None else (),
        "after": end.after if end is not None else (),
        "within": journal.within,
        "kept_by": journal.kept_by,
        "reverted_by": journal.reverted_by,
        "damage": journal.damage,
    }
    return to_object(document)


_HEADER = ("started", "boot", "kernel", "model", "goals", "modules", "before", "reverts", "accepted")
