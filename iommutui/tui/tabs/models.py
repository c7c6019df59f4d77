"""The tab Models: the four verdicts side by side. Pure."""

from iommutui.core.host import Device, Group
from iommutui.core.labels import device_name
from iommutui.core.models import MODELS, model_for
from iommutui.tui.blocks import key_hint, reason_line, verdict_span
from iommutui.tui.narrow import narrow
from iommutui.tui.spans import BLANK, Line, Span, line
from iommutui.tui.state import AppState


def models_tab(state: AppState, device: Device | None, group: Group | None) -> list[Line]:
    """A block for each model: its verdict, the role of the driver, and the reasons; a table of the verdicts first."""
    assert state.host is not None
    if group is None:
        name = device_name(device) if device is not None else "It"
        return [line(Span(f"{name} is in no IOMMU group, so no model has a verdict on it.", "muted"))]
    part = narrow(state.host, group.members)
    own = model_for(state.host.kernel).name
    this = "this kernel" if state.host.kernel else "taken: the kernel is not known"
    found = [(model, model.verdict(part, group)) for model in MODELS.values()]
    lines = [
        line(Span(f"Group {group.id} under each set of rules", "accent"), "  ", *key_hint("m", "judges by the next"))
    ]
    for model, verdict in found:
        here = "▸ " if model.name == state.model.name else "  "
        note = this if model.name == own else model.kernels.partition(" (")[0].replace("none", "no kernel")
        lines.append(line(Span(here, "accent"), Span(f"{model.name:<17}", "strong"), verdict_span(verdict, 10),
                          Span(note, "muted"), hang=29))  # fmt: skip
    for model, verdict in found:
        lines += [BLANK, line(Span(model.name, "accent"), "  ", Span(model.title, "muted"), hang=2)]
        if device is not None and device.driver is not None:
            lines.append(line(f"  {device.driver} has the role {model.role(part, device, device.driver).role}."))
        claim = "would succeed" if verdict.claim == "ok" else f"would fail with {verdict.claim}"
        lines.append(line(f"  A claim of the group {claim}.", hang=2))
        lines += [reason_line(reason) for reason in verdict.reasons]
    return lines
