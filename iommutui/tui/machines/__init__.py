"""The kinds of machine that the screen can show: this one, one from a file, and the built-in one."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from iommutui.core.drivers import KNOWN, DriverTable
from iommutui.core.host import Host
from iommutui.tui.machines.base import Machine
from iommutui.tui.machines.simulated import SimulatedMachine
from iommutui.tui.state import Source, SourceKind

if TYPE_CHECKING:
    from iommutui.sources import Opened


def is_listing(text: str) -> bool:
    """Whether a text is a machine and not a file name; JSON and XML may be a single line."""
    return "\n" in text.strip() or text.lstrip()[:1] in ("[", "{", "<")


def machine_in(text: str, table: DriverTable) -> Machine:
    """The machine that a pasted text describes, or in the file that it names."""
    if not is_listing(text):
        return machine_of([os.path.expanduser(text.strip())], demo=False, kernel=None, table=table)
    from iommutui.sources import open_text

    return _opened("pasted listing", lambda: open_text(text, driver_table=table))


def _opened(label: str, read: Callable[[], "Opened"]) -> Machine:
    """A machine read on demand, with the notes of its source."""

    def load() -> Host:
        opened = read()
        machine.notes = opened.notes
        return opened.host

    machine = SimulatedMachine(Source(SourceKind.SNAPSHOT, label), load)
    return machine


def machine_of(path: list[str] | None, *, demo: bool, kernel: str | None, table: DriverTable = KNOWN) -> Machine:
    """The machine named on the command line."""
    if demo:
        from iommutui.demo import demo_host

        def built_in() -> Host:
            host = demo_host()
            return host._replace(kernel=kernel or host.kernel, driver_table=table)

        return SimulatedMachine(Source(SourceKind.DEMO, "demo"), built_in)
    if path:
        from iommutui.sources import open_source

        names = ("standard input" if each == "-" else os.path.basename(os.path.normpath(each)) or each for each in path)
        name = " and ".join(names)
        return _opened(name, lambda: open_source(path, kernel=kernel, driver_table=table))
    from iommutui.tui.machines.live import LiveMachine

    return LiveMachine(kernel, table)
