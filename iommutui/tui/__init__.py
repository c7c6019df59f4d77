"""The screen. Textual is imported when it is run, and not before."""


def run(source: str | None, *, demo: bool = False, kernel: str | None = None, model: str | None = None) -> int:
    """Shows the machine of ``source`` (None: this one) until the person leaves; returns the exit code."""
    from iommutui.tui.app import IommutuiApp
    from iommutui.tui.machine import machine_of
    from iommutui.tui.state import start

    machine = machine_of(source, demo=demo, kernel=kernel)
    app = IommutuiApp(machine, start(machine.source, model, kernel))
    app.run()
    return app.return_code or 0
