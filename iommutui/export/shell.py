"""The plan as a POSIX script that checks the machine before each write and the ``driver`` link after it."""

from shlex import quote

from iommutui.core.plan.intents import restoring
from iommutui.core.plan.planner import Plan, plan_goals
from iommutui.export.base import Format, Subject, attributes, data, refuse


def _body(subject: Subject) -> list[str]:
    refuse(subject.plan.refusals)
    host = subject.host
    devices = [device for device, goal in subject.moved if goal not in subject.plan.no_ops]
    back = plan_goals(
        subject.plan.predicted, [restoring(d.address, d.driver, d.driver_override) for d in devices], subject.model
    )
    start = [f"expect_driver {d.address} {quote(host.devices[d.address].driver or 'none')}" for d in devices]
    modules = [f"modprobe -- {quote(module)}" for module in subject.plan.modules]
    return [
        *data("rebind.sh").splitlines()[1:],
        *_function("apply", [*start, *modules, *_writes(subject.plan)]),
        *_function("revert", _writes(back)),
        "",
        *(f"expect_ids {device.address} '{attributes(device)}'" for device in devices),
        '[ "$(id -u)" = 0 ] || stop "only root can write to $pci"',
        "case ${1-apply} in",
        "apply | revert) ${1-apply} ;;",
        '*) stop "use apply or revert" ;;',
        "esac",
    ]


def _function(name: str, lines: list[str]) -> list[str]:
    return ["", f"{name}() {{", *(f"    {line}" for line in lines or [":"]), "}"]


def _writes(plan: Plan) -> list[str]:
    aims = {goal.device: "any" if goal.any_driver else goal.driver or "none" for goal in plan.goals}
    lines = []
    for step in plan.steps:
        if step.op == "override":
            lines.append(f"override {step.device} {quote(step.value or '')}")
        elif step.op == "unbind":
            lines.append(f"leave {step.device} {quote(step.value or '')}")
        else:
            lines.append(f"bind {step.device} {quote(aims[step.device])}")
    return lines


FORMATS = (
    Format(
        "shell",
        "A script that rebinds PCI devices, and reverts it",
        "a file, run by root as 'sh FILE' or 'sh FILE apply'.",
        "at once, and until the next boot.",
        "sh FILE revert",
        _body,
        vm=False,
        first="#!/bin/sh",
    ),
)
