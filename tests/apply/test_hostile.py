"""Tampered plans, requests, journals and events give a clear error and change nothing."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iommutui.apply.events import Finished, StepDone, from_line, to_json
from iommutui.apply.executor import execute
from iommutui.apply.journal import may_be_open
from iommutui.apply.real_kernel import RealKernel, write_of
from iommutui.apply.recovery import open_journals, plan_revert
from iommutui.apply.request import PLAN_KIND as KIND
from iommutui.apply.request import parse_plan, parse_request, plan_request, request_of, shown_of
from iommutui.apply.validation import to_line, to_object
from iommutui.cli.documents import plan_document
from iommutui.core.errors import Exit, IommutuiError
from iommutui.core.plan.planner import Plan
from tests.apply.journals import load
from tests.apply.machines import CASES, CLOCK
from tests.reacting import FakeKernel

T = TypeVar("T")
CASE = CASES[0]
SHOWN = shown_of(CASE.plan)
REQUEST = json.loads(to_line(request_of(CASE.plan, CASE.intents)))
PLAN = json.loads(
    json.dumps(
        {
            **plan_document(CASE.host, CASE.intents, CASE.plan, CASE.model),
            "kind": KIND,
            "intents": [intent._asdict() for intent in CASE.intents],
            "basis": to_object(CASE.plan.basis),
        }
    )
)

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        ["../../etc/passwd", "/dev/sda", "vfio-pci\nx", "0000:00:00.0", "-rf", "\x1b[2J", "\ud800", "none"]
    ),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
)


def _places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in the document."""
    yield at
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inner:
        yield from _places(part, (*at, key))


def _changed(document: Any, place: tuple[Any, ...], value: Any, *, away: bool) -> str:
    """The document with one value replaced or removed."""
    if not place:
        return json.dumps(value)
    copy = json.loads(json.dumps(document))
    inner = copy
    for key in place[:-1]:
        inner = inner[key]
    if away:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return json.dumps(copy)


def _outcome(work: Callable[[], T]) -> T | IommutuiError:
    """The result; any error that is not an IommutuiError is a failure."""
    try:
        return work()
    except IommutuiError as error:
        return error


@given(st.sampled_from(sorted(_places(PLAN), key=str)), ODD, st.booleans())
def test_a_tampered_plan_never_changes_the_writes(place: tuple[Any, ...], value: Any, away: bool) -> None:
    """Either the plan is an error, or its writes are those shown."""
    text = _changed(PLAN, place, value, away=away).encode()
    plan = _outcome(lambda: plan_request(parse_plan(text, "The plan"), CASE.host))
    if isinstance(plan, IommutuiError):
        assert plan.exit_code in (Exit.ERROR, Exit.REFUSED)
    else:
        assert not plan.permitted or shown_of(plan) == SHOWN


@given(st.sampled_from(sorted(_places(REQUEST), key=str)), ODD, st.booleans())
def test_a_tampered_request_is_harmless(place: tuple[Any, ...], value: Any, away: bool) -> None:
    request = _outcome(lambda: parse_request(_changed(REQUEST, place, value, away=away)))
    if isinstance(request, IommutuiError):
        assert request.exit_code is Exit.ERROR
        return
    plan = _outcome(lambda: plan_request(request, CASE.host))
    if isinstance(plan, IommutuiError):
        assert plan.exit_code in (Exit.ERROR, Exit.REFUSED)
        return
    assert not plan.permitted or shown_of(plan) == request.shown
    assert _writes(plan)


@given(st.binary(max_size=200))
def test_empty_or_random_input_is_an_error(data: bytes) -> None:
    for read in (lambda: parse_plan(data, "It"), lambda: from_line(data), lambda: parse_request(data.decode("latin1"))):
        with pytest.raises(IommutuiError):
            read()


EVENTS = [to_json(StepDone(1, CASE.plan.steps[0], "ok", 0.25)), to_json(Finished(Exit.DONE, "Done."))]


