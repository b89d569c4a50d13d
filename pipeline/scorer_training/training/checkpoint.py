"""The state of an unfinished training: replaced in one step, and used only by a training of the same settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from pipeline.errors import StageError
from pipeline.storage.files import write_alone

START_OVER = "Give the same settings and files again, another --folder, or --fresh to start over."


class Checkpoint:
    """One file; `settings` is what its content hangs on, JSON-compatible."""

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self.path, self.settings = path, settings

    def save(self, state: dict[str, Any]) -> None:
        """Replace what is kept. Raises StageError if it cannot be written."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_alone(self.path, lambda file: torch.save({"settings": self.settings} | state, file))

    def load(self, device: torch.device) -> dict[str, Any] | None:
        """What was kept, or None. Raises StageError if it cannot be read or is of other settings, saying which."""
        if not self.path.exists():
            return None
        try:
            state: dict[str, Any] = torch.load(self.path, map_location=device, weights_only=True)
            kept: dict[str, Any] = state["settings"]
        except Exception as error:  # whatever a damaged file makes torch raise
            raise StageError(f"The checkpoint {self.path} cannot be read ({error}). {START_OVER}") from error
        other = [
            f"{key} {kept.get(key)!r} there, {self.settings.get(key)!r} here"
            for key in sorted({*kept, *self.settings})
            if kept.get(key) != self.settings.get(key)
        ]
        if other:
            raise StageError(f"The checkpoint {self.path} is of another training: {'; '.join(other)}. {START_OVER}")
        return state

    def discard(self) -> None:
        """Forget what is kept."""
        self.path.unlink(missing_ok=True)
