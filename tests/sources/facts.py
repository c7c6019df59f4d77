"""Helpers for tests of the facts read from a tree."""

import os

import pytest

from iommutui.core.host import Device, Host
from iommutui.sources import load
from tests.fake_tree import FakeTree

A = "0000:01:00.0"
B = "0000:01:00.1"
ROOT = pytest.mark.skipif(os.geteuid() == 0, reason="root can read everything")


def full(tree: FakeTree) -> Host:
    return load(os.fspath(tree))


def device(tree: FakeTree, address: str = A) -> Device:
    found = {d.address: d for d in full(tree).devices.values()}
    return found[address]  # type: ignore[index]
