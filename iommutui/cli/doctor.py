"""``iommutui doctor``: faults in the program's environment and the kernel's setup, and their consequences."""

import os
import sys
from collections.abc import Iterator
from typing import NamedTuple

from iommutui.apply.elevation import PROGRAMS, root_program
from iommutui.apply.journal import check_trusted, journal_dir
from iommutui.cli.options import read_host
from iommutui.cli.output import write_json, write_lines
from iommutui.cli.parser import Options, version_line
from iommutui.core.advice import no_iommu_advice
from iommutui.core.drivers import VFIO_PCI
from iommutui.core.errors import Exit, IommutuiError, SourceError
from iommutui.core.host import Host
from iommutui.core.models import model_for
from iommutui.settings import read_settings, settings_path
from iommutui.sources import HERE
from iommutui.sources.live import Unavailable, watch
from iommutui.sources.machine import read_lockdown
from iommutui.sources.names import PLACES, hardware_database

_SIGNS = {"ok": "✔", "warning": "!", "problem": "✖", "unknown": "?"}
_COLUMNS, _LINES = 60, 18
"""The least that the screen needs."""
_NO_PASSTHROUGH = "No device can be handed to a virtual machine."


class Finding(NamedTuple):
    """The answer of a check: ``ok``, ``warning`` (something works only partly), ``problem`` or ``unknown``."""

    check: str
    state: str
    text: str
    cost: str = ""
    """The features that do not work because of it."""
    remedy: str = ""


def run(options: Options) -> int:
    """Prints a line for each check; ERROR where one found a problem."""
    recorded = options.demo or options.source is not None
    findings = [*([] if recorded else _program()), *_machine(options)]
    if options.json:
        write_json({"version": version_line(), "checks": [each._asdict() for each in findings]})
    else:
        lines = [version_line()]
        for each in findings:
            lines.append(f"{_SIGNS[each.state]} {each.check}: {each.text}")
            lines += [f"  {words}" for words in (each.cost, each.remedy) if words]
        write_lines(lines)
    return Exit.ERROR if any(each.state == "problem" for each in findings) else Exit.DONE


def _program() -> Iterator[Finding]:
    """Checks of what the program itself needs on this machine."""
    yield _events()
    yield _names()
    if sys.stdout.isatty():
        yield _size()
        yield _colours()
    else:
        yield Finding("terminal", "unknown", "Standard output is not a terminal, so its colours and size are unknown.")
    yield _root()
    yield _journals()
    yield _settings()


def _machine(options: Options) -> Iterator[Finding]:
    """Checks of what passthrough needs from the kernel, on this machine or a recorded one."""
    try:
        host = read_host(options)
    except SourceError as error:
        yield Finding("machine", "problem", error.what, "None of its devices can be shown.", error.remedy)
        return
    yield _kernel(host)
    yield _iommu(host)
    yield _vfio_pci(host)
    if host.groups:
        yield _interrupts(host.interrupt_remapping)
    root = HERE if options.source is None else options.source[0]
    yield _lockdown(read_lockdown(root) if os.path.isdir(root) and not options.demo else None)


def _events() -> Finding:
    answer = watch(lambda: None)
    if isinstance(answer, Unavailable):
        cost = "The screen does not update by itself; press r to rescan."
        return Finding("live updates", "warning", answer.why, cost, answer.remedy)
    answer.stop()
    return Finding("live updates", "ok", "pyudev and libudev receive the kernel's events.")


def _names() -> Finding:
    if any(os.path.isfile(f"/{place}") for place in PLACES) or hardware_database() is not None:
        return Finding("names", "ok", "pci.ids or udev's hardware database names vendors and devices.")
    what = "Neither pci.ids nor udev's hardware database was found."
    remedy = "Install the package pci.ids (Debian, Ubuntu) or hwdata (Arch, Fedora, openSUSE)."
    return Finding("names", "warning", what, "Vendors and devices are shown by their numbers.", remedy)


def _size() -> Finding:
    columns, lines = os.get_terminal_size(sys.stdout.fileno())
    text = f"The terminal has {columns} columns and {lines} lines."
    if columns >= _COLUMNS and lines >= _LINES:
        return Finding("terminal size", "ok", text)
    cost = f"The screen needs {_COLUMNS} by {_LINES}; the commands work at any size."
    return Finding("terminal size", "warning", text, cost, "Enlarge the window, or use a smaller font.")


