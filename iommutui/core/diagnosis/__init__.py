"""Error messages of the kernel, QEMU, libvirt and the shell, and what on this Host explains them.

One entry in a table for each message, by family: its patterns, and a function that looks at the Host for the causes
that fit, most likely first; what the Host rules out is not among them. Of two messages in the same place of a text the
one with more literal characters in its pattern is meant; what is only the name of an errno, or a harmless note, counts
where nothing else is known.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from iommutui.core.address import Address
from iommutui.core.advice import no_iommu_advice
from iommutui.core.diagnosis import hardware, modules, start, writes
from iommutui.core.diagnosis.base import Cause, Found, Message, Weight
from iommutui.core.diagnosis.paste import Paste, pattern, read
from iommutui.core.host import Device, Group, Host
from iommutui.core.labels import device_name, driver_words
from iommutui.core.models.base import Model
from iommutui.core.plan.presets import fix_for
from iommutui.core.reasons import Code, Reason
from iommutui.core.wording import sentence, verdict_sentence

MESSAGES: tuple[Message, ...] = (
    *start.MESSAGES,
    *writes.MESSAGES,
    *modules.MESSAGES,
    *hardware.MESSAGES,
)


class Diagnosis(NamedTuple):
    """What was recognised, and what fits the Host."""

    messages: tuple[str, ...]
    """The names of the messages, the most specific first; empty where none is known."""
    causes: tuple[Cause, ...]
    about: tuple[str, ...]
    """Without causes: what is known of the devices and groups that the text names. Whole sentences."""
    named: bool
    """Whether the text, or whoever asks, names a device or group."""

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
            lines += [] if self.named else ["Name the device as well: 'iommutui why DEVICE --error TEXT'."]
        if self.about:
            lines += ["What is known of it on this machine:", *(f"  {sentence}" for sentence in self.about)]
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
    """What explains the text on this Host. ``group`` or ``device`` is what it is about, where it does not say so."""
    paste = read(text)
    matches = recognised(paste)
    causes = [cause for match in matches for cause in _causes(host, model, paste, match, group, device)]
    unique = {(cause.code, cause.group, cause.device): cause for cause in reversed(causes)}
    found = [cause for cause in causes if unique.pop((cause.code, cause.group, cause.device), None) is not None]
    named = [host.devices[address] for _, address in paste.addresses if address in host.devices]
    number = paste.group if paste.group is not None else group
    groups: list[Group] = [host.groups[number]] if number is not None and number in host.groups else []
    devices = list(dict.fromkeys([*named, *([device] if device is not None else [])]))
    told = () if found else tuple(dict.fromkeys(_about(host, model, devices, groups)))
    names = tuple(match.message.name for match in matches)
    return Diagnosis(names, tuple(found), told, bool(paste.addresses or devices or number is not None))


def recognised(paste: Paste, messages: Sequence[Message] = MESSAGES) -> list[Match]:
    """The messages of a text, the most specific first: each place belongs to one, and each message is there once."""
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
    address: Address | None = paste.address_at(match.start, match.end)
    number, about_device = paste.group, host.devices.get(address) if address is not None else None
    if number is None and address is None:
        number, about_device = group, device
    if address is not None and about_device is None:
        yield Cause(
            "no-device",
            f"This machine has no device {address}.",
            "'iommutui list' shows the devices as they are now; names start with the domain, mostly 0000.",
        )
    if number is not None and number not in host.groups:
        yield Cause(
            "group-missing",
            f"This machine has no group {number}. Group numbers change with cards, firmware and kernels.",
            "'iommutui list' shows the groups as they are now.",
            number,
        )
        number = None if about_device is not None else number
    errno = paste.errno_at(match.start)
    driver = match.words.get("driver") or paste.driver
    found = Found(host, model, number, about_device, address, paste.plain, driver, errno, match.words)
    yield from match.message.explain(found)


def _about(host: Host, model: Model, devices: Sequence[Device], groups: Iterable[Group]) -> Iterator[str]:
    """Where each device is bound, whether its group can be handed over, and why not; without any, the IOMMU."""
    asked = {group.id: group for group in groups}
    for device in devices[:4]:  # the first ones of a long text
        on = f"{'on ' if device.driver else ''}{driver_words(host, device)}"
        yield f"{device.address} is {on}: {device_name(device)}."
        if device.details is not None and device.details.config_answers is False:
            yield f"{device.address} does not answer: its configuration space reads as all ones."
        group = host.group_of(device.address)
        if group is None:
            yield sentence(Reason(Code.NO_GROUP, device=device.address))
        else:
            asked.setdefault(group.id, group)
    for group in asked.values():
        verdict = model.verdict(host, group)
        yield verdict_sentence(host, group, verdict)
        yield from (sentence(reason) for reason in verdict.reasons)
        fix = () if verdict.viable or group.claim is not None else fix_for(host, group, None, model)
        if fix:
            yield f"'iommutui preview {' '.join(str(intent) for intent in fix)}' shows the smallest fix."
    yield from no_iommu_advice(host)
