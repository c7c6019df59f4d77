"""The plan pane, the review, and the text of writes. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from iommutui.core.hazards import Severity
from iommutui.core.host import Host
from iommutui.core.labels import also_takes, driver_words, verdict_word
from iommutui.core.plan.intents import Intent
from iommutui.core.plan.planner import GroupChange, Plan, shell_line
from iommutui.core.reasons import Code, Reason
from iommutui.core.wording import count, effect, goal_words, sentence
from iommutui.tui.derived import arrow, preview
from iommutui.tui.keys import key_of
from iommutui.tui.machines.base import Job
from iommutui.tui.state import AppState, Pane, planned_intent
from iommutui.tui.text import (
    BLANK,
    Line,
    Span,
    bullet,
    hazard_line,
    hazard_lines,
    heading,
    key_hint,
    line,
    reason_line,
    verdict_span,
)


def intent_line(state: AppState, intent: Intent, indent: str = "  ") -> Line:
    """``0000:01:00.0  nvidia → vfio-pci  GA104``."""
    device = state.host.devices.get(intent.device)
    actual = driver_words(state.host, device) if device else "gone"
    name = device.device_name if device and device.device_name else ""
    return line(
        indent,
        Span(intent.device, "strong"),
        f"  {actual}",
        Span(arrow(device, intent.target) if device else f" → {intent.target}", "planned"),
        Span(f"  {name}" if name else "", "muted"),
        cut=True,
    )


def plan_lines(state: AppState) -> tuple[Line, ...]:
    """The staged intents and their effect; the plan's cursor is on an intent while its pane has the focus."""
    plan = preview(state)
    if plan is None:
        return (_nothing_staged(state),)
    here = planned_intent(state) if state.pane is Pane.PLAN else None
    lines = [bullet("refused: " + sentence(refusal), "bad", "✖") for refusal in plan.refusals]
    more = [state.host.devices[a] for a in state.beyond if a in state.host.devices]
    if more:
        lines.insert(0, bullet(also_takes(more), "warn", "!"))
    for change in plan.groups:
        lines.append(_change_line(plan, change))
        mine = [intent for intent in state.intents if _group_of(state.host, intent) == change.group]
        lines += [intent_line(state, intent, "▌ " if intent == here else "  ") for intent in mine]
    shown = {change.group for change in plan.groups}
    others = [intent for intent in state.intents if _group_of(state.host, intent) not in shown]
    lines += [intent_line(state, intent, "▌ " if intent == here else "") for intent in others]
    return (*lines, *(hazard_line(h) for h in plan.hazards if h.severity is not Severity.INFO))


def _nothing_staged(state: AppState) -> Line:
    if state.seen and not state.host.groups:
        return line(Span("Nothing is staged: without IOMMU groups no virtual machine can use a device.", "muted"))
    if state.freed:
        return line(
            Span("Applied. ", "ok"), f"Give {', '.join(state.freed)} to a virtual machine: ",
            *key_hint(key_of("export"), "writes its definition. "),
            Span("Until the next boot, unless ", "muted"), *key_hint(key_of("persist"), "makes it persist; "),
            *key_hint(key_of("revert"), "reverts it."), hang=2,
        )  # fmt: skip
    if not state.seen:
        return line(Span("Nothing is staged.", "muted"))
    return line(
        Span("Nothing is staged. ", "muted"), *key_hint(key_of("free"), "free the card · "),
        *key_hint(key_of("pass"), "vfio-pci for this device · "), *key_hint(key_of("target"), "choose a driver"),
    )  # fmt: skip


def _group_of(host: Host, intent: Intent) -> int | None:
    device = host.devices.get(intent.device)
    return device.group if device is not None else None


def _change_line(plan: Plan, change: GroupChange) -> Line:
    """``Group 14  ✖ blocked → ✔ viable``; for a refused plan only the present verdict."""
    after = verdict_span(change.after)
    if after == verdict_span(change.before):
        after = Span(f"still {verdict_word(change.after)}", "planned")
    return line(
        Span(f"Group {change.group}  ", "strong"),
        verdict_span(change.before),
        Span(" → ", "planned"),
        after if plan.permitted else Span("✖ plan refused", "bad"),
        hang=2,
    )


_OUTCOMES = {"ok": ("ok", "✔ ok"), "not-reached": ("muted", "… not reached"), "blocks": ("bad", "✖ would hang")}


def outcome_span(outcome: str) -> Span:
    """The predicted or actual outcome of a write."""
    style, words = _OUTCOMES.get(outcome, ("bad", f"✖ {outcome}"))
    return Span(words, style)


_UNBOUND = Span("✖ not bound", "bad")

WITHIN = 30.0
"""Seconds of the timer, which is on if a plan takes a display, a network or an input."""


