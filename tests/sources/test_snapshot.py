"""Snapshots: a written snapshot is read back, and anything else is refused."""

import io
import json
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings

from iommutui.core.errors import SourceError
from iommutui.core.host import Host
from iommutui.core.redact import redact
from iommutui.sources import Depth, load
from iommutui.sources.snapshot import LIMIT, Machine, dump, parse, write
from tests.fake_tree import FakeTree
from tests.strategies import hosts


@given(hosts())
def test_a_dump_is_parsed(host: Host) -> None:
    found = parse(dump(host), "x")
    assert found == host
    assert list(found.devices) == list(host.devices)
    assert list(found.groups) == list(host.groups)


@given(hosts())
@settings(max_examples=50)
def test_a_redacted_dump_is_parsed(host: Host) -> None:
    redacted = redact(host)
    assert parse(dump(redacted), "x") == redacted
    assert redact(redacted) == redacted


def test_fields_are_those_of_the_host() -> None:
    assert set(Machine._fields) == set(Host._fields) - {"driver_table", "waiting"}


def one() -> Host:
    return parse(dump_of({"devices": [{"address": "0000:01:00.0"}]}), "x")


def dump_of(host: object, **top: object) -> str:
    return json.dumps({"schema": 1, "tool": "iommutui 0", "host": host, **top})


def test_a_snapshot_is_readable_json(tmp_path: Path) -> None:
    tree = FakeTree(tmp_path).device("0000:01:00.0", vendor="10de", driver="nvidia", group=14)
    text = dump(load(os.fspath(tree), depth=Depth.FULL))
    assert '          "address": "0000:01:00.0",\n'.replace("          ", "        ") in text
    assert '{"id": 14, "members": ["0000:01:00.0"]' in text
    assert "null" not in text.replace('"module": null', "")
    assert max(map(len, text.splitlines())) < 130


