"""The user's settings: ``$XDG_CONFIG_HOME/iommutui/config.toml``, whose tables the README shows.

Checked by hand: pydantic would cost the screen a third of its start.
"""

import os
import re
from typing import Any, NamedTuple

from iommutui.core.drivers import KNOWN, DriverFacts, DriverTable, Role
from iommutui.core.errors import IommutuiError
from iommutui.core.kernel import Version


class Settings(NamedTuple):
    """The content of the file; the defaults are those of an absent file."""

    drivers: dict[str, Role] = {}  # noqa: RUF012 - never changed in place
    keys: dict[str, str] = {}  # noqa: RUF012 - never changed in place
    """Keys by command of the screen, as they are written; which commands and keys there are, the screen knows."""
    theme: str = "iommutui"
    journal: dict[str, int] = {}  # noqa: RUF012 - never changed in place
    """How many journals of earlier boots are kept, and for how many days."""
    places: dict[str, str] = {}  # noqa: RUF012 - never changed in place
    """File and line of each table (``keys``) and of each setting (``keys.apply``)."""
    wrong: tuple[IommutuiError, ...] = ()
    """Each mistake in the file, with file, line and remedy. A setting with a mistake is ignored."""


def settings_path() -> str:
    """The path of the file, whether it exists or not."""
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return os.path.join(base, "iommutui", "config.toml")


def read_settings(path: str | None = None) -> Settings:
    """The settings. It never raises: mistakes are in ``wrong``, and the rest is used."""
    path = path or settings_path()
    if not os.path.lexists(path):
        return Settings()
    import tomllib  # most people have no settings, and a listing does not need the library

    try:
        with open(path, "rb") as file:
            text = file.read().decode()
        return _checked(tomllib.loads(text), path, _places(text, path))
    except (OSError, ValueError) as error:  # a mistake in TOML, which says at which line, or in UTF-8
        why = error.strerror if isinstance(error, OSError) else error
        what = f"The settings in {path} cannot be read: {why}."
        return Settings(wrong=(IommutuiError(what, "Correct the file, or remove it."),))


def driver_table(settings: Settings) -> DriverTable:
    """The known drivers and those of the settings."""
    return {**KNOWN, **{name: _facts(name, role) for name, role in settings.drivers.items()}}


def _facts(name: str, role: Role) -> DriverFacts:
    if role is Role.KERNEL:
        return DriverFacts(name)
    # The user describes the driver as it is, so there is no kernel in which it was different.
    return DriverFacts(name, role, Version(0, 0), vfio=role is Role.USER)


def _places(text: str, path: str) -> dict[str, str]:
    places: dict[str, str] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[\s*\"?([^\]\"]+?)\"?\s*\]", line)
        key = re.match(r"\s*\"?([\w.-]+)\"?\s*=", line)
        if header:
            table = header[1]
            places.setdefault(table, f"{path}, line {number}")
        elif key:
            places.setdefault(f"{table}.{key[1]}" if table else key[1], f"{path}, line {number}")
    return places


_EXAMPLES = {
    "drivers": 'my_driver = "user"; a role is "kernel", "user" or "none"',
    "keys": 'apply = "f9 a"',
    "journal": "number = 100, or days = 365",
    "screen": 'theme = "nord"',
}
"""The tables."""


def _checked(document: dict[str, object], path: str, places: dict[str, str]) -> Settings:
    right: dict[str, dict[str, Any]] = {table: {} for table in _EXAMPLES}
    wrong = []
    for table, content in document.items():
        place, example = places.get(table, path), _EXAMPLES.get(table)
        if example is None:
            known = ", ".join(f"[{name}]" for name in _EXAMPLES)
            wrong.append(IommutuiError(f"{place}: unknown setting {table!r}.", f"The tables are {known}."))
        elif not isinstance(content, dict):
            remedy = f"Write [{table}] on a line, and below it, for example: {example}"
            wrong.append(IommutuiError(f"{place}: {table!r} must be a table.", remedy))
        else:
            for name, value in content.items():
                if _is_valid(table, name, value):
                    right[table][name] = value
                else:
                    here = places.get(f"{table}.{name}", place)
                    what = f"{here}: {name!r} in [{table}] cannot be {value!r}."
                    wrong.append(IommutuiError(what, f"For example: {example}"))
    return Settings(
        drivers={name: Role(role) for name, role in right["drivers"].items()},
        keys=right["keys"],
        theme=right["screen"].get("theme", Settings().theme),
        journal=right["journal"],
        places=places,
        wrong=tuple(wrong),
    )


def _is_valid(table: str, name: str, value: object) -> bool:
    if table == "drivers":
        return value in list(Role)
    if table == "journal":
        return name in ("number", "days") and type(value) is int and 0 <= value <= 100_000
    return isinstance(value, str) and (table == "keys" or name == "theme")
