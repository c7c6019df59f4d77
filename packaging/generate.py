"""The manual page and the completions for bash, zsh and fish, generated from the command line parser.

``python packaging/generate.py DIRECTORY`` writes them below ``share`` there; the build of the wheel does the same.
"""

import argparse
import os
import re
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from textwrap import wrap
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from iommutui.cli.parser import COMMANDS, Command, command_parser, screen_parser
from iommutui.core.errors import Exit
from iommutui.core.models import MODELS

TARGETS = ("vfio-pci", "pci-stub", "none", "default")

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


class Option(NamedTuple):
    """An option or a positional argument (without ``flags``); ``value`` is its metavar, empty for a switch."""

    flags: tuple[str, ...]
    value: str
    help: str
    many: bool
    required: bool


def options_of(parser: argparse.ArgumentParser) -> list[Option]:
    """The arguments of a parser, in the order of its help."""
    found = []
    for action in parser._actions:
        if action.help == argparse.SUPPRESS:
            continue
        value = str(action.metavar or action.dest) if action.nargs != 0 else ""
        many = action.nargs in ("*", "+") or type(action).__name__ == "_AppendAction"
        required = action.nargs == "+" and not action.option_strings
        found.append(
            Option(tuple(action.option_strings), value, (action.help or "").replace("%%", "%"), many, required)
        )
    return found


def files(share: Path) -> dict[Path, str]:
    """Each file below ``share`` with its content."""
    return {
        share / "man/man1/iommutui.1": manual(),
        share / "bash-completion/completions/iommutui": bash(),
        share / "zsh/site-functions/_iommutui": zsh(),
        share / "fish/vendor_completions.d/iommutui.fish": fish(),
    }


def write(share: Path) -> list[Path]:
    """Writes the files, and returns their paths."""
    made = files(share)
    for path, text in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(made)


# The manual page, in mdoc(7).


def manual() -> str:
    """iommutui(1)."""
    source = os.environ.get("SOURCE_DATE_EPOCH")
    day = datetime.fromtimestamp(int(source), UTC) if source else datetime.now(UTC)
    top = options_of(screen_parser())
    lines = [
        f".Dd {day:%B} {day.day}, {day.year}",
        ".Dt IOMMUTUI 1",
        ".Os",
        ".Sh NAME",
        ".Nm iommutui",
        ".Nd explore IOMMU groups and rebind their devices",
        ".Sh SYNOPSIS",
        *_synopsis("", top),
        *(line for command in COMMANDS for line in _synopsis(command.name, options_of(command_parser(command)))),
        ".Sh DESCRIPTION",
        ".Nm",
        "shows the IOMMU groups of a machine, explains which of them can be handed to a virtual machine and why others",
        "cannot, and rebinds their devices so that the change can be reverted.",
        "Without a command it opens the screen or, without a terminal, prints the listing.",
        ".Pp",
        "These options name the machine and its rules, before a command or after it:",
        *_list(top),
        ".Sh COMMANDS",
        *(line for command in COMMANDS for line in _command(command)),
        ".Sh DEVICES AND TARGETS",
        "A",
        ".Ar DEVICE",
        "is an address (0000:01:00.0, 01:00.0 or pci_0000_01_00_0), ids that fit one device (10de:2204), or a network",
        "interface (eth0).",
        "A",
        ".Ar TARGET",
        "is vfio-pci or another VFIO driver that fits the device, pci-stub, none (no driver), default (what the kernel",
        "chooses), or a host driver that supports the device.",
        ".Sh ENVIRONMENT",
        *_terms((f".Ev {name}", text) for name, text in ENVIRONMENT.items()),
        ".Sh FILES",
        *_terms((f".Pa {name}", text) for name, text in FILES.items()),
        ".Sh EXIT STATUS",
        *_terms((str(int(code)), f"{code.meaning.capitalize()}.") for code in Exit),
        ".Pp",
        "diff exits with 1 if something differs, and doctor if it finds a problem.",
        ".Sh EXAMPLES",
        "See what blocks a graphics card, free it, and revert:",
        ".Bd -literal -offset indent",
        "iommutui list class:gpu",
        "iommutui why 01:00.0",
        "iommutui plan --card 01:00.0 -o gpu.json",
        "iommutui apply gpu.json --keep-within 30",
        "iommutui revert",
        ".Ed",
        ".Sh SEE ALSO",
        "virsh(1), driverctl(8), lspci(8)",
    ]
    return "".join(f"{line}\n" for text in lines for line in _short(text))


