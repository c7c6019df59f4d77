"""A switch that makes the program trace its work, for bug reports: ``IOMMUTUI_DEBUG=1`` or ``IOMMUTUI_DEBUG=FILE``.

It goes to standard error, or to the end of a file, through `logging`. Without it nothing is imported and nothing is
written. The applying process, which does not inherit the caller's environment, gets ``apply --debug`` instead.
"""

import os
import sys
from functools import cache
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from logging import Logger

_where = os.environ.get("IOMMUTUI_DEBUG", "")


def log(message: str, *values: object) -> None:
    """A line of the trace; ``values`` replace ``%s`` only if somebody reads it."""
    if _where:
        _logger().debug(message, *values)


def is_on() -> bool:
    """Whether there is a trace."""
    return bool(_where)


def turn_on() -> None:
    """Starts the trace, on standard error."""
    global _where
    _where = _where or "1"


def file() -> IO[bytes] | None:
    """The file of the trace, for another process to write to as well; None for standard error."""
    return open(_where, "ab") if _where not in ("", "1") else None


@cache
def _logger() -> "Logger":
    import logging
    import select

    class NeverBlocking(logging.StreamHandler[IO[str]]):
        def emit(self, record: logging.LogRecord) -> None:
            """Drops a line that cannot be written at once: a trace must not block the applying process."""
            if select.select([], [self.stream], [], 0)[1]:
                super().emit(record)

    handler = NeverBlocking(sys.stderr) if _where == "1" else logging.FileHandler(_where)
    handler.setFormatter(logging.Formatter("%(asctime)s.%(msecs)03d %(process)d %(message)s", "%H:%M:%S"))
    logger = logging.getLogger("iommutui")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    return logger