def _colours() -> Finding:
    import curses

    kind = os.environ.get("TERM", "")
    try:
        curses.setupterm(kind, sys.stdout.fileno())
    except curses.error:
        remedy = "Set TERM to the terminal's type, such as xterm-256color, or install ncurses-term."
        return Finding("colours", "warning", f"TERM={kind} is not a known terminal.", "Colours may be wrong.", remedy)
    return Finding("colours", "ok", f"The terminal supports {max(curses.tigetnum('colors'), 0)} colours ({kind}).")


def _root() -> Finding:
    program = root_program()
    if program is None:
        what = f"This user is not root, and none of {', '.join(PROGRAMS)} is installed."
        remedy = "Install sudo or polkit, or run them in a root shell."
        return Finding("root", "problem", what, "apply and revert cannot write; everything else works.", remedy)
    return Finding(
        "root", "ok", f"apply and revert become root through {program}." if program else "This user is root."
    )


def _journals() -> Finding:
    directory = journal_dir()
    try:
        check_trusted(directory)
    except IommutuiError as error:
        return Finding("journals", "problem", error.what, "apply and revert refuse to write.", error.remedy)
    except FileNotFoundError:
        return Finding("journals", "ok", f"Nothing has been applied yet; journals will be in {directory}.")
    except OSError as error:
        return Finding("journals", "unknown", f"{directory} cannot be read: {error.strerror}.")
    return Finding("journals", "ok", f"Journals are in {directory}.")


def _settings() -> Finding:
    wrong = read_settings().wrong
    if wrong:
        what = " ".join(error.what for error in wrong)
        return Finding("settings", "warning", what, "The rest of the settings is used.", wrong[0].remedy)
    path = settings_path()
    words = f"{path} has no mistakes." if os.path.lexists(path) else f"There is no settings file; it would be {path}."
    return Finding("settings", "ok", words)


def _kernel(host: Host) -> Finding:
    model = model_for(host.kernel)
    if host.kernel is None:
        cost = f"The rules of the newest kernels are used ({model.name})."
        return Finding("kernel", "unknown", "The kernel's release is unknown.", cost, "Name it with --kernel.")
    return Finding("kernel", "ok", f"Linux {host.kernel}; its rules are those of the model {model.name}.")


def _iommu(host: Host) -> Finding:
    if host.groups:
        return Finding("IOMMU", "ok", f"The IOMMU is on: {len(host.groups)} groups.")
    what, *advice = no_iommu_advice(host)
    return Finding("IOMMU", "problem", what, _NO_PASSTHROUGH, " ".join(advice))


def _vfio_pci(host: Host) -> Finding:
    if VFIO_PCI in host.lacks:
        remedy = "Install the package with the kernel's extra modules."
        return Finding("vfio-pci", "problem", "This kernel has no module vfio-pci.", _NO_PASSTHROUGH, remedy)
    if host.gap("modules.alias") is None or (host.drivers is not None and host.has_driver(VFIO_PCI)):
        return Finding("vfio-pci", "ok", "This kernel has vfio-pci.")
    return Finding("vfio-pci", "unknown", "Whether this kernel has vfio-pci is unknown: its modules were not found.")


def _interrupts(on: bool | None) -> Finding:
    check = "interrupt remapping"
    if on:
        return Finding(check, "ok", "Interrupts are remapped.")
    if on is None:
        what = "Whether interrupts are remapped is unknown: /proc/interrupts does not show it."
        return Finding(check, "unknown", what)
    return Finding(
        check,
        "problem",
        "Interrupts are not remapped.",
        "VFIO refuses to attach a group (EPERM), because a device could forge interrupts.",
        "Turn on interrupt remapping or x2APIC in the firmware setup, and remove intremap=off from the kernel command "
        "line. vfio_iommu_type1.allow_unsafe_interrupts=1 works without it, but lets a guest attack the host.",
    )


def _lockdown(mode: str | None) -> Finding:
    if mode is None:
        what = "Whether the kernel is locked down is unknown: securityfs does not show it."
        return Finding("lockdown", "unknown", what)
    if mode == "none":
        return Finding("lockdown", "ok", "The kernel is not locked down.")
    return Finding(
        "lockdown",
        "warning",
        f"The kernel is locked down ({mode}), as Secure Boot asks for.",
        "Unsigned modules do not load (vendor-reset, drivers that DKMS builds); vfio-pci is not affected.",
        "Sign them with an enrolled key (mokutil), or turn Secure Boot off.",
    )
