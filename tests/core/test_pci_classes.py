"""Class names without a database."""

import pytest

from iommutui.core.address import Address
from iommutui.core.host import Device
from iommutui.core.labels import class_words


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("030200", "3D controller"),
        ("030000", "VGA compatible controller"),
        ("010802", "Non-Volatile memory controller"),
        ("0c0330", "USB controller"),
        ("038000", "Display controller"),  # 80 is "other" in every base class
        ("ff0000", "Unassigned class"),
        ("7f0000", "Class 7f"),
        ("03", "Display controller"),  # a pasted listing may hold less
    ],
)
def test_a_class_has_a_name_without_a_database(code: str, words: str) -> None:
    assert class_words(Device(Address("0000:01:00.0"), class_code=code)) == words


def test_the_name_from_the_source_comes_first() -> None:
    device = Device(Address("0000:01:00.0"), class_code="030000", class_name="Graphics")
    assert class_words(device) == "Graphics"


def test_a_device_without_a_class_code_has_an_unknown_class() -> None:
    assert class_words(Device(Address("0000:01:00.0"))) == "Unknown class"