def _short(text: str) -> list[str]:
    """Wraps a line of text; a request stays whole."""
    return [text] if text.startswith(".") else [part for line in text.split("\n") for part in wrap(line, 78)]


def _synopsis(name: str, options: list[Option]) -> Iterator[str]:
    yield ".Nm"
    if name:
        yield f".Cm {name}"
    common = {flag for option in options_of(screen_parser()) for flag in option.flags}
    for option in options:
        if name and common & set(option.flags):
            continue
        if option.flags:
            value = f" Ar {option.value}" if option.value else ""
            yield f".Op Fl {_flag(option.flags[0])}{value}"
        elif option.required:
            yield f".Ar {option.value} ..."
        else:
            yield f".Op Ar {option.value}{' ...' if option.many else ''}"


def _flag(flag: str) -> str:
    """The option for ``Fl``, which adds the first dash itself."""
    return flag[1:].replace("-", "\\-")


def _command(command: Command) -> Iterator[str]:
    yield f".Ss {command.name}"
    yield _text(f"{command.help[0].upper()}{command.help[1:]}.")
    common = {flag for option in options_of(screen_parser()) for flag in option.flags}
    yield from _list([o for o in options_of(command_parser(command)) if not common & set(o.flags)])


def _list(options: list[Option]) -> Iterator[str]:
    if not options:
        return
    yield ".Bl -tag -width Ds"
    for option in options:
        value = f" Ar {option.value}" if option.value else ""
        names = " , ".join(f"Fl {_flag(flag)}" for flag in option.flags)
        yield f".It {names}{value}" if names else f".It Ar {option.value}"
        yield _text(f"{option.help[0].upper()}{option.help[1:]}.")
    yield ".El"


def _terms(terms: Iterator[tuple[str, str]]) -> Iterator[str]:
    yield ".Bl -tag -width Ds"
    for term, text in terms:
        yield f".It {term[1:] if term.startswith('.') else term}"
        yield _text(text)
    yield ".El"


def _text(text: str) -> str:
    """The text escaped for mdoc, with each sentence on its own line."""
    plain = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return re.sub(r"(?<=[.?!]) (?=[A-Z])", "\n", plain.removesuffix("..") + ("." if plain.endswith("..") else ""))


# Completions.


def kind_of(value: str) -> str:
    """The kind of completion for a value, by its metavar: files, devices, intents, groups, models, or nothing."""
    if value in ("FILE", "PATH", "A", "B"):
        return "files"
    if "DEVICE=TARGET" in value:
        return "intents"
    return {"DEVICE": "devices", "GROUP|DEVICE": "devices", "N": "groups", "NAME": "models"}.get(value, "")


