"""The screen. Textual is imported only when the screen runs."""

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from iommutui.core.host import Host
    from iommutui.tui.machines.base import Machine


def run(source: list[str] | None, *, demo: bool = False, kernel: str | None = None, model: str | None = None) -> int:
    """Shows the machine of ``source`` (None: this one) until the user leaves; returns the exit code."""
    from iommutui.settings import driver_table, read_settings
    from iommutui.tui.machines import machine_of

    config = read_settings()
    machine = machine_of(source, demo=demo, kernel=kernel, table=driver_table(config))
    first = first_look(machine)  # which goes on while Textual is imported

    from iommutui.tui.app import IommutuiApp
    from iommutui.tui.state import start
    from iommutui.tui.store import Store, state_path

    app = IommutuiApp(machine, start(machine.source, model, kernel), first, store=Store(state_path()), config=config)
    app.run()
    return app.return_code or 0


def first_look(machine: "Machine") -> "Future[Host]":
    """A scan in a daemon thread, which does not delay the end of the program."""
    found: Future[Host] = Future()

    def scan() -> None:
        try:
            found.set_result(machine.scan())
        except BaseException as error:  # raised again when the result is read
            found.set_exception(error)

    threading.Thread(target=scan, name="iommutui-scan", daemon=True).start()
    return found
