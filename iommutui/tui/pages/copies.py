"""What can be copied: addresses, ids, the plan as lines for a shell, a report for a forum. Pure."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from iommutui.core.address import nodedev_name
from iommutui.core.host import Device, Group, Host
from iommutui.core.labels import class_words, device_name
from iommutui.core.plan.shell import shell_script
from iommutui.core.printable import printable
from iommutui.core.report import report
from iommutui.tui.derived import preview, selected_device, selected_group
from iommutui.tui.pages.plan import count
from iommutui.tui.state import AppState
from iommutui.tui.text.spans import Line, Span, line


class Copy(NamedTuple):
    """One thing that can be copied; the text is made when it is asked for."""

    name: str
    words: str
    said: str
    text: Callable[[], str]

    @property
    def line(self) -> Line:
        """Its entry in the list."""
        return line(Span(f"{self.name:<12} ", "strong"), Span(self.words, "muted"))


def copies(state: AppState) -> list[Copy]:
    """Everything that can be copied now."""
    host = state.host
    if host is None:
        return []
    device, group = selected_device(state), selected_group(state)
    devices = [device] if device is not None else host.members(group) if group is not None else []
    found = []
    if devices:
        found += [
            Copy("address", " ".join(d.address for d in devices), "the address",
                 lambda: " ".join(d.address for d in devices)),
            Copy("ids", ",".join(ids(d) for d in devices), "the ids", lambda: ",".join(ids(d) for d in devices)),
            Copy("libvirt", " ".join(nodedev_name(d.address) for d in devices), "libvirt's names",
                 lambda: " ".join(nodedev_name(d.address) for d in devices)),
        ]  # fmt: skip
    if group is not None:
        found.append(Copy("group", f"group {group.id} as forums list it", "the group",
                          lambda: "\n".join(forum_lines(host, [group]))))  # fmt: skip
    staged = preview(state)
    if staged is not None and staged.plan.steps and staged.plan.permitted:
        words = f"the {count(len(staged.plan.steps), 'write')} of the plan, for a root shell"
        found.append(Copy("shell", words, "the writes", lambda: shell_script(staged.plan)))
    found.append(Copy("report", "kernel, IOMMU, every group with its verdict: for a forum", "the report",
                      lambda: report(host, state.model, device.address if device is not None else None)))  # fmt: skip
    return found


def ids(device: Device) -> str:
    """``10de:2204``; the bus of a device that has none."""
    return f"{device.vendor_id or '????'}:{device.device_id or '????'}" if device.bus == "pci" else device.bus


def forum_lines(host: Host, groups: Iterable[Group]) -> list[str]:
    """``IOMMU Group 15 01:00.0 VGA compatible controller [0300]: NVIDIA GA102 [10de:2204] (rev a1)``."""
    lines = []
    for group in groups:
        for device in host.members(group):
            short = device.address.removeprefix("0000:")
            revision = f" (rev {device.revision})" if device.revision and device.revision != "00" else ""
            code = (device.class_code or "????")[:4]
            name = device_name(device).removesuffix(f" [{ids(device)}]")
            lines.append(
                printable(
                    f"IOMMU Group {group.id} {short} {class_words(device)} [{code}]: {name} [{ids(device)}]{revision}"
                    f" -- {device.driver or 'no driver'}"
                )
            )
    return lines
