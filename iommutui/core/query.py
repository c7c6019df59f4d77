"""Finding devices: the spellings that commands accept, and the filter language of listings."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

from iommutui.core.address import Address, parse_pci
from iommutui.core.board import passable
from iommutui.core.cache import last_call
from iommutui.core.errors import IommutuiError, RefusedError, UsageError
from iommutui.core.host import Device, Group, Host
from iommutui.core.labels import class_words, device_name, verdict_word
from iommutui.core.reasons import Verdict

_IDS = re.compile(r"([0-9a-f]{4}):([0-9a-f]{4})", re.IGNORECASE)


def find_device(host: Host, text: str) -> Device:
    """The device that ``text`` names: an address in any spelling, ``vendor:device``, or a network interface.

    UsageError where it cannot be a device's name, RefusedError where two devices fit, IommutuiError where none does.
    """
    address = parse_pci(text)
    if address is not None:
        if address in host.devices:
            return host.devices[address]
        raise IommutuiError(f"There is no device {address}.", "'iommutui list' shows the devices of this machine.")
    ids = _IDS.fullmatch(text)
    if ids is not None:
        vendor, product = ids.group(1).lower(), ids.group(2).lower()
        return _only(text, [d for d in host.devices.values() if (d.vendor_id, d.device_id) == (vendor, product)])
    if Address(text) in host.devices:
        return host.devices[Address(text)]
    named = [d for d in host.devices.values() if text in d.interfaces]
    if named:
        return _only(text, named)
    if re.fullmatch(r"[A-Za-z][\w.@-]*", text):
        raise IommutuiError(
            f"There is no device or network interface named {text!r}.",
            "Name a device by address (01:00.0), by ids (10de:2204) or by network interface (eth0).",
        )
    raise UsageError(
        f"{text!r} does not name a device.",
        "Write an address (0000:01:00.0, 01:00.0 or pci_0000_01_00_0), ids (10de:2204) or a network interface (eth0).",
    )


def _only(text: str, found: list[Device]) -> Device:
    if not found:
        raise IommutuiError(f"There is no device with the ids {text}.", "'iommutui list' shows the devices.")
    if len(found) > 1:
        names = ", ".join(device.address for device in found)
        raise RefusedError(f"{text} is ambiguous: it fits {names}.", "Name one of them by its address.")
    return found[0]


class Term(NamedTuple):
    """One word of a filter: ``key`` is empty for a plain word, which matches anything that a row shows."""

    key: str
    value: str
    negated: bool = False
    others: tuple["Term", ...] = ()
    """Alternatives: it matches where it or one of them does."""

    def __str__(self) -> str:
        first = f"{self.key}:{self.value}" if self.key else self.value
        return ("!" if self.negated else "") + "|".join((first, *map(str, self.others)))

    def matches(self, device: Device, verdict: Verdict | None, text: str | None = None, passable: bool = True) -> bool:
        """Whether the term lets this device through; ``verdict`` is that of its group, ``text`` its searched text."""
        found = (_term_matches(term, device, verdict, text, passable) for term in (self, *self.others))
        return any(found) != self.negated


class Query(NamedTuple):
    """A filter: every term has to match."""

    terms: tuple[Term, ...] = ()

    def __str__(self) -> str:
        return " ".join(str(term) for term in self.terms)

    @property
    def needs_verdicts(self) -> bool:
        """Whether the answer depends on the verdicts of groups."""
        return any(each.key == "viable" for term in self.terms for each in (term, *term.others))

    def matches(self, device: Device, verdict: Verdict | None, text: str | None = None, passable: bool = True) -> bool:
        """Whether the filter lets this device through.

        ``verdict`` is that of its group, ``passable`` as `board.passable` says of it, ``text`` its searched text.
        """
        return all(term.matches(device, verdict, text, passable) for term in self.terms)


KEYS = ("driver", "group", "viable", "class", "id", "override", "bus")
"""Keys of ``key:value`` terms."""

NO_DRIVER = ("none", "free")
"""Words for ``driver:`` where there is none."""

VERDICTS = ("yes", "no", "unknown", "blocked", "refused", "viable")
"""Words for ``viable:``."""

KINDS = {"gpu": "03", "display": "03", "nic": "02", "network": "02", "storage": "01", "usb": "0c03", "audio": "0403",
         "bridge": "06", "nvme": "0108"}  # fmt: skip
"""Words for ``class:``, with the class codes that they begin."""


_ALTERNATIVES = re.compile(r"[,|]")


def parse_query(text: str) -> Query:
    """The filter in ``text``: ``nvidia``, ``driver:nvidia``, ``group:14``, ``viable:no``, ``class:gpu``, ``!word``.

    Every word has to match; within a word ``|`` and ``,`` separate alternatives, as in ``driver:nvidia,amdgpu`` and
    ``class:gpu|class:audio``. An alternative without a key has that of the one before.
    """
    terms = []
    for word in text.split():
        negated = word.startswith("!") and len(word) > 1
        body = word[1:] if negated else word
        found: list[Term] = []
        for part in [each for each in _ALTERNATIVES.split(body) if each] or [body]:
            key, colon, value = part.partition(":")
            if colon and key.lower() in KEYS:
                found.append(Term(key.lower(), value.lower()))
            else:
                found.append(Term(found[-1].key if found else "", part.lower()))
        terms.append(found[0]._replace(negated=negated, others=tuple(found[1:])))
    return Query(tuple(terms))


def mistakes(query_text: str) -> list[str]:
    """A sentence for each unknown key, each value that its key cannot have, and terms that exclude each other."""
    terms = parse_query(query_text).terms
    every = (each for term in terms for each in (term, *term.others))
    return [said for each in every if (said := _mistake(each))] or _contradictions(terms)


def _contradictions(terms: tuple[Term, ...]) -> list[str]:
    """A device has one group and is on one bus, so that terms with different values of such a key never all match."""
    sentences = []
    for key, where in (("group", "in two groups"), ("bus", "on two buses")):
        asked = list(dict.fromkeys(t for t in terms if t.key == key and not t.negated))
        if len(asked) > 1 and not set.intersection(*({e.value for e in (t, *t.others)} for t in asked)):
            values = ",".join(term.value for term in asked)
            words = " and ".join(map(str, asked))
            sentences.append(f"All terms must match, and no device is {where}: {words}. {key}:{values} finds both.")
    return sentences


_VALUES = {
    "viable": ("|".join(VERDICTS), f"{', '.join(VERDICTS[:-1])} or {VERDICTS[-1]}"),
    "group": (r"[0-9]+|none", "a number or none"),
    "id": (r"[0-9a-f]{1,4}|[0-9a-f]{4}:[0-9a-f]{0,4}", "hex, as 10de or 10de:2204"),
}
"""What a key's value has to look like, and that in words."""


