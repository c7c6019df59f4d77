"""Time, as a value that is handed in, so that no test has to wait."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """The date, and seconds that only go forward, also while the machine sleeps."""

    def now(self) -> datetime:
        """The date and time, with its zone."""
        ...

    def monotonic(self) -> float:
        """Seconds from some fixed point."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """In UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """``CLOCK_BOOTTIME``: who wakes a machine with a dark screen must not wait for the rest of a countdown."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)


SYSTEM_CLOCK = SystemClock()
