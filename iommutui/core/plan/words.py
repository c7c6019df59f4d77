"""A plan in a few words: how much it writes, and what comes of it."""

from iommutui.core.plan.planner import Plan, counts_of


def count(number: int, thing: str) -> str:
    """``1 write``, ``3 writes``."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def amount(plan: Plan) -> list[str]:
    """``6 writes``, ``2 devices changed``, ``1 device right already``, ``1 group touched``."""
    counts = counts_of(plan)
    words = (
        (counts.writes, "write", ""),
        (counts.devices, "device", " changed"),
        (counts.no_ops, "device", " right already"),
        (counts.modules, "module", " to load"),
        (counts.groups, "group", " touched"),
    )
    return [count(number, noun) + rest for number, noun, rest in words if number or noun == "write"]


def effect(plan: Plan) -> str:
    """``4 devices, 12 writes, loads vfio-pci; 1 group becomes viable.``"""
    counts = counts_of(plan)
    words = f"{count(counts.devices, 'device')}, {count(counts.writes, 'write')}"
    if plan.modules:
        words += f", loads {', '.join(plan.modules)}"
    freed = sum(1 for change in plan.groups if change.after.viable and not change.before.viable)
    lost = sum(1 for change in plan.groups if change.before.viable and not change.after.viable)
    ends = []
    if freed:
        ends.append(f"{count(freed, 'group')} become{'s' if freed == 1 else ''} viable")
    if lost:
        ends.append(f"{count(lost, 'group')} {'is' if lost == 1 else 'are'} no longer viable")
    return f"{words}; {' and '.join(ends) or 'no verdict changes'}. Nothing lasts beyond the next boot."
