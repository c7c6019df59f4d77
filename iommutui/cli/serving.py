"""``iommutui apply --stdin``: the process that writes, for a program that asks it to and may not write itself."""

import sys
from collections.abc import Callable

from iommutui.apply.detached import in_own_session
from iommutui.apply.events import Refused
from iommutui.apply.executor import execute
from iommutui.apply.keeping import Keeping
from iommutui.apply.real import RealKernel
from iommutui.apply.session import Request, apply_request, plan_request
from iommutui.apply.state import journal_dir
from iommutui.apply.voices import Asker, Listener
from iommutui.cli.output import complain
from iommutui.cli.telling import Teller, tell
from iommutui.core.errors import Exit, IommutuiError


def serve() -> int:
    """Reads one request, carries it out, and prints events; the exit code.

    An error before anything was written is an event as well as talk, so that nobody has to read talk.
    """
    asker = Asker(sys.stdin.fileno())
    teller = Teller(as_json=True)

    def refusing(work: Callable[[], int]) -> int:
        try:
            return work()
        except IommutuiError as error:
            return _refuse(teller, error)

    try:
        request = apply_request(asker.request())
    except IommutuiError as error:
        return _refuse(teller, error)
    if request.keep_within is None:
        return refusing(lambda: _carry_out(request, teller, None))
    keeping = Keeping(request.keep_within, Listener(journal_dir(), asker))
    return in_own_session(lambda: refusing(lambda: _carry_out(request, teller, keeping)))


def _carry_out(request: Request, teller: Teller, keeping: Keeping | None) -> int:
    from iommutui.sources import load
    from iommutui.sources.ssh_session import session_address

    plan = plan_request(request, load(session=session_address()), journal_dir())
    events = execute(
        plan, RealKernel(), journal_dir(), reverts=request.reverts, accepted=request.accepted, keeping=keeping
    )
    return tell(events, teller, alone=keeping is not None)


def _refuse(teller: Teller, error: IommutuiError) -> Exit:
    complain(f"iommutui: {error.what}")
    if error.remedy:
        complain(error.remedy)
    teller.show(Refused(error.exit_code, error.what, error.remedy))
    return error.exit_code
