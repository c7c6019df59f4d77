"""Requests of an unprivileged program or a plan file: a list of intents, and nothing else.

There is no path, command or file name in a request. Every write is computed from a fresh scan, which is compared with
the facts and writes that the asking program showed, but not with its verdicts. The caller's settings (roles of
drivers) do not apply here, because they could hide a danger; so verdicts may differ.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Final, Literal, NamedTuple

from iommutui.apply.confirmation import REQUEST_LIMIT
from iommutui.apply.journal import ID, journal_dir
from iommutui.apply.journal.format import Planned
from iommutui.apply.recovery import find_revert
from iommutui.apply.validation import IGNORE_UNKNOWN, Message, parse
from iommutui.core.address import Address, parse_pci
from iommutui.core.errors import IommutuiError, RefusedError, SourceError
from iommutui.core.hazards import Acceptance, Hazard, accept_words, dangers_words, unaccepted
from iommutui.core.host import Host
from iommutui.core.models import MODELS, Model, model_for
from iommutui.core.plan.drift import Basis, drift
from iommutui.core.plan.intents import Intent
from iommutui.core.plan.planner import Plan, plan_intents
from iommutui.core.reasons import Reason
from iommutui.core.wording import changes_words, sentence

SCHEMA: Final = 1
PLAN_KIND: Final = "iommutui-plan"
PLAN_LIMIT = 16 * REQUEST_LIMIT
"""No plan file is longer, in bytes: beside a request it holds reasons and the predicted machine."""

_PLAN_REMEDY = "'iommutui plan ... -o FILE' makes a plan, for this version of iommutui."

SHORTEST, LONGEST = 1.0, 86_400.0
"""The bounds of ``keep_within``, in seconds."""

_TARGET = re.compile(r"[A-Za-z0-9_.+-]{1,128}")
_CODE = re.compile(r"[a-z0-9-]{1,64}")


def request_of(
    plan: Plan,
    intents: Iterable[Intent],
    *,
    accepted: Iterable[Acceptance] = (),
    keep_within: float | None = None,
    reverts: str | None = None,
) -> "Request":
    """The request to apply a reviewed plan; ``reverts`` is the journal that it reverts."""
    wanted = () if reverts is not None else tuple(intents)
    return Request(SCHEMA, wanted, plan.basis, plan.model, shown_of(plan), tuple(accepted), keep_within, reverts)


class Shown(NamedTuple):
    """The writes that the user reviewed; those that the applying process computes must be the same."""

    modules: tuple[str, ...]
    steps: tuple[Planned, ...]


class Request(NamedTuple):
    """The intents, and the facts that they were based on."""

    schema: Literal[1]
    intents: tuple[Intent, ...]
    """Empty for a revert."""
    basis: Basis
    model: str
    shown: Shown
    accepted: tuple[Acceptance, ...] = ()
    """The dangers that were accepted, one by one."""
    keep_within: float | None = None
    """Everything reverts unless confirmed within these seconds; None: no confirmation is needed."""
    reverts: str | None = None


def shown_of(plan: Plan) -> Shown:
    """The steps that a review of the plan shows."""
    return Shown(plan.modules, tuple(Planned(step.op, step.device, step.value) for step in plan.steps))


def check_seconds(seconds: float) -> float:
    """The seconds of ``keep_within``. Raises IommutuiError for an invalid time."""
    if not SHORTEST <= seconds <= LONGEST:
        raise IommutuiError(f"The time to confirm is {SHORTEST:.0f} to {LONGEST:.0f} seconds, not {seconds:g}.")
    return seconds


def parse_request(text: str) -> Request:
    """The request in the text. Raises IommutuiError for anything else."""
    what = "The request to apply"
    data = text.encode(errors="replace")
    if len(data) > REQUEST_LIMIT:
        raise IommutuiError(f"{what} is longer than {REQUEST_LIMIT} bytes.")
    request = parse(Request, data, what)
    if request.reverts is not None:
        if ID.fullmatch(request.reverts) is None:
            raise IommutuiError(f"{what} names a journal by something that is not a journal's id.")
        if request.intents:
            raise IommutuiError(f"{what} holds intents beside the journal that it reverts.")
    elif not request.intents:
        raise IommutuiError(f"{what} holds no intent.")
    check_plan(request.intents, request.model, what)
    for accepted in request.accepted:
        if parse_pci(accepted.device) != accepted.device or _CODE.fullmatch(accepted.code) is None:
            raise IommutuiError(f"{what} accepts something that is not a danger of a device.")
    if request.keep_within is not None:
        check_seconds(request.keep_within)
    return request


def check_plan(intents: tuple[Intent, ...], model: str, what: str) -> None:
    """Raises IommutuiError if the model is unknown, or as `check_intents` does."""
    if model not in MODELS:
        raise IommutuiError(f"{what} names an unknown model.", f"The models are {', '.join(MODELS)}.")
    check_intents(intents, what)


def check_intents(intents: tuple[Intent, ...], what: str) -> None:
    """Raises IommutuiError if one of them is not valid, or two are for one device."""
    seen: set[str] = set()
    for intent in intents:
        if parse_pci(intent.device) != intent.device:
            raise IommutuiError(f"{what} names a device that is not a PCI address.")
        if _TARGET.fullmatch(intent.target) is None:
            raise IommutuiError(f"{what} holds a target for {intent.device} that is not a driver's name.")
        if intent.device in seen:
            raise IommutuiError(f"{what} holds two intents for {intent.device}.")
        seen.add(intent.device)


def plan_request(request: Request, host: Host, boot: str | None = None) -> Plan:
    """The plan for a fresh Host, of a machine in this boot.

    RefusedError lists every fact that is not as the asking program saw it. Under any model, a plan that the running
    kernel's own model does not permit is refused too.
    """

    def compute(model: Model) -> Plan:
        if request.reverts is None:
            return plan_intents(host, request.intents, model)
        return find_revert(journal_dir(), request.reverts, host, model, boot).plan

    own, model = model_for(host.kernel), MODELS[request.model]
    plan = compute(model)
    refuse_drift(request.basis, host, [goal.device for goal in plan.goals])
    if plan.permitted and request.shown != shown_of(plan):
        raise RefusedError(
            "The writes would differ from those shown: a driver or a module has come or gone since, or your "
            "settings' [drivers] changed what was shown; root ignores them.",
            "Check its present state, and plan again; or name a driver as the target instead of 'default'.",
        )
    if model is not own:
        refuse_by_kernel(compute(own))
    return plan


def refuse_by_kernel(plan: Plan) -> None:
    """Raises RefusedError if the plan by the running kernel's own model is not permitted, whatever another says."""
    refuse_unpermitted(plan.refusals, "The rules of the running kernel do not permit this: ")


