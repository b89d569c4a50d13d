"""Checkpoints of an unfinished computation: one file, replaced whole, checked by sha256, used by the same computation
alone.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from pipeline.errors import StageError
from pipeline.storage.files import write_alone

if TYPE_CHECKING:
    import torch
    from torch import Tensor

log = logging.getLogger("latentbench")

HEADER = 65  # bytes before the state: its sha256 in hexadecimal and a line break
START_OVER = "Starting over."


class Checkpoint:
    """The state of a computation at `path`, which one process writes; with a path of None nothing is kept.

    `depends_on` is all that the result depends on, JSON-compatible: a file that was written for other values is not
    used. Such a file, or a damaged one, is a StageError that ends in `remedy`; without a remedy it is a warning, and
    the computation starts over.
    """

    def __init__(self, path: Path | None, depends_on: Mapping[str, Any], remedy: str = "") -> None:
        self.path, self.remedy = path, remedy
        self.depends_on = json.loads(json.dumps(depends_on))

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace what is kept by a state of tensors, numbers, texts, lists and dicts. Raises StageError if it cannot
        be written, with the old file still there.
        """
        import torch

        def write(file: IO[bytes]) -> None:
            file.write(b"\n" * HEADER)
            hashing = _Hashing(file)
            torch.save({"depends_on": self.depends_on, "state": dict(state)}, cast(IO[bytes], hashing))
            file.seek(0)
            file.write(hashing.digest.hexdigest().encode())

        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_alone(self.path, write)

    def load(self, device: torch.device | None = None) -> dict[str, Any] | None:
        """What was kept, its tensors on `device`; None where nothing was.

        Raises StageError for a file that cannot be used, unless the computation starts over.
        """
        if self.path is None or not self.path.exists():
            return None
        try:
            kept = self._read(self.path, device)
            obstacle = self._difference(kept["depends_on"])
        except Exception as error:  # whatever a damaged file makes torch raise
            obstacle = f"cannot be read ({error})"
        if not obstacle:
            return kept["state"]
        message = f"The checkpoint {self.path} {obstacle}. {self.remedy or START_OVER}"
        if self.remedy:
            raise StageError(message)
        log.warning(message)
        return None

    def discard(self) -> None:
        """Remove what is kept."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def _read(self, path: Path, device: torch.device | None) -> dict[str, Any]:
        import torch

        with path.open("rb") as file:
            expected = file.read(HEADER).strip().decode("ascii", "replace")
            found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != expected:
                raise ValueError("it is damaged, or an earlier version of this program wrote it")
            file.seek(HEADER)
            return torch.load(file, map_location=device, weights_only=True)

    def _difference(self, kept: Mapping[str, Any]) -> str:
        """What the file was written for, where it differs from what is computed here; empty if it is the same."""
        different = [
            f"{key} {kept.get(key)!r} there, {self.depends_on.get(key)!r} here"
            for key in sorted({*kept, *self.depends_on})
            if kept.get(key) != self.depends_on.get(key)
        ]
        return f"is of other settings or data: {'; '.join(different)}" if different else ""


class _Hashing(io.RawIOBase):
    """A file whose bytes are hashed as they are written."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.digest = file, hashlib.sha256()

    def write(self, data: Any) -> int:
        self.digest.update(data)
        return self.file.write(data)


def sha256_of(tensors: Iterable[Tensor]) -> str:
    """sha256 over the bytes of some tensors, in hexadecimal."""
    content = hashlib.sha256()
    for tensor in tensors:
        content.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return content.hexdigest()
