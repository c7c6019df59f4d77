"""What an input offers behind the cursor."""

from collections.abc import Callable

from textual.suggester import Suggester


class Completions(Suggester):
    """Asks a function; remembers nothing, because what completes a word changes with the machine."""

    def __init__(self, complete: Callable[[str], str | None]) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._complete = complete

    async def get_suggestion(self, value: str) -> str | None:
        """The whole text with its last word completed."""
        return self._complete(value)