def test_terminal_controls_are_escaped() -> None:
    host = one()
    host = host._replace(cmdline="a\x1b[31m\x9b31m\u202eb")
    assert dump(host).isprintable() or all(c.isprintable() or c == "\n" for c in dump(host))
    assert parse(dump(host), "x") == host


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ('{\n"schema": 1,\n"host": {\n', "is not JSON: EOF while parsing an object at line 4"),
        ('{"schema": 1,\n"host": oops}', "is not JSON: expected value at line 2 column 9"),
        ("00:00.0 Host bridge", "is not JSON: invalid number at line 1 column 2"),
        ("[]", "not a snapshot of iommutui"),
        ('{"groups": []}', "not a snapshot of iommutui"),
        ('{"schema": 1}', "not a snapshot of iommutui"),
        (
            '{"schema": 2, "tool": "iommutui 9", "host": {}}',
            "written by a newer iommutui ('iommutui 9'): it has schema 2",
        ),
        ('{"schema": 99, "host": 3}', "written by a newer iommutui"),
        ('{"schema": true, "tool": "", "host": {}}', "schema: Input should be a valid integer"),
        ('{"schema": "1", "tool": "", "host": {}}', "schema: Input should be a valid integer"),
        ("[" * 100_000, "recursion limit exceeded"),
        ('{"schema": ' + "9" * 5000 + "}", "number out of range"),
        (dump_of({}), "host.devices: Field required"),
        (dump_of([]), "host"),
        (dump_of({"devices": [], "extra": 1}), "host.extra: Extra inputs are not permitted"),
        (dump_of({"devices": []}, extra=1), "extra: Extra inputs are not permitted"),
        (dump_of({"devices": {}}), "host.devices: Input should be a valid array"),
        (dump_of({"devices": [{}]}), "host.devices[0].address: Field required"),
        (dump_of({"devices": [{"address": 5}]}), "host.devices[0].address: Input should be a valid string"),
        (
            dump_of({"devices": [{"address": "0000:01:00.0"}, {"address": "0000:01:00.1", "driver": 3}]}),
            "host.devices[1].driver: Input should be a valid string",
        ),
        (dump_of({"devices": [{"address": "0000:01:00.0", "group": "1"}]}), "host.devices[0].group: Input should be a"),
        (dump_of({"devices": [{"address": "01:00.0"}]}), "host.devices[0].address: '01:00.0' is not the address"),
        (dump_of({"devices": [{"address": "0000:0A:00.0"}]}), "is not the address of a PCI device"),
        (
            dump_of({"devices": [{"address": "0000:01:00.0"}] * 2}),
            "host.devices[1].address: 0000:01:00.0 appears twice",
        ),
        (
            dump_of({"devices": [{"address": "0000:01:00.0"}], "removed": [{"address": "0000:01:00.0"}]}),
            "host.removed[0].address: 0000:01:00.0 appears twice",
        ),
        (
            dump_of({"devices": [{"address": "0000:01:00.0", "group": 3}]}),
            "host.devices[0].group: group 3 does not exist",
        ),
        (
            dump_of({"devices": [{"address": "0000:01:00.0", "group": 3}], "groups": [{"id": 3}]}),
            "host.devices[0].group: group 3 has no member 0000:01:00.0",
        ),
        (
            dump_of({"devices": [{"address": "0000:01:00.0"}], "groups": [{"id": 3, "members": ["0000:01:00.0"]}]}),
            "host.groups[0].members: 0000:01:00.0 claims to be in group None",
        ),
        (dump_of({"devices": [], "groups": [{"id": 3}, {"id": 3}]}), "host.groups[1].id: group 3 appears twice"),
        (dump_of({"devices": [], "groups": [{"id": 3, "members": ["a", "a"]}]}), "a member appears twice"),
        ('{"schema": 1, "tool": "\\ud800", "host": {"devices": []}}', "is not JSON"),
        ('{"schema": 1, "tool": "", "host": {"devices": NaN}}', "host"),
    ],
)
def test_an_invalid_snapshot_is_refused(text: str, what: str) -> None:
    with pytest.raises(SourceError) as caught:
        parse(text, "some.json")
    assert what in caught.value.what
    assert "some.json" in caught.value.what
    assert caught.value.remedy
    for raw in ("pydantic", "ValidationError", "type=", "Traceback", "https://"):
        assert raw not in caught.value.what


def test_a_member_without_a_device_is_allowed() -> None:
    text = dump_of({"devices": [], "groups": [{"id": 3, "members": ["arm-smmu.0"]}]})
    assert parse(text, "x").groups[3].members == ("arm-smmu.0",)


def test_a_member_on_another_bus_may_have_any_name() -> None:
    device = {"address": "HISI0162:01", "bus": "platform", "group": 3}
    text = dump_of({"devices": [device], "groups": [{"id": 3, "members": ["HISI0162:01"]}]})
    assert [d.bus for d in parse(text, "x").devices.values()] == ["platform"]


def test_a_snapshot_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write(one(), str(path))
    assert load(str(path)) == one()
    assert path.stat().st_mode & 0o777 == 0o644
    assert load(str(path), kernel="5.10.0").kernel == "5.10.0"


def test_a_byte_order_mark_is_allowed(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b"\xef\xbb\xbf" + dump(one()).encode())
    assert load(str(path)) == one()


def test_a_snapshot_is_read_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(dump(one()).encode())))
    assert load("-") == one()


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no\.json does not exist"):
        load(str(tmp_path / "no.json"))


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(b'{"schema": 1,\n"host":\n\xff\xfe}')
    with pytest.raises(SourceError, match=r"is not JSON: .* line 3 "):
        load(str(path))


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with path.open("wb") as file:
        file.truncate(LIMIT + 1)
    with pytest.raises(SourceError, match="larger than"):
        load(str(path))


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(SourceError, match="cannot be written: No space"):
        write(one(), str(path))
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.json"]
