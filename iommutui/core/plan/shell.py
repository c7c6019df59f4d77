"""A plan as lines for a root shell."""

from shlex import quote

from iommutui.core.plan.planner import Plan, Step
from iommutui.core.printable import printable


def shell_line(step: Step) -> str:
    """The write as a line for a shell: ``echo vfio-pci > /sys/bus/pci/devices/0000:01:00.0/driver_override``."""
    value = (step.value or "") if step.op == "override" else step.device
    return f"echo {quote(value)} > {quote(step.path)}"


def shell_script(plan: Plan) -> str:
    """The writes of a plan as lines for a root shell, in their order, the modules first.

    What is copied travels: the first line says which devices the addresses are.
    """
    devices = [d for a in dict.fromkeys(step.device for step in plan.steps) if (d := plan.predicted.devices.get(a))]
    named = ", ".join(f"{d.address} is {d.vendor_id or '????'}:{d.device_id or '????'}" for d in devices)
    lines = [f"# Only where {named}: on another machine these addresses are other devices."]
    lines += [f"modprobe {quote(module)}" for module in plan.modules]
    return "".join(f"{printable(text)}\n" for text in (*lines, *map(shell_line, plan.steps)))
