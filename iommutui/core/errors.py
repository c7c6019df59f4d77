"""Errors that a person can do something about, and the exit codes that they end in."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    ERROR = 1
    USAGE = 2
    REFUSED = 3
    PERMISSION = 4
    ROLLED_BACK = 5
    NOT_ROLLED_BACK = 6


EXIT_MEANINGS = {
    Exit.DONE: "done",
    Exit.ERROR: "error",
    Exit.USAGE: "usage error",
    Exit.REFUSED: "refused",
    Exit.PERMISSION: "no permission",
    Exit.ROLLED_BACK: "failed or not confirmed, and rolled back",
    Exit.NOT_ROLLED_BACK: "failed and not wholly rolled back",
}
"""As the help and the manual say them."""


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
