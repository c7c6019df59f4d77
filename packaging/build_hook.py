"""The manual page and the completions for bash, zsh and fish, generated from the parsers of the command line.

hatchling runs this when it builds a wheel, and puts the files below ``share``.
"""

import argparse
import os
import re
import shlex
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from textwrap import wrap
from typing import Any, NamedTuple

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).parents[1]))

from iommutui.cli.parser import COMMANDS, SCREEN, Command, command_parser
from iommutui.core.errors import Exit
from iommutui.core.models import MODELS


class SharedFiles(BuildHookInterface):  # type: ignore[type-arg]
    """Generates the files for each wheel; an editable install has none."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Adds each file under its name below the installation's prefix."""
        if version == "editable":
            return
        share = Path(self.root, "build", "share")
        for path in write(share):
            build_data["shared_data"][str(path)] = str(path.relative_to(share.parent))


def write(share: Path) -> list[Path]:
    """Writes the files, and returns their paths."""
    made = {
        share / "man/man1/iommutui.1": manual(),
        share / "bash-completion/completions/iommutui": bash(),
        share / "zsh/site-functions/_iommutui": zsh(),
        share / "fish/vendor_completions.d/iommutui.fish": fish(),
    }
    for path, text in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(made)


class Argument(NamedTuple):
    """An option or a positional argument (without ``flags``); ``value`` is its metavar, empty for a switch."""

    flags: tuple[str, ...]
    value: str
    help: str
    many: bool

    @property
    def kind(self) -> str:
        """What completes its value."""
        return KINDS.get(self.value, "none")


def arguments_of(command: Command) -> list[Argument]:
    """The arguments of a command, in the order of its help."""
    return [
        Argument(
            tuple(action.option_strings),
            str(action.metavar) if action.nargs != 0 else "",
            action.help or "",
            action.nargs in ("*", "+") or type(action).__name__ == "_AppendAction",
        )
        for action in command_parser(command)._actions
        if action.help != argparse.SUPPRESS
    ]


# The manual page, in mdoc(7).

ENVIRONMENT = {
    "IOMMUTUI_DEBUG": "A file to which the program writes a trace of its work; 1 stands for standard error.",
    "IOMMUTUI_STATE_DIR": "The state directory, in place of /var/lib/iommutui.",
    "NO_COLOR": "If set, no colours are used.",
    "XDG_CONFIG_HOME": "The directory that holds iommutui/config.toml, in place of ~/.config.",
    "XDG_STATE_HOME": "The directory for the screen's marks and layout, in place of ~/.local/state.",
}
FILES = {
    "~/.config/iommutui/config.toml": "The settings: roles of drivers, keys and theme of the screen.",
    "/var/lib/iommutui/journal/": "A journal for each apply to this machine.",
    "/etc/iommutui/persist.conf": "The bindings that persist.",
}


def manual() -> str:
    """iommutui(1)."""
    day = datetime.fromtimestamp(float(os.environ.get("SOURCE_DATE_EPOCH") or time.time()), UTC)
    common = arguments_of(SCREEN)
    shared = {argument.flags for argument in common}
    commands = ""
    for command in COMMANDS:
        own = [argument for argument in arguments_of(command) if argument.flags not in shared]
        commands += f".Ss {command.name}\n{_sentences(command.help)}\n{_arguments(own)}"
    return f"""\
.Dd {day:%B} {day.day}, {day.year}
.Dt IOMMUTUI 1
.Os
.Sh NAME
.Nm iommutui
.Nd explore IOMMU groups and rebind their devices
.Sh SYNOPSIS
.Nm
.Op Ar option ...
.Op Ar command Op Ar argument ...
.Sh DESCRIPTION
.Nm
shows the IOMMU groups of a machine, explains which of them can be handed to a
virtual machine and why others cannot, and rebinds their devices so that the
change can be reverted.
Without a command it opens the screen or, without a terminal, prints the
listing.
.Pp
These options name the machine and its rules, before a command or after it:
{_arguments(common)}\
.Sh COMMANDS
{commands}\
.Sh DEVICES AND TARGETS
A
.Ar DEVICE
is an address (0000:01:00.0, 01:00.0 or pci_0000_01_00_0), ids that fit one
device (10de:2204), or a network interface (eth0).
A
.Ar TARGET
is vfio-pci or another VFIO driver that fits the device, pci-stub, none (no
driver), default (what the kernel chooses), or a host driver that supports the
device.
.Sh ENVIRONMENT
{_definitions((f"Ev {name}", text) for name, text in ENVIRONMENT.items())}\
.Sh FILES
{_definitions((f"Pa {name}", text) for name, text in FILES.items())}\
.Sh EXIT STATUS
{_definitions((str(int(code)), code.meaning) for code in Exit)}\
.Pp
diff exits with 1 if something differs, and doctor if it finds a problem.
.Sh EXAMPLES
See what blocks a graphics card, free it, and revert:
.Bd -literal -offset indent
iommutui list class:gpu
iommutui why 01:00.0
iommutui plan --card 01:00.0 -o gpu.json
iommutui apply gpu.json --keep-within 30
iommutui revert
.Ed
.Sh SEE ALSO
virsh(1), driverctl(8), lspci(8)
"""


