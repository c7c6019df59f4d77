"""Errors that the user can act on, and their exit codes."""

from enum import IntEnum
from typing import Self


class Exit(IntEnum):
    """Exit codes of every command, worded as in the help and the manual."""

    meaning: str

    def __new__(cls, code: int, meaning: str) -> Self:
        made = int.__new__(cls, code)
        made._value_ = code
        made.meaning = meaning
        return made

    DONE = 0, "done"
    ERROR = 1, "error"
    USAGE = 2, "usage error"
    REFUSED = 3, "refused"
    PERMISSION = 4, "no permission"
    ROLLED_BACK = 5, "failed or not confirmed, and rolled back"
    NOT_ROLLED_BACK = 6, "failed and not wholly rolled back"


class IommutuiError(Exception):
    """What went wrong, and what to do next. Both are whole sentences."""

    exit_code = Exit.ERROR

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


class UsageError(IommutuiError):
    """The command line does not say what to do."""

    exit_code = Exit.USAGE


class RefusedError(IommutuiError):
    """Not permitted, not viable, ambiguous, or drifted."""

    exit_code = Exit.REFUSED


class NotPermittedError(IommutuiError):
    """The system does not let this user do it."""

    exit_code = Exit.PERMISSION


class SourceError(IommutuiError):
    """A machine cannot be read: no sysfs, a truncated or foreign file."""
