"""Error messages of the kernel, QEMU, libvirt and the shell, and their causes on this Host.

Each message has an entry in a table, by family: its patterns, and a function that checks the Host and gives the causes
that fit, most likely first; causes that the Host rules out are left out. Of two messages at the same place in a text,
the one with more literal characters in its pattern is chosen; the bare name of an errno, or a harmless note, counts
only if nothing else is recognised.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from iommutui.core.address import Address
from iommutui.core.advice import no_iommu_advice
from iommutui.core.diagnosis import drivers, hardware, start
from iommutui.core.diagnosis.base import GROUP_MISSING, NO_DEVICE, Cause, Found, Message, Weight
from iommutui.core.diagnosis.paste import Paste, pattern, read
from iommutui.core.host import Device, Host
from iommutui.core.labels import device_name, driver_words
from iommutui.core.models import Model
from iommutui.core.plan.presets import fix_for
from iommutui.core.reasons import Code, Reason
from iommutui.core.wording import sentence, verdict_sentence

MESSAGES: tuple[Message, ...] = (*start.MESSAGES, *drivers.MESSAGES, *hardware.MESSAGES)


class Diagnosis(NamedTuple):
    """The recognised messages, and the causes that fit the Host."""

    messages: tuple[str, ...]
    """The names of the messages, the most specific first; empty if none is known."""
    causes: tuple[Cause, ...]
    about: tuple[str, ...]
    """If there are no causes: the facts about the devices and groups that the text names. Whole sentences."""

    @property
    def sentences(self) -> tuple[str, ...]:
        """The whole answer, for people; causes with the same remedy stand together."""
        lines = [f"Recognised: {'; '.join(self.messages)}." if self.messages else "This message is unknown."]
        numbered = enumerate(self.causes, 1)
        for remedy, causes in groupby(numbered, lambda each: each[1].remedy):
            lines += [*(f"{number}. {cause.text}" for number, cause in causes), f"   {remedy}"]
        if self.messages and not self.causes:
            lines.append("Nothing in the present state of this machine explains it.")
            lines.append("Ask again while it fails, as root: only root sees which programs hold a group.")
            lines.append("Name the device, if the message does not: 'iommutui why DEVICE --error TEXT'.")
        if self.about:
            lines += ["What is known about it on this machine:", *(f"  {sentence}" for sentence in self.about)]
        return tuple(lines)


class Match(NamedTuple):
    """A message in a text. Positions are those of `Paste.squeezed`."""

    rank: tuple[Weight, int]
    start: int
    end: int
    message: Message
    words: dict[str, str]


def explain(
    host: Host, text: str, model: Model, *, group: int | None = None, device: Device | None = None
) -> Diagnosis:
    """The causes of the text on this Host. ``group`` or ``device`` is what it is about, if the text does not say."""
    paste = read(text)
    matches = recognised(paste)
    causes: dict[tuple[str, int | None, Address | None], Cause] = {}
    for match in matches:
        for cause in _causes(host, model, paste, match, group, device):
            causes.setdefault((cause.code, cause.group, cause.device), cause)
    devices = [host.devices[address] for _, address in paste.addresses if address in host.devices]
    devices += [device] if device is not None else []
    number = paste.group if paste.group is not None else group
    first = list(dict.fromkeys(devices))[:4]  # of a long text
    about = () if causes else tuple(dict.fromkeys(_about(host, model, first, number)))
    return Diagnosis(tuple(match.message.name for match in matches), tuple(causes.values()), about)


def recognised(paste: Paste, messages: Sequence[Message] = MESSAGES) -> list[Match]:
    """The messages of a text, the most specific first: each place belongs to one message, and each is listed once."""
    every = sorted(_matches(paste, messages), key=lambda m: (-m.rank[0], -m.rank[1], m.start, m.message.name))
    kept: list[Match] = []
    for match in every:
        if match.rank[0] < every[0].rank[0]:
            break
        apart = all(match.end <= other.start or match.start >= other.end for other in kept)
        if apart and match.message not in [other.message for other in kept]:
            kept.append(match)
    return kept


def _matches(paste: Paste, messages: Sequence[Message]) -> Iterator[Match]:
    for message in messages:
        for text in message.patterns.split(" | "):
            expression, literal = pattern(text)
            for match in expression.finditer(paste.squeezed):
                yield Match((message.weight, literal), match.start(), match.end(), message, match.groupdict())


def _causes(
    host: Host, model: Model, paste: Paste, match: Match, group: int | None, device: Device | None
) -> Iterator[Cause]:
    """``group`` and ``device`` count where the text names none."""
    address = paste.address_at(match.start, match.end)
    if address is not None or paste.group is not None:
        group, device = paste.group, host.devices.get(address) if address is not None else None
    driver, errno = match.words.get("driver") or paste.driver, paste.errno_at(match.start)
    found = Found(host, model, group, device, address, paste.plain, driver, errno, match.words)
    if address is not None and device is None:
        yield found.say(NO_DEVICE)
    if group is not None and group not in host.groups:
        yield found.say(GROUP_MISSING)
        found = found._replace(group=None if device is not None else group)
    yield from match.message.explain(found)


def _about(host: Host, model: Model, devices: Sequence[Device], number: int | None) -> Iterator[str]:
    """Each device's driver, whether its group can be handed over, and why not; without devices, the IOMMU's state."""
    for device in devices:
        on = f"{'on ' if device.driver else ''}{driver_words(host, device)}"
        yield f"{device.address} is {on}: {device_name(device)}."
        if device.silent:
            yield f"{device.address} does not answer: its configuration space reads as all ones."
        if device.group not in host.groups:
            yield sentence(Reason(Code.NO_GROUP, device=device.address))
    asked = dict.fromkeys([number, *(device.group for device in devices)])
    for group in [host.groups[number] for number in asked if number in host.groups]:
        verdict = model.verdict(host, group)
        yield verdict_sentence(host, group, verdict)
        yield from (sentence(reason) for reason in verdict.reasons)
        fix = () if verdict.viable or group.claim is not None else fix_for(host, group, None, model)
        if fix:
            yield f"'iommutui preview {' '.join(str(intent) for intent in fix)}' shows the smallest fix."
    yield from no_iommu_advice(host)
