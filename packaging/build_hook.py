"""Puts the manual page and the completions into the wheel, from where installers take them to ``share``."""

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class SharedFiles(BuildHookInterface):  # type: ignore[type-arg]
    """Made anew for each wheel; an editable install goes without."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Adds each file under the name that it has below the installation's prefix."""
        if version == "editable":
            return
        sys.path.insert(0, str(Path(self.root, "packaging")))
        from generate import write

        share = Path(self.root, "build", "share")
        for path in write(share):
            build_data["shared_data"][str(path)] = str(path.relative_to(share.parent))
