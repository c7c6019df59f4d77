"""Choose the next event at random, and find the shortest sequence of events that still shows a difference."""

import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from iommutui.core.address import sort_key
from iommutui.core.drivers import PCIEPORT, STUB, VFIO_PCI
from iommutui.core.events import (
    Bind,
    ClaimDevice,
    ClaimGroup,
    Event,
    Override,
    Probe,
    ReleaseDevice,
    ReleaseGroup,
    Remove,
    Rescan,
    Unbind,
)
from iommutui.core.host import Device
from iommutui.core.models import has_node

from .owner import OWNER
from .walk import Difference, Walk


class Chooser:
    """Chooses what to do next, at random: mostly whole rebinds in a few groups, now and then a claim or a removal."""

    def __init__(self, seed: int, walk: Walk) -> None:
        self.random = random.Random(seed)
        self.walk = walk
        self.queue: deque[Event] = deque()
        numbers = sorted(walk.host.groups)
        shared = [n for n in numbers if len(walk.host.groups[n].members) > 1]
        self.focus = {*self.random.sample(numbers, 3), *self.random.sample(shared, min(4, len(shared)))}

    def next(self) -> Event:
        """The next event."""
        while not self.queue:
            self.queue.extend(self._some())
        return self.queue.popleft()

    def _some(self) -> Iterator[Event]:
        host, chance = self.walk.host, self.random.random()
        claims = self.walk.files.claims
        device = self._device()
        if chance < 0.48:
            yield from self._rebind(device, self._target(device))
        elif chance < 0.56:
            driver = self.random.choice([VFIO_PCI, VFIO_PCI, None])
            for member in host.members(host.groups[self.random.choice(self._numbers())]):
                if not member.is_bridge:
                    yield from self._rebind(member, driver)
        elif chance < 0.68:
            driver = self.random.choice([VFIO_PCI, STUB, PCIEPORT, *(fit.driver for fit in device.fits or ())])
            yield from self.random.choice(
                [
                    (Bind(device.address, driver),),
                    (Override(device.address, driver), Bind(device.address, driver)),
                    (Unbind(device.address),),
                    (Probe(device.address),),
                ]
            )
        elif chance < 0.84 and self.walk.has_iommufd and self.random.random() < 0.6:
            groups = [n for n in self._numbers() if has_node(host, host.groups[n])] or self._numbers()
            member = self.random.choice(host.members(host.groups[self.random.choice(groups)]))
            yield ClaimDevice(member.address, self.random.choice(["first", "first", "second"]), cdev=True)
        elif chance < 0.84:
            nodes = [n for n, group in host.groups.items() if has_node(host, group) and n not in claims]
            if nodes:
                yield ClaimGroup(self.random.choice(nodes), OWNER, self.random.random() < 0.5)
        elif chance < 0.90 and self.walk.device_files.owners:
            yield ReleaseDevice(*self.random.choice(sorted(self.walk.device_files.owners.items())))
        elif chance < 0.90 and claims:
            number = self.random.choice(sorted(claims))
            member = self.random.choice(host.members(host.groups[number]))
            opened = member.address in claims[number]
            yield ReleaseDevice(member.address, OWNER) if opened else ClaimDevice(member.address, OWNER)
        elif chance < 0.95 and claims:
            yield ReleaseGroup(self.random.choice(sorted(claims)), OWNER)
        elif chance < 0.975:
            yield Remove(device.address)
        else:
            yield Rescan()

    def _numbers(self) -> list[int]:
        return sorted(self.focus & self.walk.host.groups.keys()) or sorted(self.walk.host.groups)

    def _device(self) -> Device:
        host, claims = self.walk.host, self.walk.files.claims
        wanted = set(claims) if claims and self.random.random() < 0.4 else self.focus
        near = [d for d in host.devices.values() if d.group in wanted]
        pool = near if near and self.random.random() < 0.85 else list(host.devices.values())
        return self.random.choice(sorted(pool, key=lambda d: sort_key(d.address)))

    def _target(self, device: Device) -> str | None:
        named: list[str | None] = [fit.driver for fit in device.fits or ()]
        pool: list[str | None] = [VFIO_PCI] * 8 + [STUB] * 3 + [None] * 5 + ["nosuchdriver", PCIEPORT]
        return self.random.choice(pool + named * 2)

    def _rebind(self, device: Device, driver: str | None) -> Iterator[Event]:
        yield Override(device.address, driver)
        yield Unbind(device.address)
        if self.random.random() < 0.9:
            yield Probe(device.address)


class Report(NamedTuple):
    """How a walk ended."""

    done: list[Event]
    differences: list[Difference]


def random_walk(walk: Walk, seed: int, steps: int) -> Report:
    """Step until ``steps`` events are done or two facts differ."""
    chooser = Chooser(seed, walk)
    done: list[Event] = []
    tried = 0
    while len(done) < steps and not walk.differences and tried < 50 * steps:
        tried += 1
        event = chooser.next()
        if walk.step(event):
            done.append(event)
    if not walk.differences:
        walk.differences = walk.checked_against_sources()
    return Report(done, walk.differences)


def shrink(
    events: Sequence[Event], fails: Callable[[Sequence[Event]], list[Difference]], seconds: float
) -> tuple[list[Event], list[Difference]]:
    """Leave out smaller and smaller parts, and return the shortest sequence found in the time that still fails."""
    end = time.monotonic() + seconds
    kept, shown, size = list(events), fails(events), max(1, len(events) // 2)
    while shown and time.monotonic() < end:
        for start in range(0, len(kept), size):
            shorter = kept[:start] + kept[start + size :]
            if shorter and (differences := fails(shorter)):
                kept, shown = shorter, differences
                break
            if time.monotonic() >= end:
                break
        else:
            if size == 1:
                break
            size = max(1, size // 2)
        size = min(size, max(1, len(kept) // 2))
    return kept, shown
