"""The privileged entry: what an unprivileged program may ask for is a list of intents, and nothing else.

There is no path, command or file name in a request. Every write is computed here, from a fresh look at the machine, and
the facts that the asking program had seen are compared with it.
"""

import json
import re
from typing import NamedTuple

from iommutui.apply.admission import refuse_drift
from iommutui.apply.checked import parse
from iommutui.apply.plain import Json, to_plain
from iommutui.core.address import parse_pci
from iommutui.core.drift import Basis
from iommutui.core.errors import IommutuiError, RefusedError
from iommutui.core.host import Host
from iommutui.core.intents import Intent
from iommutui.core.models import MODELS, model_for
from iommutui.core.planner import Plan, plan_intents
from iommutui.core.wording import sentence

SCHEMA = 1
SIZE_LIMIT = 1 << 20
"""No request is longer, in bytes."""

_TARGET = re.compile(r"[A-Za-z0-9_.+-]{1,128}")


class Request(NamedTuple):
    """What is asked for, and the facts that it was decided on."""

    intents: tuple[Intent, ...]
    basis: Basis
    model: str | None = None
    """None: that of the running kernel."""


class _Form(NamedTuple):
    """A request as it is sent."""

    schema: int
    intents: tuple[Intent, ...]
    basis: Basis
    model: str | None = None
    kernel: None = None
    """Nobody tells a privileged program which kernel is running."""


def basis_to_json(basis: Basis) -> Json:
    """The basis as a request holds it."""
    return to_plain(basis)


def request_to_json(request: Request) -> str:
    """The text that `apply_request` reads."""
    return json.dumps(to_plain(_Form(SCHEMA, *request)))


def apply_request(text: str) -> Request:
    """The request in the text; IommutuiError for anything that is none."""
    what = "The request to apply"
    if len(text) > SIZE_LIMIT or len(text.encode(errors="replace")) > SIZE_LIMIT:
        raise IommutuiError(f"{what} is longer than {SIZE_LIMIT} bytes.")
    form = parse(_Form, text.encode(errors="replace"), what)
    if form.schema != SCHEMA:
        raise IommutuiError(f"{what} has schema {form.schema}, and this program knows {SCHEMA}.")
    if form.model is not None and form.model not in MODELS:
        raise IommutuiError(f"{what} names a model that there is not.", f"The models are {', '.join(MODELS)}.")
    if not form.intents:
        raise IommutuiError(f"{what} holds no intent.")
    seen: set[str] = set()
    for intent in form.intents:
        if parse_pci(intent.device) != intent.device:
            raise IommutuiError(f"{what} names a device that is no PCI address.")
        if _TARGET.fullmatch(intent.target) is None:
            raise IommutuiError(f"{what} holds a target for {intent.device} that is no driver's name.")
        if intent.device in seen:
            raise IommutuiError(f"{what} holds two intents for {intent.device}.")
        seen.add(intent.device)
    return Request(form.intents, form.basis, form.model)


def plan_request(request: Request, host: Host) -> Plan:
    """The plan for a fresh Host. RefusedError lists every fact that is not as the asking program saw it.

    Whatever model is asked for, what the running kernel's own model does not permit is refused as well.
    """
    own = model_for(host.kernel)
    model = MODELS[request.model] if request.model is not None else own
    plan = plan_intents(host, request.intents, model)
    refuse_drift(request.basis, host, [goal.device for goal in plan.goals])
    if model is not own:
        real = plan_intents(host, request.intents, own)
        if not real.permitted:
            raise RefusedError(" ".join(sentence(reason) for reason in real.refusals))
    return plan
