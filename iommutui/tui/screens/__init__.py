"""Screens: the desk with its panes, the dialogs that are laid over it, and what the desk asks of the app."""

from collections.abc import Sequence
from dataclasses import dataclass

from textual.message import Message


@dataclass
class OpenMachine(Message):
    """Another machine is wanted: by a file's name, or by a text that was pasted."""

    text: str


@dataclass
class HandOver(Message):
    """Another command of the program is to have the terminal."""

    words: Sequence[str]
