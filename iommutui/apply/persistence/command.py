"""The distribution's command that rebuilds the initramfs: it takes a minute, and may hang."""

import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress

from iommutui.core.errors import IommutuiError

LONGEST = 1800.0
"""It is given up after these seconds."""
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


def run_command(command: tuple[str, ...], longest: float = LONGEST) -> Iterator[str]:
    """Its lines as they come. IommutuiError where it does not start, fails, or takes longer than ``longest`` seconds.

    It has a session of its own, so that what ends the terminal does not end it half way. A process of it that is stuck
    in the kernel keeps nobody waiting.
    """
    words = " ".join(command)
    yield f"run {words}"
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True, env=_ENVIRONMENT, cwd="/",
        )  # fmt: skip
    except OSError as error:
        raise IommutuiError(f"{words} does not start: {error.strerror}.") from None
    assert process.stdout is not None
    ends = time.monotonic() + longest
    rest = b""
    with process.stdout as output:
        while process.poll() is None or select.select([output], [], [], 0)[0]:
            if time.monotonic() > ends:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                raise IommutuiError(f"{words} has not ended after {longest:.0f} seconds, and was killed.")
            if select.select([output], [], [], 0.5)[0]:
                part = os.read(output.fileno(), 1 << 12)
                if not part:
                    break
                *lines, rest = (rest + part).split(b"\n")
                yield from map(_shown, lines)
    if rest:
        yield _shown(rest)
    with suppress(subprocess.TimeoutExpired):
        process.wait(max(ends - time.monotonic(), 1.0))
    if process.returncode:
        raise IommutuiError(f"{words} ended with code {process.returncode}.")


def _shown(line: bytes) -> str:
    return f"  {line.decode('utf-8', 'backslashreplace')}"
