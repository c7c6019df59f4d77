"""What commands do where the machine is a recording: say so in what they print, or refuse."""

from iommutui.cli.parser import Options
from iommutui.core.errors import RefusedError

_SHOWN = "'iommutui preview' and 'iommutui plan' show what would happen on it; nothing is written."
_LOGGED = "What the screen applies to it is simulated: its log (L) has it as long as the screen is open."
_INSTEAD = {"apply": _SHOWN}


def refuse_recorded(options: Options, command: str) -> None:
    """Only the running machine can be written and has journals, under the rules of its own kernel."""
    if options.source is not None or options.demo:
        other = " and ".join(options.source or ()) or "the built-in machine of --demo"
        raise RefusedError(
            f"'{command}' is for the machine that this runs on, and {other} is only a picture of one.",
            _INSTEAD.get(command, _LOGGED),
        )
    if options.kernel is not None:
        raise RefusedError(f"'{command}' goes by the kernel that is running.", "Leave --kernel out.")


def same_machine(options: Options) -> str:
    """The options that make another command speak of the same machine by the same rules, to stand behind its words."""
    words = ["--demo"] if options.demo else []
    for source in options.source or ():
        words += ["--from", source]
    for option, value in (("--kernel", options.kernel), ("--model", options.model)):
        if value is not None:
            words += [option, value]
    if not words:
        return ""
    import shlex

    return f" {shlex.join(words)}"


def said_of(options: Options, text: str) -> str:
    """A text in which every command that it names (``'iommutui why 14'``) speaks of the same machine."""
    there = same_machine(options)
    if not there:
        return text
    import re

    return re.sub(r"'(iommutui (?:list|why|preview|plan)\b[^']*)'", lambda found: f"'{found[1]}{there}'", text)
