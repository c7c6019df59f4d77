"""The texts to copy: addresses, ids, the plan as lines for a shell, a report for a forum. Pure."""

from collections.abc import Callable
from typing import NamedTuple

from iommutui.core.address import nodedev_name
from iommutui.core.plan.planner import shell_script
from iommutui.core.wording import count
from iommutui.tui.derived import preview, selected_device, selected_group
from iommutui.tui.state import AppState


class Copy(NamedTuple):
    """One text to copy, made on demand."""

    name: str
    words: str
    text: Callable[[], str]


def copies(state: AppState) -> list[Copy]:
    """Everything that can be copied now."""
    host = state.host
    if not state.seen:
        return []
    device, group = selected_device(state), selected_group(state)
    devices = [device] if device is not None else host.members(group) if group is not None else []
    found: list[Copy] = []
    if devices:
        addresses = " ".join(d.address for d in devices)
        names = " ".join(nodedev_name(d.address) for d in devices)
        ids = ",".join(f"{d.vendor_id or '????'}:{d.device_id or '????'}" for d in devices if d.bus == "pci")
        found = [
            Copy("address", addresses, lambda: addresses),
            Copy("ids", ids, lambda: ids),
            Copy("libvirt", names, lambda: names),
        ]
    plan = preview(state)
    if plan is not None and plan.steps and plan.permitted:
        words = f"the {count(len(plan.steps), 'write')} of the plan, for a root shell"
        found.append(Copy("shell", words, lambda: shell_script(plan)))
    words = "kernel, IOMMU, every group with its verdict: for a forum"
    return [*found, Copy("report", words, lambda: forum_report(state))]


def forum_report(state: AppState) -> str:
    """A report on the machine, the device under the cursor first."""
    from iommutui.core.report import report  # which the first frame does not need

    device = selected_device(state)
    return report(state.host, state.model, device.address if device is not None else None)
