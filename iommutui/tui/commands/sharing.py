"""Commands that share (report, export, persist), open other machines, and explain errors.

Each imports what only it needs, so the first frame does not wait for it.
"""

import subprocess
import sys
from dataclasses import dataclass

from textual.app import SuspendNotSupported
from textual.message import Message

from iommutui.core.host import Host, is_vfio
from iommutui.core.models import Model, model_for
from iommutui.core.plan.intents import Intent
from iommutui.tui.commands.base import Command, Desk, needs_host, unless
from iommutui.tui.derived import scope_of, selected_device, selected_group
from iommutui.tui.machines.base import Machine
from iommutui.tui.pages.copies import forum_report
from iommutui.tui.state import AppState
from iommutui.tui.text import Choice, Line, Span, line
from iommutui.tui.widgets.dialogs import ChooseScreen, Opened, PageScreen, PromptScreen

SHARE = "Share"


@dataclass
class OpenMachine(Message):
    """Another machine to open: a file name or a pasted text; an empty text is the first machine."""

    text: str


def _text(text: str) -> list[Line]:
    return [line(each, hang=2) for each in text.expandtabs().splitlines()]


def _explain(desk: Desk) -> Opened:
    from iommutui.core.diagnosis import explain

    def then(text: str) -> Opened:
        state = desk.state
        device, group = selected_device(state), selected_group(state)
        number = group.id if group is not None and device is None else None
        found = explain(state.host, text, state.model, group=number, device=device)
        lines = [line(each, hang=3) for each in found.sentences]
        return desk.app.push_screen(PageScreen("What the error means", lines))

    return desk.ask(PromptScreen("Explain an error", "paste the message of the kernel, QEMU or libvirt"), then)


def _report(desk: Desk) -> Opened:
    page = PageScreen("Report for a forum", _text(forum_report(desk.state)), "iommutui-report.md")
    return desk.app.push_screen(page)


def given(state: AppState) -> tuple[Intent, ...]:
    """The subject of exporting and persisting: the plan, or else the bindings of the card under the cursor to VFIO."""
    host = state.host
    if state.intents:
        return state.intents
    devices = scope_of(host, state.selection).devices if state.selection is not None else []
    return tuple(Intent(d.address, d.driver) for d in devices if d.driver is not None and is_vfio(host, d, d.driver))


_needs_given = unless(
    given, "Stage what the virtual machine should get (c frees a card), or select a card that is on a VFIO driver."
)


def _export(desk: Desk) -> Opened:
    from iommutui.export import FORMATS, render, subject_of

    host, intents, model = desk.state.host, given(desk.state), desk.state.model

    def then(name: str) -> Opened:
        made = render(FORMATS[name], subject_of(host, intents, model))
        page = PageScreen(f"Export: {FORMATS[name].title}", _text(made.text), f"iommutui-{name}.txt")
        return desk.app.push_screen(page)

    width = max(len(name) for name in FORMATS)
    choices = [
        Choice(form.name, line(Span(f"{form.name:<{width}}  ", "strong"), Span(form.title, "muted")))
        for form in FORMATS.values()
    ]
    return desk.ask(ChooseScreen("Export the plan for", choices, "show"), then)


def _persist(desk: Desk) -> None:
    """Hands the terminal over to the command of this name until it ends and Enter is pressed."""
    from iommutui.apply.elevation import own_program

    words = ["persist", *map(str, given(desk.state))]
    try:
        with desk.app.suspend():
            subprocess.run([*own_program(), *words], check=False)
            print("\nEnter returns to the screen. ", end="", flush=True)
            sys.stdin.readline()
    except SuspendNotSupported:
        there = f"Run it in another one: iommutui {' '.join(words)}"
        desk.say(f"This terminal cannot be handed over. {there}", "warning")
    desk.rescan()


_only_here = unless(
    lambda state: state.source.real,
    "Bindings persist only on the machine that this runs on; V shows the settings for others.",
)


def _compare(desk: Desk) -> Opened:
    def show(machine: Machine, host: Host) -> Opened:
        return desk.app.push_screen(_differences(machine.source.label, host, desk.state))

    prompt = PromptScreen("Compare with", "a file name, or a pasted listing")
    return desk.ask(prompt, lambda text: desk.read_machine(text, show))


def _differences(name: str, before: Host, state: AppState) -> PageScreen:
    from iommutui.core.diff import change_sentence, compare
    from iommutui.core.redact import redact

    changes = compare(redact(before), redact(state.host), model_for(before.kernel), state.model)
    lines = [line(change_sentence(change), hang=2) for change in changes]
    return PageScreen(f"From {name} to this machine", lines or [line("They are equal, as far as both are known.")])


def changed_since_boot(before: Host, now: Host, model: Model) -> str:
    """A sentence where groups, addresses, drivers or the kernel have changed since the last boot; else empty."""
    from iommutui.core.diff import compare, is_equal
    from iommutui.core.redact import redact

    changes = compare(before, redact(now), model_for(before.kernel), model)
    if is_equal(changes):
        return ""
    return f"{len(changes)} things have changed since the last boot: ':' and 'since' lists them."


def _since_boot(desk: Desk) -> Opened:
    if desk.state.before_boot is not None:
        return desk.app.push_screen(_differences("the last boot", desk.state.before_boot, desk.state))
    desk.say("No earlier boot of this machine is known; this one is recorded now.")
    return None


def _open(desk: Desk) -> Opened:
    def then(text: str) -> None:
        desk.post_message(OpenMachine(text))

    hint = "a file name or a pasted listing; empty: the first machine"
    return desk.ask(PromptScreen("Open another machine", hint, lambda _: (True, "")), then)


COMMANDS = (
    Command("Explain", ("E",), "Explain an error message on this machine.", SHARE, _explain, (needs_host,),
            also="message kernel qemu libvirt diagnose why"),
    Command("Export", ("V",), "Export the plan for libvirt, QEMU, Proxmox, a shell, boot loaders: copy or save it.",
            SHARE, _export, (needs_host, _needs_given), also="xml hostdev domain script modprobe driverctl grub"),
    Command("Persist", ("P",), "Make the bindings persist across boots, after a review of every file.", SHARE, _persist,
            (_only_here, needs_host, _needs_given), also="boot permanent initramfs last reboot"),
    Command("Report", ("W",), "A redacted report to share when you ask for help: copy or save it.", SHARE, _report,
            (needs_host,), also="forum share ask markdown"),
    Command("Compare", ("D",), "Compare this machine with a file.", SHARE, _compare, (needs_host,),
            also="diff changes"),
    Command("Since boot", (), "Show the changes since the last boot.", SHARE, _since_boot,
            (needs_host, unless(lambda s: s.source.real, "This is about the machine that the program runs on.")),
            also="diff changes reboot update firmware"),
    Command("Open machine", ("O",), "Open a file or a pasted listing in place of this machine; an empty line "
            "returns to the first one.", SHARE, _open, also="load import snapshot paste back return close"),
)  # fmt: skip
