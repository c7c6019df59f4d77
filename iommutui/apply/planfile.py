"""Plan files: a plan that was looked at, to be carried out later if nothing of what it depends on has changed.

Of the file only the intents, the model and the basis are taken, and the steps to be compared: what is written is
computed anew, never read from it.
"""

import os
import stat
from typing import NamedTuple

from iommutui.apply.checked import object_in, parse_plain
from iommutui.apply.lines import Planned
from iommutui.apply.plain import Json
from iommutui.apply.session import SIZE_LIMIT as REQUEST_LIMIT
from iommutui.apply.session import Request, Shown, check_intents
from iommutui.core.errors import SourceError
from iommutui.core.models import MODELS
from iommutui.core.plan.drift import Basis
from iommutui.core.plan.intents import Intent

KIND = "iommutui-plan"
SCHEMA = 1
SIZE_LIMIT = 16 * REQUEST_LIMIT
"""No plan file is longer, in bytes: beside a request it holds reasons and the predicted machine."""

_REMEDY = "'iommutui plan ... -o FILE' makes a plan."


class _Form(NamedTuple):
    """What is taken of a plan file. Whatever else stands in it is for people."""

    kind: str
    schema: int
    intents: tuple[Intent, ...]
    model: str
    basis: Basis
    modules: tuple[str, ...]
    steps: tuple[Planned, ...]


def read_plan(path: str) -> Request:
    """What the file asks for, and the steps that were shown. IommutuiError for what is no plan or cannot be read."""
    try:
        text = _content(path)
    except OSError as error:
        raise SourceError(f"The plan {path} cannot be read: {error.strerror}.", _REMEDY) from None
    if len(text) > SIZE_LIMIT:
        raise SourceError(f"{path} is longer than any plan.", _REMEDY)
    return parse_plan(text, f"The plan {path}")


def parse_plan(text: bytes, what: str) -> Request:
    """The request in the text of a plan file; IommutuiError, which begins with ``what``, for anything else."""
    content = object_in(text, what, _REMEDY)
    if content.get("kind") != KIND:
        raise SourceError(f"{what} is not valid: it is JSON, but not a plan of iommutui.", _REMEDY)
    if content.get("schema") != SCHEMA:
        raise SourceError(
            f"{what} has another schema than {SCHEMA}, the one that this program knows.",
            "It is from another version of iommutui: make it anew with this one. " + _REMEDY,
        )
    steps = content.get("steps")
    if isinstance(steps, list):
        content["steps"] = [_only(step, Planned) for step in steps]
    form = parse_plain(_Form, _only(content, _Form), what, _REMEDY)
    if form.model not in MODELS:
        raise SourceError(f"{what} names a model that there is not.", f"The models are {', '.join(MODELS)}.")
    check_intents(form.intents, what)
    return Request(form.intents, form.basis, form.model, shown=Shown(form.modules, form.steps))


def _only(value: Json, kind: type[_Form] | type[Planned]) -> Json:
    return {name: value[name] for name in kind._fields if name in value} if isinstance(value, dict) else value


def _content(path: str) -> bytes:
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise SourceError(f"{path} is not a file.", _REMEDY)
        return file.read(SIZE_LIMIT + 1)
