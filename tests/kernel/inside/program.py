"""Run the program as a command in a guest, and read its answer."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any


class Answer:
    """What a command printed, and how it ended."""

    def __init__(self, result: "subprocess.CompletedProcess[str]") -> None:
        self.code, self.out, self.err = result.returncode, result.stdout, result.stderr

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document on standard output."""
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def events(self) -> list[dict[str, Any]]:
        """The JSON lines on standard output."""
        return [json.loads(line) for line in self.out.splitlines()]

    def group(self, number: int) -> dict[str, Any]:
        """One group of a listing."""
        found: dict[str, Any] = next(g for g in self.document["groups"] if g["id"] == number)
        return found


Run = Callable[..., Answer]

READS_ALL = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
"""For ``setpriv``: permits reading the interpreter wherever it is installed."""
NOBODY = ["setpriv", "--reuid=65534", *READS_ALL]
"""Runs a program as a user who may not write root's files."""


def command(*words: str) -> list[str]:
    """The command line of the program."""
    return [sys.executable, "-m", "iommutui", *words]
