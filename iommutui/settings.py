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
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from iommutui.core.drivers import KNOWN, DriverFacts, DriverTable, Role
from iommutui.core.errors import IommutuiError
from iommutui.core.kernel import Version

T = TypeVar("T")


class Config(NamedTuple):
    """What the file says; the default is what an absent file means."""

    drivers: dict[str, Role] = {}  # noqa: RUF012 - never changed in place
    keys: dict[str, str] = {}  # noqa: RUF012 - never changed in place
    """Keys by command of the screen, as they are written; which commands and keys there are, the screen knows."""
    theme: str = "iommutui"
    journal: dict[str, int] = {}  # noqa: RUF012 - never changed in place
    """How many journals of earlier boots are kept, and for how many days."""
    wrong: tuple[IommutuiError, ...] = ()
    """What cannot be used of the file."""


def config_path() -> str:
    """Where the file is looked for, whether it exists or not."""
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return os.path.join(base, "iommutui", "config.toml")


def read_config(path: str | None = None) -> Config:
    """The settings. A part that cannot be used is as good as absent, and ``wrong`` says why: file, line and remedy."""
    path = path or config_path()
    if not os.path.lexists(path):
        return Config()
    wrong: list[IommutuiError] = []

    def used(read: Callable[[_Place, object], T], table: str, default: T) -> T:
        try:
            return read(_Place(path), document.get(table, {}))
        except IommutuiError as error:
            wrong.append(error)
            return default

    try:
        document = _document(path)
    except IommutuiError as error:
        return Config(wrong=(error,))
    for name in sorted(set(document) - set(_TABLES)):
        what = f"{_Place(path).of(name)}: there is no setting {name!r}."
        wrong.append(IommutuiError(what, f"Known are: {', '.join(_TABLES)}."))
    plain = Config()
    drivers, keys = used(_drivers, "drivers", plain.drivers), used(_keys, "keys", plain.keys)
    theme, journal = used(_theme, "screen", plain.theme), used(_journal, "journal", plain.journal)
    return Config(drivers, keys, theme, journal, tuple(wrong))


def _document(path: str) -> dict[str, object]:
    import tomllib  # most people have no settings, and a listing does not wait for what it does not need

    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise IommutuiError(f"{path}: the settings cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        what, _, place = str(error).rstrip(")").partition(" (at line ")
        line = f", line {place.partition(',')[0]}" if place else ""
        raise IommutuiError(
            f"{path}{line}: this is not TOML: {what}.", "Fix that line; a table looks like [keys]."
        ) from error


_TABLES = ("drivers", "keys", "screen", "journal")


class _Place(NamedTuple):
    """The file, and where in it a setting stands."""

    path: str

    def of(self, name: str) -> str:
        """``PATH, line N``; the path alone where the line does not show."""
        try:
            with open(self.path, encoding="utf-8", errors="replace") as file:
                lines = file.read().splitlines()
        except OSError:
            lines = []
        for number, text in enumerate(lines, 1):
            if text.strip().strip("[").startswith((name, f'"{name}"')):
                return f"{self.path}, line {number}"
        return self.path


def _keys(place: _Place, table: object) -> dict[str, str]:
    if not isinstance(table, dict):
        raise IommutuiError(
            f"{place.of('keys')}: 'keys' has to be a table.", 'Write [keys], and apply = "f9" below it.'
        )
    for name, keys in table.items():
        if not isinstance(keys, str):
            raise IommutuiError(f"{place.of(name)}: keys.{name} has to be text.", 'For example apply = "f9 a".')
    return table


def _theme(place: _Place, table: object) -> str:
    if not isinstance(table, dict):
        raise IommutuiError(f"{place.of('screen')}: 'screen' has to be a table.", "Write [screen], and theme below it.")
    unknown = sorted(set(table) - {"theme"})
    if unknown:
        raise IommutuiError(f"{place.of(unknown[0])}: there is no setting screen.{unknown[0]}.", "Known is: theme.")
    theme = table.get("theme", Config().theme)
    if not isinstance(theme, str):
        raise IommutuiError(f"{place.of('theme')}: screen.theme has to be text.", 'For example theme = "nord".')
    return theme


def _journal(place: _Place, table: object) -> dict[str, int]:
    if not isinstance(table, dict):
        raise IommutuiError(f"{place.of('journal')}: 'journal' has to be a table.", "Write [journal], and days below.")
    for name, value in table.items():
        if name not in ("number", "days") or type(value) is not int or not 0 <= value <= 100_000:
            raise IommutuiError(
                f"{place.of(name)}: journal.{name} = {value!r} is no setting.", "For example number = 100, days = 365."
            )
    return table


def driver_table(config: Config) -> DriverTable:
    """What is known of drivers, with those of the settings."""
    return {**KNOWN, **{name: _facts(name, role) for name, role in config.drivers.items()}}


def _facts(name: str, role: Role) -> DriverFacts:
    if role is Role.KERNEL:
        return DriverFacts(name)
    # The user speaks of the driver as it is, so there is no kernel in which it was different.
    return DriverFacts(name, role, Version(0, 0), vfio=role is Role.USER)


def _drivers(place: _Place, table: object) -> dict[str, Role]:
    if not isinstance(table, dict):
        raise IommutuiError(
            f"{place.of('drivers')}: 'drivers' has to be a table.", 'Write [drivers], and name = "user" below it.'
        )
    found = {}
    for name, role in table.items():
        if role not in list(Role):
            raise IommutuiError(
                f"{place.of(name)}: drivers.{name} has the role {role!r}.", 'A role is "kernel", "user" or "none".'
            )
        found[name] = Role(role)
    return found
