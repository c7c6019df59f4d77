"""Remembering the last answers of pure functions of values that are too big to compare."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def last_call(function: Callable[P, R]) -> Callable[P, R]:
    """The function, which answers at once while its arguments are the same objects (or equal small ones) as before.

    States are immutable, so an argument that is the same object is the same value; small values such as a filter's text
    are compared.
    """
    known: tuple[tuple[object, ...], R] | None = None

    def remembered(*args: P.args, **kwargs: P.kwargs) -> R:
        nonlocal known
        if kwargs:
            raise TypeError(f"{function.__name__} takes positional arguments only")
        if known is not None and len(known[0]) == len(args) and all(map(_same, known[0], args)):
            return known[1]
        answer = function(*args)  # type: ignore[call-arg]
        known = (args, answer)
        return answer

    return remembered


def _same(before: object, now: object) -> bool:
    return before is now or (isinstance(now, str | int | frozenset) and before == now)
