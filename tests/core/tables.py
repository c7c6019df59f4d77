"""Rows of decision tables: events on a machine, the result of the last one, and the drivers and owners afterwards."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest

from iommutui.core.address import Address
from iommutui.core.events import (
    Bind,
    Event,
    Override,
)
from iommutui.core.host import Host
from tests.core.machines import (
    LONE,
    NEW,
    B,
    function,
    machine,
    on,
    pair,
    shown,
)


class Row(NamedTuple):
    """A row: events on a machine, the result of the last one, and the drivers and owners afterwards."""

    host: Host
    events: Sequence[Event]
    result: str
    drivers: dict[str, str | None] = {}  # noqa: RUF012 - never changed
    owner: str | None = None
    uses: int = 0


def check(model: str, row: Row) -> None:
    outcome = on(model, row.host, *row.events)
    assert shown(outcome) == row.result
    for address, driver in row.drivers.items():
        assert outcome.host.devices[Address(address)].driver == driver
    claims = [group.claim for group in outcome.host.groups.values() if group.claim is not None]
    assert [(claim.owner, claim.uses) for claim in claims] == ([(row.owner, row.uses)] if row.owner else [])


def rows(model: str, table: dict[str, Row]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("row", table.values(), ids=[f"{model}-{number}" for number in table])


def lone(driver: str | None = None, kernel: str = NEW) -> Host:
    return machine(lone=[function(LONE, driver)], kernel=kernel)


def owned(first: str | None, second: str | None, *, kernel: str = NEW, uses: int = 1, **facts: Any) -> Host:
    return pair(first, second, kernel=kernel, owner="vm1", uses=uses, **facts)


TO_SND = (Override(B, "snd_hda_intel"), Bind(B, "snd_hda_intel"))
TO_VFIO = (Override(B, "vfio-pci"), Bind(B, "vfio-pci"))
TO_STUB = (Override(B, "pci-stub"), Bind(B, "pci-stub"))
