"""Keys that are typed faster than the screen can follow, as a slow connection delivers them: one at a time, in order.

Textual passes a key to the widget that has the focus when the key arrives, and looks for its binding when it has come
all the way up from there. A key that comes right behind another is then on its way to a widget that is about to lose
the focus, or to a screen that is about to be covered. Here it waits until the one before has done all that it does.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from textual.app import App
from textual.events import Callback, Event
from textual.message_pump import MessagePump
from textual.worker import WorkerError

PATIENCE = 5.0
"""Seconds after which a key counts as done whatever it is still doing."""


class TypeAhead:
    """The keys (and pastes) of one app that wait for their turn."""

    def __init__(self, app: App[Any], deliver: Callable[[Event], Awaitable[None]]) -> None:
        self._app = app
        self._deliver = deliver
        self._waiting: deque[Event] = deque()
        self._following: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether a key is still doing what it does, or waits for its turn."""
        return self._following is not None

    async def take(self, event: Event) -> None:
        """Delivers it now, or behind those that came before it."""
        if self._following is not None:
            self._waiting.append(event)
            return
        path = self._path()
        await self._deliver(event)
        self._following = asyncio.create_task(self._follow(path))

    async def _follow(self, path: list[MessagePump]) -> None:
        try:
            await self._settled(path)
            while self._waiting:
                path = self._path()
                await self._deliver(self._waiting.popleft())
                await self._settled(path)
        finally:
            self._following = None

    def _path(self) -> list[MessagePump]:
        """Where a key goes that is delivered now: from the focus up to the app, where bindings are looked for."""
        return list((self._app.focused or self._app.screen).ancestors_with_self)

    async def _settled(self, path: list[MessagePump]) -> None:
        """Waits until a key has gone up the path, and until a screen that it has brought has settled."""
        try:
            async with asyncio.timeout(PATIENCE):
                for pump in path:
                    await _caught_up(pump)
                await self._prepared()
                screen = None
                while screen is not self._app.screen:
                    screen = self._app.screen
                    await _caught_up(screen)
                    await _caught_up(self._app)
        except TimeoutError:
            return

    async def _prepared(self) -> None:
        """What is made for a key when it is first pressed has been made."""
        for worker in list(self._app.workers):
            if worker.group == "prepare" and not worker.is_finished:
                with suppress(WorkerError):
                    await worker.wait()


async def _caught_up(pump: MessagePump) -> None:
    """Waits until the pump has handled everything that is in its queue now."""
    done = asyncio.Event()
    if pump.post_message(Callback(done.set)):  # as call_later does, which looks at a signature each time
        await done.wait()
