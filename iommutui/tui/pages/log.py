"""The log as lines: every write and its result, the newest last. Pure."""

from iommutui.apply.events import Compensating, Event, Finished, Kept, ModuleLoaded, Started, StepDone, StepWaiting
from iommutui.core.errors import Exit
from iommutui.core.plan.shell import shell_line
from iommutui.tui.state import AppState
from iommutui.tui.text.spans import Line, Span, line


def log_lines(state: AppState) -> tuple[Line, ...]:
    """A line for each entry."""
    if not state.log:
        return (line(Span("Nothing has happened yet. Every write and its result will stand here.", "muted")),)
    return tuple(line(Span(f"{entry.at}  ", "muted"), Span(entry.text, entry.style), hang=10) for entry in state.log)


def log_words(event: Event) -> tuple[str, str] | None:
    """Text and style; None for what is not worth a line."""
    match event:
        case Started(journal_id=journal) if journal:
            return f"journal {journal}", "muted"
        case ModuleLoaded(module=module):
            return f"modprobe {module}: loaded", "ok"
        case StepDone(step=step, result=result, note=note):
            style = "ok" if result == "ok" else "bad"
            return f"{shell_line(step)}: {result}" + (f" ({note})" if note else ""), style
        case StepWaiting(step=step, seconds=seconds, holders=holders):
            held = f"; held by {', '.join(holders)}" if holders else ""
            return f"{shell_line(step)}: no answer for {seconds:.0f} s{held}", "warn"
        case Kept(by=by):
            return f"kept by {by}", "ok"
        case Compensating(why=why):
            return f"taking everything back: {why}", "warn"
        case Finished(exit=code, summary=summary):
            return summary, "ok" if code is Exit.DONE else "bad"
    return None
