"""The user's settings: ``$XDG_CONFIG_HOME/iommutui/config.toml``.

[drivers]
my_vfio_driver = "user"     # a VFIO driver that iommutui does not know
my_stub = "none"            # does no DMA

[keys]
apply = "f9 a"              # keys of the screen's commands

[screen]
theme = "nord"

[journal]                   # root's settings, because root writes journals
number = 100                # of earlier boots, how many are kept
days = 365                  # and for how long

Checked by hand: pydantic would cost the screen a third of its start.
"""

import os
import re
from typing import Any, NamedTuple

from iommutui.core.drivers import KNOWN, DriverFacts, DriverTable, Role, Version
from iommutui.core.errors import IommutuiError


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
    except tomllib.TOMLDecodeError as error:
        return Settings(wrong=(_not_toml(path, text, str(error)),))
    except (OSError, UnicodeDecodeError) as error:
        why = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.strerror
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


def _not_toml(path: str, text: str, why: str) -> IommutuiError:
    """tomllib puts the place at the end of its message: ``(at line 3, column 7)`` or ``(at end of document)``."""
    found = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", why)
    line = found[1] if found and found[1] else str(len(text.splitlines()) or 1)
    reason = why[: found.start()] if found else why
    return IommutuiError(f"{path}, line {line}: this is not TOML: {reason}.", f"Correct line {line}.")


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


def _checked(document: dict[str, object], path: str, places: dict[str, str]) -> Settings:
    right: dict[str, dict[str, Any]] = {table: {} for table in _CHECKS}
    wrong: list[IommutuiError] = []

    def mistake(place: str, what: str, remedy: str) -> None:
        wrong.append(IommutuiError(f"{place}: {what}.", remedy))

    for table, content in document.items():
        place = places.get(table, path)
        if table not in _CHECKS:
            known = f"The tables are {', '.join(f'[{name}]' for name in _CHECKS)}."
            mistake(place, f"unknown setting {table!r}", known)
            continue
        check, example = _CHECKS[table]
        if not isinstance(content, dict):
            mistake(place, f"{table!r} must be a table", f"Write [{table}] on a line, and {example} below it.")
            continue
        for name, value in content.items():
            what = check(name, value)
            if what:
                mistake(places.get(f"{table}.{name}", place), what, f"For example: {example}")
            else:
                right[table][name] = value
    return Settings(
        drivers={name: Role(role) for name, role in right["drivers"].items()},
        keys=right["keys"],
        theme=right["screen"].get("theme", Settings().theme),
        journal=right["journal"],
        places=places,
        wrong=tuple(wrong),
    )


def _driver(name: str, value: object) -> str:
    if value in list(Role):
        return ""
    return f"the role of driver {name} is {value!r}; a role is 'kernel', 'user' or 'none'"


def _key(name: str, value: object) -> str:
    return "" if isinstance(value, str) else f"keys.{name} must be text"


def _journal(name: str, value: object) -> str:
    good = name in ("number", "days") and type(value) is int and 0 <= value <= 100_000
    return "" if good else f"unknown setting journal.{name} = {value!r}"


def _screen(name: str, value: object) -> str:
    if name != "theme":
        return f"unknown setting screen.{name}; the only one is theme"
    return "" if isinstance(value, str) else "screen.theme must be text"


_CHECKS = {
    "drivers": (_driver, 'my_vfio_driver = "user"'),
    "keys": (_key, 'apply = "f9 a"'),
    "journal": (_journal, "number = 100"),
    "screen": (_screen, 'theme = "nord"'),
}
"""The tables: what is wrong with a setting (nothing: empty), and an example of one."""