@given(st.sampled_from(EVENTS), st.data())
def test_a_tampered_event_is_harmless(event: dict[str, Any], data: st.DataObject) -> None:
    place = data.draw(st.sampled_from(sorted(_places(event), key=str)))
    text = _changed(event, place, data.draw(ODD), away=False)
    read = _outcome(lambda: from_line(text))
    assert not isinstance(read, IommutuiError) or "\x1b" not in read.what


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal of a successful apply."""
    directory = tmp_path_factory.mktemp("journals") / "s/journal"
    list(execute(CASE.plan, FakeKernel(CASE.host, CASE.model), directory, clock=CLOCK))
    (path,) = directory.glob("*.jsonl")
    return path


@given(st.data())
def test_a_tampered_journal_is_harmless(journal: Path, data: st.DataObject) -> None:
    """Whatever the journal says, it leads only to overrides, unbinds and probes of PCI devices."""
    lines = journal.read_bytes()
    documents = [json.loads(line) for line in lines.splitlines()]
    number = data.draw(st.integers(0, len(documents) - 1))
    place = data.draw(st.sampled_from(sorted(_places(documents[number]), key=str)))
    changed = _changed(documents[number], place, data.draw(ODD), away=data.draw(st.booleans()) and bool(place))
    texts = [json.dumps(document) for document in documents]
    texts[number] = changed
    cut = data.draw(st.integers(0, 3))
    text = "".join(line + "\n" for line in texts[: len(texts) - cut])
    journal.write_bytes(text.encode(errors="replace")[: len(text) - data.draw(st.integers(0, 5))])
    plan = _outcome(lambda: _reverted(journal))
    journal.write_bytes(lines)
    if isinstance(plan, IommutuiError):
        assert plan.what
        assert "\x1b" not in plan.what
    else:
        assert not plan.permitted or _writes(plan)


def _reverted(journal: Path) -> Plan:
    may_be_open(journal.parent, None)
    open_journals(journal.parent, None)
    return plan_revert(load(journal.parent, journal.stem), CASE.plan.predicted, CASE.model)


def _writes(plan: Plan) -> bool:
    """Whether every write goes to a file that an apply may write, or is refused before the first write."""
    checked = _outcome(lambda: RealKernel("/nowhere").check(plan.steps))
    return isinstance(checked, IommutuiError) or all(
        write_of("/root", step).path.startswith("/root/sys/bus/pci/") for step in plan.steps
    )


# -- links in the state directory


def _state(place: Path) -> dict[str, tuple[int, int, bytes]]:
    found = {}
    for path in sorted(place.rglob("*")):
        facts = os.lstat(path)
        found[str(path)] = (facts.st_mode, facts.st_mtime_ns, path.read_bytes() if path.is_file() else b"")
    return found


@pytest.mark.parametrize("name", ["20261122T104501-1a2b.jsonl", "lock", "20261122T104501-1a2b.keep", "x.jsonl"])
def test_links_in_the_state_directory_are_not_followed(name: str, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    trap.mkdir()
    (trap / "victim").write_text('{"line":"header"}\n')
    directory = tmp_path / "s/journal"
    directory.mkdir(parents=True, mode=0o700)
    (directory / name).symlink_to(trap / "victim")
    before = _state(trap)
    kernel = FakeKernel(CASE.host, CASE.model)
    ended = _outcome(lambda: list(execute(CASE.plan, kernel, directory, clock=CLOCK)))
    assert not isinstance(ended, IommutuiError) or kernel.steps == []
    open_journals(directory, None)
    assert _state(trap) == before


@pytest.mark.parametrize("wanted", ["../x", "/etc/passwd", "..", "", "20261122T104501-1a2b/../../x", "*"])
def test_a_journal_is_named_only_by_its_id(wanted: str, journal: Path) -> None:
    with pytest.raises(IommutuiError, match="There is no journal"):
        load(journal.parent, wanted)
