"""The process that makes a change, and the program that asks for it and may not write itself.

One request as a line of JSON goes in; events as lines of JSON come out, the last of them with an exit code.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from iommutui import sources
from iommutui.apply.child import held_signals
from iommutui.apply.confirmation import REQUEST_LIMIT
from iommutui.apply.elevation import as_root, own_program, root_program
from iommutui.apply.journal.directory import journal_dir
from iommutui.apply.persistence.request import PersistRequest, carry_out, parse_persist_request
from iommutui.apply.persistence.store import Store
from iommutui.apply.validation import parse, to_line
from iommutui.core.errors import Exit, IommutuiError


class Event(NamedTuple):
    """A line of progress; with a code, the last one."""

    text: str
    code: int | None = None
    remedy: str = ""


def machine_store() -> Store:
    """The files of this machine, and the record of the last change to them."""
    return Store(Path(sources.HERE), journal_dir().parent)


def serve() -> int:
    """``persist --stdin``: reads one request, makes the change, and writes events; the exit code.

    What was begun goes on to its end, also where nobody listens any more or a signal says to stop.
    """
    code = 0
    with held_signals():
        for event in events_of(sys.stdin.read(REQUEST_LIMIT)):
            code = event.code or 0
            with suppress(BrokenPipeError):
                os.write(1, to_line(event))
    return code


def events_of(text: str) -> Iterator[Event]:
    """What becomes of a request. It does not raise IommutuiError or OSError: they are events."""
    try:
        request = parse_persist_request(text)
        for line in carry_out(request, sources.load(), machine_store()):
            yield Event(line)
    except IommutuiError as error:
        yield Event(error.what, error.exit_code, error.remedy)
    except OSError as error:
        yield Event(f"{error.filename}: {error.strerror}.", Exit.ERROR, "Nothing was written.")
    else:
        yield Event("Done.", Exit.DONE)


def ask(request: PersistRequest) -> Iterator[Event]:
    """Has another process make the change, as root. NotPermittedError where nothing can become root."""
    command = as_root(["persist", "--stdin"], own_program(), root_program())
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):
            process.stdin.write(to_line(request))
            process.stdin.close()
        last = None
        for line in process.stdout:
            last = parse(Event, line, "What the writing process said")
            yield last
    if last is None or last.code is None:
        yield Event("The writing process ended before it had finished.", Exit.ERROR, "See 'iommutui persist --list'.")
