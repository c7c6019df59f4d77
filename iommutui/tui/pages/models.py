"""The page Models: the verdicts under each set of kernel rules side by side. Pure."""

from iommutui.core.host import Device, Group
from iommutui.core.labels import claim_words, device_name, is_draft, rules_words
from iommutui.core.models import MODELS, model_for
from iommutui.core.topology import narrow
from iommutui.tui.keys import key_of
from iommutui.tui.state import AppState
from iommutui.tui.text import BLANK, ROLE_NAMES, Choice, Line, Span, key_hint, line, reason_line, verdict_span


def models_page(state: AppState, device: Device | None, group: Group | None) -> list[Line]:
    """A block for each model: its verdict, the role of the driver, and the reasons; a table of the verdicts first."""
    if group is None:
        name = device_name(device) if device is not None else "It"
        return [line(Span(f"{name} is in no IOMMU group, so no model has a verdict on it.", "muted"))]
    part = narrow(state.host, group.members)
    own = model_for(state.host.kernel).name
    this = "this kernel" if state.host.kernel else "assumed: the kernel is unknown"
    found = [(model, model.verdict(part, group)) for model in MODELS.values()]
    lines = [
        line(Span(f"Group {group.id} under each set of rules", "accent"), "  ", *key_hint(key_of("model"), "chooses"))
    ]
    for model, verdict in found:
        here = "▸ " if model.name == state.model.name else "  "
        note = this if model.name == own else model.kernels.partition(" (")[0].replace("none", "no kernel")
        lines.append(line(Span(here, "accent"), Span(f"{model.name:<17}", "strong"), verdict_span(verdict, 10),
                          Span(note, "muted"), hang=29))  # fmt: skip
    for model, verdict in found:
        lines += [BLANK, line(Span(model.name, "accent"), "  ", Span(model.title, "muted"), hang=2)]
        if device is not None and device.driver is not None:
            lines.append(line(f"  {device.driver} is {ROLE_NAMES[model.role(part, device, device.driver).role]}."))
        lines.append(line(f"  Opening it through VFIO {claim_words(verdict.claim)}.", hang=2))
        lines += [reason_line(reason) for reason in verdict.reasons]
    return lines


def model_choices(state: AppState) -> list[Choice]:
    """Every set of rules, those of real kernels first."""
    own = model_for(state.host.kernel).name
    this = "this kernel" if state.host.kernel else "assumed: kernel unknown"
    found = []
    for model in sorted(MODELS.values(), key=lambda model: (is_draft(model), model.name)):
        words = "never merged" if is_draft(model) else rules_words(model)
        row = line(
            Span(f"{model.name:<17} ", "strong"),
            Span(f"{words:<20}  ", "warn" if is_draft(model) else "plain"),
            Span(this if model.name == own else "", "ok"),
        )
        found.append(Choice(model.name, row, (line(f"{model.title}."), line(Span(model.change, "muted")))))
    return found
