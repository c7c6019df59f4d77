"""Puts the manual page and the completions into the wheel; installers copy them to ``share``."""

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class SharedFiles(BuildHookInterface):  # type: ignore[type-arg]
    """Generates the files for each wheel; an editable install has none."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Adds each file under its name below the installation's prefix."""
        if version == "editable":
            return
        sys.path.insert(0, str(Path(self.root, "packaging")))
        from generate import write

        share = Path(self.root, "build", "share")
        for path in write(share):
            build_data["shared_data"][str(path)] = str(path.relative_to(share.parent))
