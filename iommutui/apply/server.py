"""``iommutui apply --stdin``: the process that writes, for a program that asks it to and may not write itself."""

import sys

from iommutui import debug
from iommutui.apply.child import in_own_session
from iommutui.apply.confirmation import ConfirmationListener, RequestChannel, Timeout
from iommutui.apply.event_stream import EventStream, tell
from iommutui.apply.events import Refused
from iommutui.apply.executor import execute
from iommutui.apply.journal.directory import journal_dir
from iommutui.apply.real_kernel import RealKernel
from iommutui.apply.recovery import Retention
from iommutui.apply.request import Request, parse_request, plan_request
from iommutui.core.errors import Exit, IommutuiError
from iommutui.core.printable import printable
from iommutui.sources import load
from iommutui.sources.ssh_session import session_address


def serve(retention: Retention) -> int:
    """Reads one request, carries it out, and writes events; the exit code.

    An error before anything was written is an event as well as talk, so that nobody has to read talk.
    """
    channel = RequestChannel(sys.stdin.fileno())
    stream = EventStream(sys.stdout.fileno())
    try:
        text = channel.request()
        debug.log("request: %s", text)
        request = parse_request(text)
    except IommutuiError as error:
        return _refuse(stream, error)
    if request.keep_within is None:
        return _carry_out(request, stream, None, retention)
    timeout = Timeout(request.keep_within, ConfirmationListener(journal_dir(), channel))
    return in_own_session(lambda: _carry_out(request, stream, timeout, retention))


def _carry_out(request: Request, stream: EventStream, timeout: Timeout | None, retention: Retention) -> int:
    kernel, directory = RealKernel(), journal_dir()
    try:
        plan = plan_request(request, load(session=session_address()), directory, kernel.boot())
        debug.log("request: planned, %s steps, refusals %s", len(plan.steps), plan.refusals)
        events = execute(
            plan,
            kernel,
            directory,
            reverts=request.reverts,
            accepted=request.accepted,
            timeout=timeout,
            retention=retention,
        )
        return tell(events, stream.send, alone=timeout is not None)
    except IommutuiError as error:
        return _refuse(stream, error)


def _refuse(stream: EventStream, error: IommutuiError) -> Exit:
    for line in (f"iommutui: {error.what}", error.remedy):
        if line:
            print(printable(line), file=sys.stderr)
    stream.send(Refused(error.exit_code, error.what, error.remedy))
    return error.exit_code
