"""A cache for pure functions of values that are too big to compare."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def last_call(function: Callable[P, R]) -> Callable[P, R]:
    """Caches the results of the last two calls of a function.

    Values are immutable, so an argument that is the same object is the same value; small values such as a filter's text
    are compared. Two, because a step compares the state on the screen with the next one.
    """
    known: list[tuple[tuple[object, ...], R]] = []

    def remembered(*args: P.args, **kwargs: P.kwargs) -> R:
        if kwargs:
            raise TypeError(f"{function.__name__} takes positional arguments only")
        for before, answer in known[:]:
            if len(before) == len(args) and all(map(_same, before, args)):
                return answer
        answer = function(*args)  # type: ignore[call-arg]
        known[:] = [(args, answer), *known[:1]]
        return answer

    return remembered


def _same(before: object, now: object) -> bool:
    return before is now or (isinstance(now, str | int | frozenset) and before == now)
