"""Property tests of the engine: the same examples each time, and no clock."""

from hypothesis import settings

settings.register_profile("engine", deadline=None, derandomize=True)
settings.load_profile("engine")