def bash() -> str:
    """For bash: each command's options, the kind of its arguments, and the kind of each option's value."""
    commands: list[str] = []
    values: dict[str, str] = {}
    for name, options in _all():
        flags = " ".join(flag for option in options for flag in option.flags)
        kind = next((kind_of(option.value) for option in options if not option.flags), "")
        commands.append(f"""        {name or "''"}) flags="{flags}" kind={kind or "none"} ;;""")
        values |= {flag: kind_of(option.value) or "none" for option in options for flag in option.flags if option.value}
    by_command = "\n".join(commands)
    by_flag = "\n".join(f"        {flag}) kind={kind} ;;" for flag, kind in values.items())
    names = " ".join(command.name for command in COMMANDS)
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
        case " {names} " in *" $word "*) command=$word; break ;; esac
    done
    case "$command" in
{by_command}
    esac
    [[ -z $command && $cur != -* ]] && kind=commands
    case "$prev" in
{by_flag}
    esac
    [[ $cur == -* ]] && kind=flags
    local choices=""
    case $kind in
        flags) choices=$flags ;;
        commands) choices="{names}" ;;
        models) choices="{" ".join(MODELS)}" ;;
        groups) choices=$(command ls /sys/kernel/iommu_groups 2>/dev/null) ;;
        devices) choices=$(command ls /sys/bus/pci/devices 2>/dev/null) ;;
        intents)
            if [[ $cur == *=* ]]; then
                for word in {" ".join(TARGETS)}; do choices+="${{cur%%=*}}=$word "; done
            else
                choices=$(command ls /sys/bus/pci/devices 2>/dev/null)
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
    completers = {
        "files": "_files",
        "devices": "_iommutui_devices",
        "intents": "_iommutui_intents",
        "groups": "_iommutui_groups",
        "models": f"({' '.join(MODELS)})",
        "": "",
    }

    def spec(option: Option) -> str:
        text = re.sub(r"([\[\]:\\])", r"\\\1", option.help).replace("'", "'\\''")
        value = option.value.replace(":", "\\:")
        takes = f":{value}:{completers[kind_of(option.value)]}" if option.value else ""
        if not option.flags:
            return f"'{'*' if option.many else ''}{takes or ':'}'" if option.many else f"'{takes}'"
        return " ".join(f"'{'*' if option.many else ''}{flag}[{text}]{takes}'" for flag in option.flags)

    commands = "\n".join(
        f"    '{command.name}:{command.help.replace(chr(39), chr(39) + chr(92) + chr(39) * 2)}'" for command in COMMANDS
    )
    cases = "\n".join(
        f"        {name})\n            _arguments {' '.join(spec(option) for option in options)} ;;"
        for name, options in _all()
        if name
    )
    top = " ".join(spec(option) for option in options_of(screen_parser()))
    return f"""\
#compdef iommutui

_iommutui_devices() {{
    local -a devices=(/sys/bus/pci/devices/*(N:t))
    compadd -a devices
}}

_iommutui_groups() {{
    local -a groups=(/sys/kernel/iommu_groups/*(N:t))
    compadd -a groups
}}

_iommutui_intents() {{
    if compset -P '*='; then
        compadd {" ".join(TARGETS)}
    else
        local -a devices=(/sys/bus/pci/devices/*(N:t))
        compadd -S = -a devices
    fi
}}

_iommutui() {{
    local curcontext=$curcontext state line
    local -a commands=(
{commands}
    )
    _arguments -C {top} '1:command:->command' '*::argument:->argument'
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
        "files": " -r -F",
        "devices": ' -x -a "(command ls /sys/bus/pci/devices 2>/dev/null)"',
        "intents": " -x -a \"(command ls /sys/bus/pci/devices 2>/dev/null)=(string split ' ' '"
        + " ".join(TARGETS)
        + "')\"",
        "groups": ' -x -a "(command ls /sys/kernel/iommu_groups 2>/dev/null)"',
        "models": f' -x -a "{" ".join(MODELS)}"',
        "": " -x",
    }
    lines = ["# fish completion for iommutui", "complete -c iommutui -f"]
    lines += [f"complete -c iommutui -n __fish_use_subcommand -a {c.name} -d {_quoted(c.help)}" for c in COMMANDS]
    for name, options in _all():
        when = f"-n '__fish_seen_subcommand_from {name}'" if name else "-n __fish_use_subcommand"
        for option in options:
            takes = completers[kind_of(option.value)] if option.value else ""
            names = " ".join(f"-l {f[2:]}" if f.startswith("--") else f"-s {f[1:]}" for f in option.flags)
            if names:
                lines.append(f"complete -c iommutui {when} {names}{takes} -d {_quoted(option.help)}")
            elif kind_of(option.value):
                lines.append(f"complete -c iommutui {when}{takes.replace(' -x', ' -f').replace(' -r', '')}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _all() -> Iterator[tuple[str, list[Option]]]:
    """Each command with its arguments; the program without a command has the empty name."""
    yield "", options_of(screen_parser())
    for command in COMMANDS:
        yield command.name, options_of(command_parser(command))


if __name__ == "__main__":
    for written in write(Path(sys.argv[1]) / "share"):
        print(written)