def _mistake(term: Term) -> str:
    if term.key in _VALUES:
        pattern, allowed = _VALUES[term.key]
        given = f", not {term.value}" if term.value else ""
        return "" if re.fullmatch(pattern, term.value) else f"{term.key}: takes {allowed}{given}."
    key, colon, _ = term.value.partition(":")
    # What is hex may be a part of an address or of ids: 0000:01, dead:beef.
    meant = not term.key and colon and re.fullmatch(r"[a-z_-]+", key) and not re.fullmatch(r"[a-f]+", key)
    return f"Unknown key {key!r}; the keys are {', '.join(sorted(KEYS))}." if meant else ""


def searched_text(device: Device) -> str:
    """What a plain word is looked for in, in lower case: everything that a row shows."""
    shown = (device.address, device_name(device), class_words(device), device.driver or "", *device.interfaces)
    return "\n".join(shown).lower()


def matching(
    host: Host,
    query: Query,
    verdict_of: Callable[[Group], Verdict | None],
    text_of: Callable[[Device], str] = searched_text,
) -> list[Device]:
    """The devices that the filter lets through; ``text_of``: their searched texts, where they are known already."""
    left = list(host.devices.values())
    for term in query.terms:
        if not term.key and not term.others:
            left = [d for d in left if (term.value in text_of(d)) != term.negated]
            continue
        found = []
        for device in left:
            group = host.group_of(device.address)
            verdict, held = (verdict_of(group), passable(host, group)) if group is not None else (None, True)
            if term.matches(device, verdict, text_of(device), held):
                found.append(device)
        left = found
    return left


def _term_matches(term: Term, device: Device, verdict: Verdict | None, text: str | None, passable: bool) -> bool:
    value = term.value
    match term.key:
        case "driver":
            return any(value in word for word in ((device.driver.lower(),) if device.driver else NO_DRIVER))
        case "override":
            return value in (device.driver_override or "none").lower()
        case "group":
            return value == ("none" if device.group is None else str(device.group))
        case "viable":
            if verdict is None:
                return value in ("no", "unknown")
            if not passable:
                return False  # Neither viable nor blocked: there is nothing in it.
            word = verdict_word(verdict)
            return value in (word, {"viable": "yes", "blocked": "no", "refused": "no"}.get(word, ""))
        case "class":
            code = device.class_code or ""
            return code.startswith(KINDS.get(value, value)) or value in class_words(device).lower()
        case "id":
            return f"{device.vendor_id}:{device.device_id}".startswith(value) or device.device_id == value
        case "bus":
            return value == device.bus
        case _:
            return value in (searched_text(device) if text is None else text)


_SAID = ("yes", "no", "unknown", "blocked", "refused")


@last_call
def _values(host: Host) -> dict[str, tuple[str, ...]]:
    drivers = Counter(device.driver or "none" for device in host.devices.values())
    overrides = {device.driver_override or "none" for device in host.devices.values()}
    return {
        "driver": tuple(name for name, _ in drivers.most_common()),
        "override": tuple(sorted(overrides)),
        "group": tuple(str(number) for number in host.groups),
        "viable": _SAID,
        "class": tuple(KINDS),
        "bus": tuple(sorted({device.bus for device in host.devices.values()})),
        "id": tuple(f"{d.vendor_id}:{d.device_id}" for d in host.devices.values() if d.vendor_id),
    }


def completion(host: Host, text: str) -> str | None:
    """``dr`` becomes ``driver:``, ``viable:n`` becomes ``viable:no``; None where nothing is to be added."""
    cut = max(text.rfind(sign) for sign in " ,|") + 1
    head, word = text[:cut], text[cut:]
    sign = "!" if word.startswith("!") else ""
    key, colon, value = word.removeprefix("!").partition(":")
    before = head.rpartition(" ")[2]
    if not key:
        return None
    if not colon and ":" in before:  # an alternative has the key of the one before
        found = _first(_values(host).get(parse_query(before).terms[0].key, ()), key)
        return None if found is None else head + found
    if not colon:
        found = _first(KEYS, key)
        return None if found is None else f"{head}{sign}{found}:"
    found = _first(_values(host).get(key, ()), value) if value else None
    return None if found is None else f"{head}{sign}{key}:{found}"


def _first(names: Iterable[str], begin: str) -> str | None:
    return next((n for n in names if n.startswith(begin) and n != begin and n.isprintable() and " " not in n), None)
