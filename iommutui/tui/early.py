"""A first look at the machine that begins while Textual is still being imported."""

import threading
from collections.abc import Callable

from iommutui.core.host import Host


class EarlyScan:
    """Runs a scan in a thread of its own."""

    def __init__(self, scan: Callable[[], Host]) -> None:
        self._scan = scan
        self._host: Host | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="iommutui-scan", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._host = self._scan()
        except BaseException as error:  # kept for whoever asks for the result
            self._error = error

    def result(self) -> Host:
        """Waits for the end; raises what the scan raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        assert self._host is not None
        return self._host

    def ready(self) -> Host | None:
        """The machine, if it is there already."""
        return None if self._thread.is_alive() else self._host
