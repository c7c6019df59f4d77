"""The pieces that panes and dialogs are made of: headings, sentences with a sign, facts. Pure."""

from iommutui.core.labels import driver_word, verdict_glyph, verdict_word
from iommutui.core.outcome import Verdict
from iommutui.core.plan.intents import Intent
from iommutui.core.reasons import Code, Reason
from iommutui.core.wording import sentence
from iommutui.tui.spans import Line, Span, line
from iommutui.tui.state import AppState

VERDICT_STYLES = {"viable": "ok", "blocked": "bad", "in use": "info", "refused": "warn", "unknown": "warn"}
"""What a verdict's word means to the eye; the word and its glyph stand beside it always."""


def verdict_span(verdict: Verdict, width: int = 0) -> Span:
    """Glyph and word."""
    word = verdict_word(verdict)
    return Span(f"{verdict_glyph(verdict)} {word}".ljust(width), VERDICT_STYLES[word])


def heading(text: str) -> Line:
    """A heading within a pane."""
    return line(Span(text, "accent"))


def bullet(text: str, style: str = "muted", sign: str = "•") -> Line:
    """A sentence with a sign before it."""
    return line(Span(f"{sign} ", style), text, hang=2)


def fact(name: str, value: str, style: str = "plain") -> Line:
    """A name and its value."""
    return line(Span(f"{name:<11} ", "muted"), Span(value, style), hang=12)


def reason_line(reason: Reason) -> Line:
    """A reason as a sentence; its sign tells what stands in the way from what is only to be known."""
    if reason.code in (Code.KERNEL_DRIVER, Code.FOREIGN_DOMAIN, Code.DIRECT_REGION):
        return bullet(sentence(reason), "bad", "✖")
    return bullet(sentence(reason), *(("info", "●") if reason.code is Code.OWNED else ("warn", "?")))


def key_hint(key: str, words: str) -> tuple[Span, Span]:
    """A key, and what it does."""
    return Span(key, "key"), Span(f" {words}", "muted")


def intent_line(state: AppState, intent: Intent, indent: str = "  ") -> Line:
    """``0000:01:00.0  nvidia → vfio-pci  GA104``."""
    device = state.host.devices.get(intent.device) if state.host else None
    actual = driver_word(device) if device else "gone"
    name = device.device_name if device and device.device_name else ""
    return line(
        indent,
        Span(intent.device, "strong"),
        f"  {actual}",
        Span(f" → {intent.target}", "planned"),
        Span(f"  {name}" if name else "", "muted"),
        cut=True,
    )