def refuse_unpermitted(refusals: Sequence[Reason], lead: str = "", remedy: str = "") -> None:
    """Raises RefusedError that names each reason, if there is one."""
    if refusals:
        raise RefusedError(lead + " ".join(map(sentence, refusals)), remedy)


def refuse_drift(basis: Basis, host: Host, addresses: list[Address]) -> None:
    """Raises RefusedError that lists each fact that has changed since the plan was made."""
    changes = drift(basis, host, addresses)
    if changes:
        raise RefusedError(
            f"The machine has changed since this was planned: {changes_words(changes)}.",
            "Check its present state, and plan again.",
        )


def refuse_dangers(hazards: Iterable[Hazard], accepted: Collection[Acceptance]) -> None:
    """Raises RefusedError that names each danger not accepted, its evidence, and the words that accept it."""
    left = unaccepted(dict.fromkeys(hazards), accepted)
    if left:
        raise RefusedError(dangers_words(left), accept_words(left))


# -- plan files


class _PlanForm(Message):
    """The parts of a plan file that are used. The rest is for people."""

    __pydantic_config__ = IGNORE_UNKNOWN
    kind: Literal["iommutui-plan"]
    schema: Literal[1]
    intents: tuple[Intent, ...]
    model: str
    basis: Basis
    modules: tuple[str, ...]
    steps: tuple[Planned, ...]


def read_plan(path: str) -> Request:
    """The request in the file, and the steps shown. Raises IommutuiError if it is no plan or unreadable."""
    try:
        with open(path, "rb") as file:
            text = file.read(PLAN_LIMIT + 1)
    except OSError as error:
        raise SourceError(f"The plan {path} cannot be read: {error.strerror}.", _PLAN_REMEDY) from None
    if len(text) > PLAN_LIMIT:
        raise SourceError(f"{path} is too long for a plan.", _PLAN_REMEDY)
    return parse_plan(text, f"The plan {path}")


def parse_plan(text: bytes, what: str) -> Request:
    """The request in the text of a plan file; IommutuiError, which begins with ``what``, for anything else."""
    form = parse(_PlanForm, text, what, _PLAN_REMEDY)
    check_plan(form.intents, form.model, what)
    return Request(SCHEMA, form.intents, form.basis, form.model, Shown(form.modules, form.steps))
