"""Finding devices: the spellings that commands accept, and the filter language of listings."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from iommutui.core.address import Address, parse_pci
from iommutui.core.chipset import passable
from iommutui.core.errors import IommutuiError, RefusedError, UsageError
from iommutui.core.host import Device, Group, Host
from iommutui.core.labels import class_words, device_name, use_labels, verdict_word
from iommutui.core.reasons import Verdict

_NAME = re.compile(r"[0-9a-fA-F]{4}:[0-9a-fA-F]{4}|[A-Za-z][\w.@-]*")
"""What may be ids or the name of an interface."""


def find_device(host: Host, text: str) -> Device:
    """The device that ``text`` names: an address in any spelling, ``vendor:device``, or a network interface.

    Raises UsageError if it cannot be a device's name, RefusedError if two devices fit, IommutuiError if none does.
    """
    address = parse_pci(text)
    name = address or Address(text)
    if name in host.devices:
        return host.devices[name]
    found = [d for d in host.devices.values() if d.ids == text.lower() or text in d.interfaces]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(device.address for device in found)
        raise RefusedError(f"{text} is ambiguous: it fits {names}.", "Name one of them by its address.")
    if address is None and not _NAME.fullmatch(text):
        raise UsageError(
            f"{text!r} does not name a device.",
            "Write an address (0000:01:00.0, 01:00.0 or pci_0000_01_00_0), ids (10de:2204) or a network interface "
            "(eth0).",
        )
    raise IommutuiError(
        f"There is no device {name}.",
        "'iommutui list' shows the devices; name one by address (01:00.0), ids (10de:2204) or network interface "
        "(eth0).",
    )


KEYS = ("driver", "group", "viable", "class", "id", "override", "bus")
"""Keys of ``key:value`` terms."""

VERDICTS = ("yes", "no", "unknown", "blocked", "refused", "viable")
"""Words for ``viable:``."""

KINDS = {"gpu": "03", "display": "03", "nic": "02", "network": "02", "storage": "01", "usb": "0c03", "audio": "0403",
         "bridge": "06", "nvme": "0108"}  # fmt: skip
"""Words for ``class:``, with the class codes that they begin."""

_WORDS: dict[str, Callable[[Device], tuple[str, ...]]] = {
    "driver": lambda device: (device.driver.lower(),) if device.driver else ("none", "free"),
    "group": lambda device: ("none" if device.group is None else str(device.group),),
    "id": lambda device: (f"{device.vendor_id}:{device.device_id}", device.device_id or ""),
    "override": lambda device: ((device.driver_override or "none").lower(),),
    "bus": lambda device: (device.bus,),
}
"""The words that a device has for the other keys."""

_VALUES = {
    "viable": ("|".join(VERDICTS), f"{', '.join(VERDICTS[:-1])} or {VERDICTS[-1]}"),
    "group": (r"[0-9]+|none", "a number or none"),
    "id": (r"[0-9a-f]{1,4}|[0-9a-f]{4}:[0-9a-f]{0,4}", "hex, as 10de or 10de:2204"),
}
"""The pattern of a key's values, and its description."""


class Alternative(NamedTuple):
    """``driver:nvidia``; the key is empty for a plain word, which is searched for in `searched_texts`."""

    key: str
    value: str


class Term(NamedTuple):
    """One term of a filter: it matches if one of its alternatives does or, negated, if none does."""

    alternatives: tuple[Alternative, ...]
    negated: bool


class Query(NamedTuple):
    """A filter: every term has to match."""

    terms: tuple[Term, ...] = ()

    def asks(self, key: str) -> bool:
        return any(each.key == key for term in self.terms for each in term.alternatives)

    @property
    def needs_verdicts(self) -> bool:
        """Whether the answer depends on the verdicts of groups."""
        return self.asks("viable")


def parse_query(text: str) -> Query:
    """The filter in ``text``: ``nvidia``, ``driver:nvidia``, ``group:14``, ``viable:no``, ``class:gpu``, ``!word``.

    Every word has to match; within a word ``|`` and ``,`` separate alternatives, as in ``driver:nvidia,amdgpu`` and
    ``class:gpu|class:audio``. An alternative without a key takes the key of the one before it.
    """
    terms = []
    for word in text.lower().split():
        negated = word.startswith("!") and len(word) > 1
        body = word[1:] if negated else word
        found: list[Alternative] = []
        for part in [each for each in re.split("[,|]", body) if each] or [body]:
            key, colon, value = part.partition(":")
            if colon and key in KEYS:
                found.append(Alternative(key, value))
            else:
                found.append(Alternative(found[-1].key if found else "", part))
        terms.append(Term(tuple(found), negated))
    return Query(tuple(terms))


