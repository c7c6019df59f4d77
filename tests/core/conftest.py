"""Property tests of the engine use the same examples every time; asserting helpers show what differs."""

import pytest
from hypothesis import settings

pytest.register_assert_rewrite("tests.core.hazards", "tests.core.tables")

settings.register_profile("engine", settings.get_profile("untimed"), derandomize=True)
settings.load_profile("engine")
