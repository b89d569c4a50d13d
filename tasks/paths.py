"""What the command line does with every path that it is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.settings.paths import expanded


def at_home(value: Any) -> Any:
    """The callback of every option and argument that is a path, or several: `~` is the home directory.

    Raises ConfigError where it is not known.
    """
    if isinstance(value, list | tuple):
        return [at_home(path) for path in value]
    return expanded(value) if isinstance(value, str | Path) else value