def _arguments(arguments: Iterable[Argument]) -> str:
    terms = []
    for flags, value, words, many in arguments:
        # Fl adds the first dash itself.
        names = " , ".join("Fl " + flag[1:].replace("-", "\\-") for flag in flags)
        repeated = " ..." if many and not flags else ""
        terms.append((f"{names} Ar {value}{repeated}".strip() if value else names, words))
    return _definitions(terms)


def _definitions(terms: Iterable[tuple[str, str]]) -> str:
    items = "".join(f".It {term}\n{_sentences(text)}\n" for term, text in terms)
    return f".Bl -tag -width Ds\n{items}.El\n" if items else ""


def _sentences(text: str) -> str:
    """The text as sentences, escaped for mdoc, each beginning on a line of its own."""
    text = f"{text[0].upper()}{text[1:].removesuffix('.')}."
    parts = re.split(r"(?<=[.?!]) (?=[A-Z])", text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq"))
    return "\n".join(line for part in parts for line in wrap(part, 78))


# Completions.

KINDS = {
    "FILE": "files",
    "PATH": "files",
    "DEVICE": "devices",
    "GROUP|DEVICE": "devices",
    "DEVICE=TARGET": "intents",
    "NAME": "models",
}
"""What completes a value, by its metavar."""

NAMES = " ".join(command.name for command in COMMANDS)
TARGETS = "vfio-pci pci-stub none default"
DEVICE_NAMES = "command ls /sys/bus/pci/devices 2>/dev/null"


def _all() -> Iterator[tuple[str, list[Argument]]]:
    """Each command with its arguments; the program without a command has the empty name."""
    for command in (SCREEN, *COMMANDS):
        yield "" if command is SCREEN else command.name, arguments_of(command)


def bash() -> str:
    """For bash: each command's options, the kind of its arguments, and the kind of each option's value."""
    by_command = ""
    kinds: dict[str, str] = {}
    for name, arguments in _all():
        flags = " ".join(flag for argument in arguments for flag in argument.flags)
        kind = next((argument.kind for argument in arguments if not argument.flags), "none")
        by_command += f"""        {name or "''"}) flags="{flags}" kind={kind} ;;\n"""
        kinds |= {flag: argument.kind for argument in arguments for flag in argument.flags if argument.value}
    by_flag = "".join(f"        {flag}) kind={kind} ;;\n" for flag, kind in kinds.items())
    return f"""\
# bash completion for iommutui

_iommutui() {{
    local line=${{COMP_LINE:0:COMP_POINT}} cur="" prev="" command="" word flags="" kind=none
    local -a words
    read -ra words <<<"$line"
    [[ $line == *[[:space:]] ]] && words+=("")
    cur=${{words[-1]}}
    prev=${{words[-2]}}
    for word in "${{words[@]:1:${{#words[@]}}-2}}"; do
        case " {NAMES} " in *" $word "*) command=$word; break ;; esac
    done
    case "$command" in
{by_command}\
    esac
    [[ -z $command && $cur != -* ]] && kind=commands
    case "$prev" in
{by_flag}\
    esac
    [[ $cur == -* ]] && kind=flags
    local choices=""
    case $kind in
        flags) choices=$flags ;;
        commands) choices="{NAMES}" ;;
        models) choices="{" ".join(MODELS)}" ;;
        devices) choices=$({DEVICE_NAMES}) ;;
        intents)
            if [[ $cur == *=* ]]; then
                for word in {TARGETS}; do choices+="${{cur%%=*}}=$word "; done
            else
                choices=$({DEVICE_NAMES})
                compopt -o nospace 2>/dev/null
                choices=${{choices//$'\\n'/=$'\\n'}}${{choices:+=}}
            fi ;;
    esac
    if [[ $kind == files ]]; then
        compopt -o default 2>/dev/null
        COMPREPLY=()
        return
    fi
    mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$cur")
    # Colons and equals signs divide words for readline, which wants what follows the last of them.
    local before=${{cur%"${{cur##*[:=]}}"}}
    COMPREPLY=("${{COMPREPLY[@]#"$before"}}")
}}
complete -F _iommutui iommutui
"""


def zsh() -> str:
    """For zsh: ``_arguments`` for each command."""
    completers = {"files": "_files", "models": f"({' '.join(MODELS)})", "none": ""}

    def specs(arguments: list[Argument]) -> str:
        found = []
        for argument in arguments:
            many = "*" if argument.many else ""
            completer = completers.get(argument.kind, f"_iommutui_{argument.kind}")
            takes = f":{argument.value}:{completer}" if argument.value else ""
            words = re.sub(r"([\[\]:\\])", r"\\\1", argument.help)
            found += [f"{many}{flag}[{words}]{takes}" for flag in argument.flags] or [f"{many}{takes}"]
        return shlex.join(found)

    described = "\n".join(f"        {shlex.quote(f'{command.name}:{command.help}')}" for command in COMMANDS)
    (_, common), *rest = _all()
    cases = "\n".join(f"                {name}) _arguments {specs(arguments)} ;;" for name, arguments in rest)
    return f"""\
#compdef iommutui

_iommutui_devices() {{
    local -a devices=(/sys/bus/pci/devices/*(N:t))
    compadd "$@" -a devices
}}

_iommutui_intents() {{
    if compset -P '*='; then
        compadd {TARGETS}
    else
        _iommutui_devices -S =
    fi
}}

_iommutui() {{
    local curcontext=$curcontext state line
    local -a commands=(
{described}
    )
    _arguments -C {specs(common)} '1:command:->command' '*::argument:->argument'
    case $state in
        command) _describe command commands ;;
        argument)
            case $line[1] in
{cases}
            esac ;;
    esac
}}

_iommutui "$@"
"""


def fish() -> str:
    """For fish: a line for each command and option."""
    completers = {
        "files": "-F",
        "devices": f'-f -a "({DEVICE_NAMES})"',
        "intents": f"-f -a \"({DEVICE_NAMES})=(string split ' ' '{TARGETS}')\"",
        "models": f'-f -a "{" ".join(MODELS)}"',
        "none": "-f",
    }
    lines = ["# fish completion for iommutui", "complete -c iommutui -f"]
    lines += [f"complete -c iommutui -n __fish_use_subcommand -a {c.name} -d {shlex.quote(c.help)}" for c in COMMANDS]
    for name, arguments in _all():
        when = f"-n '__fish_seen_subcommand_from {name}'" if name else "-n __fish_use_subcommand"
        for argument in arguments:
            names = " ".join(f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in argument.flags)
            completer = completers[argument.kind]
            if argument.flags:
                takes = f" -r {completer}" if argument.value else ""
                lines.append(f"complete -c iommutui {when} {names}{takes} -d {shlex.quote(argument.help)}")
            elif argument.kind != "none":
                lines.append(f"complete -c iommutui {when} {completer}")
    return "\n".join(lines) + "\n"