def searched_texts(host: Host) -> dict[Address, str]:
    """The texts that plain words are searched for in, in lower case: the row of a device, its ids and its uses."""
    uses = use_labels(host)
    texts = {}
    for device in host.devices.values():
        shown = (device.address, device_name(device), class_words(device), device.driver or "", device.ids or "")
        texts[device.address] = "\n".join((*shown, *device.interfaces, *uses.get(device.address, ()))).lower()
    return texts


VerdictOf = Callable[[Group], Verdict | None]


def matching(
    host: Host, query: Query, verdict_of: VerdictOf, texts: Mapping[Address, str] | None = None
) -> list[Device]:
    """The devices that match the filter; ``texts`` are those of `searched_texts`, if already computed."""
    if texts is None:
        texts = searched_texts(host) if query.asks("") else {}
    left = list(host.devices.values())
    for term in query.terms:
        left = [
            device
            for device in left
            if any(_matches(host, device, each, verdict_of, texts) for each in term.alternatives) != term.negated
        ]
    return left


def _matches(
    host: Host, device: Device, term: Alternative, verdict_of: VerdictOf, texts: Mapping[Address, str]
) -> bool:
    value = term.value
    match term.key:
        case "":
            return value in texts[device.address]
        case "viable":
            return value in _verdict_words(host, device, verdict_of)
        case "class":
            code = device.class_code or ""
            return code.startswith(KINDS.get(value, value)) or value in class_words(device).lower()
        case "id":
            return any(word.startswith(value) for word in _WORDS["id"](device))
        case "group" | "bus":
            return value in _WORDS[term.key](device)
        case _:
            return any(value in word for word in _WORDS[term.key](device))


def _verdict_words(host: Host, device: Device, verdict_of: VerdictOf) -> tuple[str, ...]:
    """Words for the verdict on the device's group; none if the group has nothing to pass through."""
    group = host.group_of(device.address)
    verdict = verdict_of(group) if group is not None else None
    if group is None or verdict is None:
        return ("no", "unknown")
    if not passable(host, group):
        return ()
    word = verdict_word(verdict)
    return (word, {"viable": "yes", "blocked": "no", "refused": "no"}.get(word, word))


def mistakes(query_text: str) -> list[str]:
    """A sentence for each unknown key and impossible value."""
    terms = parse_query(query_text).terms
    return [said for term in terms for each in term.alternatives if (said := _mistake(each))]


def _mistake(term: Alternative) -> str:
    if term.key in _VALUES:
        pattern, allowed = _VALUES[term.key]
        given = f", not {term.value}" if term.value else ""
        return "" if re.fullmatch(pattern, term.value) else f"{term.key}: takes {allowed}{given}."
    key, colon, _ = term.value.partition(":")
    # What is hex may be a part of an address or of ids: 0000:01, dead:beef.
    meant = not term.key and colon and re.fullmatch(r"[a-z_-]+", key) and not re.fullmatch(r"[a-f]+", key)
    return f"Unknown key {key!r}; the keys are {', '.join(sorted(KEYS))}." if meant else ""


def completion(host: Host, text: str) -> str | None:
    """``dr`` becomes ``driver:``, ``viable:n`` becomes ``viable:no``; None if nothing is to be added."""
    cut = max(text.rfind(sign) for sign in " ,|!") + 1
    head, word = text[:cut], text[cut:]
    key, colon, value = word.partition(":")
    if colon:
        head, word = f"{head}{key}:", value
    else:  # an alternative has the key of the one before
        terms = parse_query(head).terms
        key = terms[-1].alternatives[-1].key if terms and head.endswith((",", "|")) else ""
    if not word or (colon and not key):
        return None
    names: Iterable[str] = {"": [f"{name}:" for name in KEYS], "viable": VERDICTS, "class": KINDS}.get(key, ())
    if key in _WORDS:
        counts = Counter(each for device in host.devices.values() for each in _WORDS[key](device))
        names = [name for name, _ in counts.most_common()]
    fitting = (n for n in names if n.startswith(word) and n != word and n.isprintable() and " " not in n)
    return next((head + name for name in fitting), None)
