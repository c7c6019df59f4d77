"""The command line's side of an applying process: its events are printed, and what is typed is passed on."""

import os
import select
import signal
import sys
from contextlib import suppress

from iommutui.apply.elevation import Applying
from iommutui.apply.events import Counting, Finished, Refused
from iommutui.apply.request import Request
from iommutui.cli.event_printer import EventPrinter
from iommutui.cli.output import complain
from iommutui.core.errors import Exit

_KEEP = frozenset({"keep", "k", "yes", "y"})
_UNDO = frozenset({"undo", "u", "no", "n"})


def listen(applying: Applying, request: Request, printer: EventPrinter) -> int:
    """Starts it, prints what it says, and returns how it ended.

    Ctrl+C is for the applying process, which takes everything back; this one goes on to tell of it.
    """
    before = signal.signal(signal.SIGINT, lambda *_: None)
    code = Exit.ERROR
    counting = False
    try:
        applying.begin(request)
        for event in applying.events():
            if isinstance(event, Counting):
                if not counting:
                    _forget_typed()
                    counting = True
                _pass_on(applying)
            if isinstance(event, Finished | Refused):
                code = event.exit
            printer.show(event)
    finally:
        signal.signal(signal.SIGINT, before)
    return code


def _forget_typed() -> None:
    """What was typed before there was anything to keep says nothing about it."""
    if sys.stdin.isatty():
        import termios

        with suppress(termios.error):
            termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)


def _pass_on(applying: Applying) -> None:
    """A word that was typed; Enter alone means nothing, so that nobody keeps what he cannot see."""
    if not sys.stdin.isatty() or not select.select([sys.stdin], [], [], 0)[0]:
        return
    with suppress(OSError):
        word = os.read(sys.stdin.fileno(), 1024).decode(errors="replace").strip().lower()
        if word in _KEEP:
            applying.keep()
        elif word in _UNDO:
            applying.undo()
        elif word:
            complain("'keep' keeps it, 'undo' takes it back at once.")
