"""Values to JSON and back. Text from files and other processes becomes either values or an error here.

pydantic validates the same named tuples and dataclasses that the rest of the program uses. It is imported where it is
needed, because importing it costs more than a listing.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar, dataclass_transform

from iommutui.core.errors import IommutuiError
from iommutui.core.printable import printable

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

T = TypeVar("T")
M = TypeVar("M", bound="Message")

_SHOWN = 60
"""Names from the text are hostile: at most this many characters of a name are repeated."""


_ADAPTERS: dict[object, "TypeAdapter[Any]"] = {}
"""Creating an adapter takes longer than using it."""

IGNORE_UNKNOWN = {"extra": "ignore"}


@dataclass_transform(frozen_default=True)
class Message:
    """The base of values that cross a boundary as JSON objects, whose ``tag`` distinguishes their kinds.

    Each subclass is a frozen dataclass, so that two of different kinds are never equal. An unknown field is refused,
    unless the class says `IGNORE_UNKNOWN`.
    """

    __pydantic_config__: ClassVar[Mapping[str, object]] = {"extra": "forbid", "allow_inf_nan": False}

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True)(cls)

    @classmethod
    def tag(cls) -> str:
        """``step-begun`` for ``StepBegun``."""
        return re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()


def to_jsonable(value: object) -> Json:
    """The value in the types of JSON: enumerations become their values, messages and named tuples objects, tuples
    arrays.

    Raises TypeError for a value without such a form.
    """
    if isinstance(value, Enum):
        return to_jsonable(value.value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Message):
        names: tuple[str, ...] = getattr(value, "__match_args__", ())
        return {name: to_jsonable(getattr(value, name)) for name in names}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: to_jsonable(part) for name, part in zip(value._fields, value, strict=True)}
    if isinstance(value, dict):
        return {str(name): to_jsonable(part) for name, part in value.items()}
    if isinstance(value, tuple | list):
        return [to_jsonable(part) for part in value]
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def to_object(value: object) -> dict[str, Json]:
    """The JSON object of a message, a named tuple or a dictionary."""
    fields = to_jsonable(value)
    assert isinstance(fields, dict)
    return fields


def tagged(key: str, message: Message) -> dict[str, Json]:
    """The JSON object of a message, with its tag under ``key``."""
    return {key: message.tag(), **to_object(message)}


def to_line(value: object) -> bytes:
    """The value as one line of JSON, which ends in a newline and holds no other."""
    return json.dumps(to_jsonable(value), separators=(",", ":")).encode() + b"\n"


def _adapter(kind: type[T]) -> "TypeAdapter[T]":
    from pydantic import TypeAdapter

    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def parse(kind: type[T], text: str | bytes, what: str, remedy: str = "") -> T:
    """The value that the JSON text holds. IommutuiError, which begins with ``what``, for text that holds none."""
    from pydantic import ValidationError

    try:
        return _adapter(kind).validate_json(text, strict=True)
    except ValidationError as error:
        raise IommutuiError(f"{what} is not valid: {_complaint(error)}.", remedy) from None


def object_in(text: str | bytes, what: str, remedy: str = "") -> dict[str, Json]:
    """The JSON object in the text. Raises IommutuiError for anything else."""
    from pydantic_core import from_json

    try:
        # A str with lone surrogates cannot be encoded, which is a UnicodeError and so a ValueError too.
        content: Json = from_json(text.encode() if isinstance(text, str) else text, allow_inf_nan=False)
    except ValueError:
        raise IommutuiError(f"{what} is not valid: it is not JSON.", remedy) from None
    if not isinstance(content, dict):
        raise IommutuiError(f"{what} is not valid: it is not a JSON object.", remedy)
    return content


def parse_tagged(key: str, kinds: Iterable[type[M]], text: str | bytes, what: str) -> M:
    """The message of the kind that ``key`` names in the JSON object. Raises IommutuiError for text that holds none."""
    content = object_in(text, what)
    tag = content.pop(key, None)
    by_tag = {kind.tag(): kind for kind in kinds}
    kind = by_tag.get(tag) if isinstance(tag, str) else None
    if kind is None:
        raise IommutuiError(f"{what} is not valid: its {key!r} is none of {', '.join(by_tag)}.")
    return parse_plain(kind, content, what)


def parse_plain(kind: type[T], value: Json, what: str, remedy: str = "") -> T:
    """The value of this type in parsed JSON. Raises IommutuiError if there is none."""
    from pydantic_core import to_json

    return parse(kind, to_json(value), what, remedy)


def _complaint(error: "ValidationError") -> str:
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    where = ".".join(_clean(part) for part in first["loc"])
    return f"{where + ': ' if where else ''}{_clean(first['msg'])}"


def _clean(text: Any) -> str:
    """One line of printable characters, cut short."""
    shown = printable(str(text))
    return shown if len(shown) <= _SHOWN else shown[: _SHOWN - 1] + "…"
