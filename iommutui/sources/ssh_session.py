"""The SSH session that this program runs in."""

import os
from collections.abc import Mapping

_MOST = 16
"""Processes above this one that are looked at."""


def session_address(environment: Mapping[str, str] | None = None, root: str = "", pid: int | None = None) -> str | None:
    """The address of this machine that the SSH session came to; None where there is none, or where it does not show.

    ``SSH_CONNECTION`` is ``CLIENT PORT SERVER PORT``. sudo, pkexec and run0 drop it, so the processes above are asked
    as well, as far as they may be read.
    """
    here = os.environ if environment is None else environment
    address = _server(here.get("SSH_CONNECTION", ""))
    current = os.getppid() if pid is None else pid
    for _ in range(_MOST):
        if address is not None or current <= 1:
            break
        variables = (_read(f"{root}/proc/{current}/environ") or b"").split(b"\0")
        found = next((v for v in variables if v.startswith(b"SSH_CONNECTION=")), b"")
        address = _server(found.partition(b"=")[2].decode("ascii", "replace"))
        # ``PID (NAME) STATE PARENT``, and the name may hold blanks and parentheses.
        fields = (_read(f"{root}/proc/{current}/stat") or b"").rpartition(b")")[2].split()
        current = int(fields[1]) if len(fields) > 1 and fields[1].isdigit() else 0
    return address


def _server(connection: str) -> str | None:
    parts = connection.split()
    return parts[2] if len(parts) == 4 else None


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read(1 << 20)
    except OSError:
        return None
