"""Runs the program on its own terminal, as a person does."""

import fcntl
import os
import pty
import struct
import sys
import termios


def on_terminal(*words: str, columns: int = 80, **environment: str) -> str:
    """What the program writes to a terminal of this width."""
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        command = [sys.executable, "-m", "iommutui", *words]
        os.execve(command[0], command, {**kept, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8", **environment})
    written = b""
    try:
        while part := os.read(terminal, 1 << 16):
            written += part
    except OSError:
        pass  # Linux answers EIO once the program has ended
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)
    return written.decode().replace("\r\n", "\n")
