"""Changes that other tools make to the machine of these tests."""

from collections.abc import Callable

from iommutui.core.address import Address
from iommutui.core.host import Host
from tests.apply.machines import (
    CASES,
)

GPU_CASE = CASES[0]


def changed(address: Address, **fields: object) -> Callable[[Host], Host]:
    """Another tool changes a device."""

    def change(host: Host) -> Host:
        return host.with_device(host.devices[address]._replace(**fields))  # type: ignore[arg-type]

    return change


def gone(address: Address) -> Callable[[Host], Host]:
    def change(host: Host) -> Host:
        return host._replace(devices={a: d for a, d in host.devices.items() if a != address})

    return change