class Review(NamedTuple):
    """The contents and questions of the review."""

    title: str
    job: Job
    real: bool = True

    @property
    def to_type(self) -> tuple[str, ...]:
        """The text to type before this can be applied: the numbers of the groups with a danger.

        For a device in no group, its address. Nothing if there is no danger.
        """
        if not self.job.plan.permitted:
            return ()
        found: dict[str, None] = {}
        for danger in self.job.accepted:
            device = self.job.plan.predicted.devices.get(danger.device)
            found[danger.device if device is None or device.group is None else str(device.group)] = None
        return tuple(found)

    @property
    def verb(self) -> str:
        """What ``y`` does: ``Apply 12 writes, 30 s timer``."""
        within = self.job.keep_within
        timer = f", {within:.0f} s timer" if within is not None else ""
        return f"{'Revert' if self.job.revert else 'Apply'} {count(len(self.job.plan.steps), 'write')}{timer}"

    @property
    def applicable(self) -> bool:
        """Whether there is anything to apply, and it is permitted."""
        return self.job.plan.permitted and bool(self.job.plan.steps)


def review_lines(review: Review) -> tuple[Line, ...]:
    """Every exact write in order, and all consequences."""
    plan = review.job.plan
    lines: list[Line] = []
    if review.applicable:
        lines += [line(Span(effect(plan), "strong"), hang=2), _keeping(review.job), BLANK]
    if plan.refusals:
        lines.append(line(Span("✖ This plan is refused; nothing will be written.", "bad"), hang=2))
        lines += [bullet(sentence(refusal), "bad", "✖") for refusal in plan.refusals]
        lines.append(BLANK)
    elif not plan.steps:
        lines.append(line(Span("✔ Nothing to do: every device is where it should be.", "ok"), hang=2))
        lines.append(BLANK)
    if plan.hazards:
        lines.append(heading("What this machine loses"))
        lines += hazard_lines(plan.hazards)
        lines.append(BLANK)
    if plan.groups:
        lines.append(heading("Groups"))
        for change in plan.groups:
            lines.append(_change_line(plan, change))
            if plan.permitted and not change.after.viable:
                lines += reason_lines(plan.predicted, change.after.reasons)
        lines.append(BLANK)
    if plan.modules:
        lines.append(heading("Modules to be loaded first"))
        lines += [line(f"  modprobe {module}") for module in plan.modules]
        lines.append(BLANK)
    if plan.steps:
        lines.append(heading(f"Writes ({len(plan.steps)}), in this order"))
        lines += step_lines(plan)
    if plan.no_ops:
        lines += [BLANK, heading("Nothing to do for")]
        lines += [line(f"  {goal.device}: {goal_words(goal)} already", hang=4) for goal in plan.no_ops]
    return tuple(lines)


def reason_lines(host: Host, reasons: Sequence[Reason]) -> list[Line]:
    """The reasons against a group; those that several drivers share are shown once."""
    drivers = [r for r in reasons if r.code is Code.KERNEL_DRIVER]
    if len(drivers) < 2:
        return [reason_line(reason) for reason in reasons]
    words = f"  {len(drivers)} of its devices are bound to host drivers; no VM can use it until all are unbound:"
    lines = [line(words, hang=2)]
    for reason in drivers:
        device = host.devices.get(reason.device) if reason.device is not None else None
        name = device.device_name or "" if device is not None else ""
        lines.append(line(Span("✖ ", "bad"), Span(reason.device or "", "strong"), f" {reason.driver}  ",
                          Span(name, "muted"), cut=True))  # fmt: skip
    return [*lines, *(reason_line(reason) for reason in reasons if reason not in drivers)]


def _keeping(job: Job) -> Line:
    if job.keep_within is None:
        back = "" if job.revert else "Afterwards R reverts it.  "
        return line(Span(back, "muted"), *key_hint("t", "sets a timer"), hang=2)
    words = f"reverts automatically after {job.keep_within:.0f} s unless you confirm.  "
    return line(Span("Timer: ", "planned"), words, *key_hint("t", "turns it off"), hang=2)


def step_lines(plan: Plan, outcomes: dict[int, Span] | None = None) -> list[Line]:
    """The writes with their predicted or actual outcomes."""
    lines = []
    # drivers_probe takes the write whether a driver takes the device or not.
    unbound = {refusal.device for refusal in plan.refusals}
    predicted = [_UNBOUND if step.op == "probe" and step.outcome == "ok" and step.device in unbound
                 else outcome_span(step.outcome) for step in plan.steps]  # fmt: skip
    shown = predicted if outcomes is None else [outcomes.get(n, Span("·", "muted")) for n in range(len(plan.steps))]
    width = max((len(span.text) for span in shown), default=0)
    for number, step in enumerate(plan.steps):
        outcome = shown[number]._replace(text=f"{shown[number].text:<{width}}  ")
        lines.append(line(Span(f"{number + 1:>3}  ", "muted"), outcome, shell_line(step), hang=7 + width))
        if step.outcome not in ("ok", "not-reached"):
            lines += [bullet(sentence(reason), "bad") for reason in step.reasons]
    return lines
