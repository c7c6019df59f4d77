"""The machines that the screen can be of: this one, one from a file, and the built-in one."""

import os

from iommutui.core.drivers import KNOWN, DriverTable
from iommutui.core.host import Host
from iommutui.tui.machines.base import Machine
from iommutui.tui.machines.simulated import SimulatedMachine
from iommutui.tui.state import Source, SourceKind


def pasted(text: str, table: DriverTable) -> Machine:
    """The machine that a pasted text describes."""
    from iommutui.sources import open_text

    source = Source(SourceKind.SNAPSHOT, "pasted listing")
    return SimulatedMachine(source, lambda: open_text(text, driver_table=table).host)


def machine_of(path: list[str] | None, *, demo: bool, kernel: str | None, table: DriverTable = KNOWN) -> Machine:
    """The machine that the command line asks for."""
    if demo:
        from iommutui.demo import demo_host

        def built_in() -> Host:
            host = demo_host()
            return host._replace(kernel=kernel or host.kernel, driver_table=table)

        return SimulatedMachine(Source(SourceKind.DEMO, "demo"), built_in)
    if path:

        def from_file() -> Host:
            from iommutui.sources import load

            return load(path, kernel=kernel, driver_table=table)

        names = ("standard input" if each == "-" else os.path.basename(os.path.normpath(each)) or each for each in path)
        name = " and ".join(names)
        return SimulatedMachine(Source(SourceKind.SNAPSHOT, name), from_file)
    from iommutui.tui.machines.live import LiveMachine

    return LiveMachine(kernel, table)
