"""The user's settings: ``$XDG_CONFIG_HOME/iommutui/config.toml``.

[drivers]
my_vfio_driver = "user"     # a VFIO driver that iommutui does not know
my_stub = "none"            # does no DMA
"""

import os
from typing import NamedTuple

from iommutui.core.drivers import DriverFacts, Role, learn
from iommutui.core.errors import IommutuiError
from iommutui.core.kernel import Version


class Config(NamedTuple):
    """What the file says; the default is what an absent file means."""

    drivers: dict[str, Role] = {}  # noqa: RUF012 - never changed in place


def config_path() -> str:
    """Where the file is looked for, whether it exists or not."""
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return os.path.join(base, "iommutui", "config.toml")


def read_config(path: str | None = None) -> Config:
    """The settings; IommutuiError names the file, the place and the remedy of what is wrong in it."""
    path = path or config_path()
    if not os.path.lexists(path):
        return Config()
    import tomllib  # most people have no settings, and a listing does not wait for what it does not need

    try:
        with open(path, "rb") as file:
            document = tomllib.load(file)
    except OSError as error:
        raise IommutuiError(f"The settings in {path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise IommutuiError(f"The settings in {path} are not TOML: {error}.", "Mend the line that it names.") from error
    unknown = sorted(set(document) - set(Config._fields))
    if unknown:
        raise IommutuiError(f"{path}: there is no setting {unknown[0]!r}.", f"Known are: {', '.join(Config._fields)}.")
    return Config(drivers=_drivers(path, document.get("drivers", {})))


def take_effect(config: Config) -> None:
    """Makes the engine know the drivers of the settings. Once, before anything is asked of it."""
    learn(_facts(name, role) for name, role in config.drivers.items())


def _facts(name: str, role: Role) -> DriverFacts:
    if role is Role.KERNEL:
        return DriverFacts(name)
    # The user speaks of the driver as it is, so there is no kernel in which it was different.
    return DriverFacts(name, role, Version(0, 0), vfio=role is Role.USER)


def _drivers(path: str, table: object) -> dict[str, Role]:
    if not isinstance(table, dict):
        raise IommutuiError(f"{path}: 'drivers' has to be a table.", 'Write [drivers], and name = "user" below it.')
    found = {}
    for name, role in table.items():
        if role not in list(Role):
            raise IommutuiError(
                f"{path}: drivers.{name} has the role {role!r}.", 'A role is "kernel", "user" or "none".'
            )
        found[name] = Role(role)
    return found
