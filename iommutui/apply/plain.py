"""Values as JSON has them: named tuples become objects, tuples arrays, enumerations their values."""

import json
from enum import Enum
from typing import TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"


def to_plain(value: object) -> Json:
    """The value as JSON; TypeError for what is none."""
    if isinstance(value, Enum):
        return to_plain(value.value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: to_plain(part) for name, part in zip(value._fields, value, strict=True)}
    if isinstance(value, dict):
        return {str(name): to_plain(part) for name, part in value.items()}
    if isinstance(value, tuple | list):
        return [to_plain(part) for part in value]
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def to_line(value: object) -> bytes:
    """The value as one line of JSON, which ends in a newline and holds no other."""
    return json.dumps(to_plain(value), separators=(",", ":")).encode() + b"\n"
