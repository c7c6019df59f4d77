"""The screen. Textual is imported when it is run, and not before."""


def run(source: str | None, *, demo: bool = False, kernel: str | None = None, model: str | None = None) -> int:
    """Shows the machine of ``source`` (None: this one) until the person leaves; returns the exit code."""
    import gc
    import os

    from iommutui.settings import driver_table, read_settings, settings_path
    from iommutui.tui.early import EarlyScan
    from iommutui.tui.machine import machine_of

    gc.disable()  # until the first machine is on the screen: there is no garbage before, and looking for it takes time
    settings = read_settings()
    machine = machine_of(source, demo=demo, kernel=kernel, table=driver_table(settings))
    early = EarlyScan(machine.scan)

    from iommutui.core.errors import IommutuiError
    from iommutui.tui.app import IommutuiApp
    from iommutui.tui.registry import use_keys
    from iommutui.tui.state import start
    from iommutui.tui.store import Store, state_path

    wrong = settings.problems_of("keys", "screen")
    try:
        use_keys(settings.keys)
    except IommutuiError as error:
        wrong.append(error)
    console = os.environ.get("TERM") == "linux"
    state = start(machine.source, model, kernel)
    app = IommutuiApp(machine, state, early, store=Store(state_path()), theme=settings.theme, console=console)
    if settings.theme not in app.available_themes:
        names = ", ".join(sorted(app.available_themes))
        mend = f"Mend screen.theme in {settings_path()}. Themes are: {names}."
        wrong.append(IommutuiError(f"There is no theme {settings.theme!r}.", mend))
    app.wrong = wrong
    app.run()
    return app.return_code or 0
