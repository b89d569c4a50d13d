"""Checkpoints of a long training: replaced in one step, and used only by a training of the same settings and data."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.storage.files import write_alone

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.methods.base import FitData, Method

log = logging.getLogger("latentbench")


class Checkpoint:
    """NAME.pt in `data.checkpoints`; without that folder, nothing is kept.

    A part of a training that has a checkpoint of its own names it: NAME-PART.pt. `tensors` are what that part is made
    from besides the codes and labels, and `also` whatever else its result hangs on, JSON-compatible.
    """

    def __init__(
        self,
        method: Method,
        data: FitData,
        part: str = "",
        *,
        tensors: Sequence[Tensor] = (),
        also: Mapping[str, Any] | None = None,
    ) -> None:
        self.name, self.device = method.name, data.device
        file = f"{method.name}-{part}.pt" if part else f"{method.name}.pt"
        self.path = data.checkpoints / file if data.checkpoints is not None else None
        content = hashlib.sha256()
        if self.path is not None:
            for tensor in (data.w, data.values, *tensors):
                content.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        made_with = {"version": method.version, "seed": data.seed, "data": content.hexdigest(), **(also or {})}
        self.key = json.dumps(made_with | {"parameters": method.parameters()}, sort_keys=True)

    def save(self, state: dict[str, Any]) -> None:
        """Replace what is kept. Raises StageError if it cannot be written."""
        import torch

        if self.path is None:
            return
        write_alone(self.path, lambda file: torch.save({"key": self.key} | state, file))

    def load(self) -> dict[str, Any] | None:
        """What was kept by a training of the same settings and data, or None; a file that is of no use is told."""
        import torch

        if self.path is None or not self.path.exists():
            return None
        try:
            state: dict[str, Any] = torch.load(self.path, map_location=self.device, weights_only=True)
            fits = state["key"] == self.key
        except Exception as error:  # whatever a damaged file makes torch raise
            log.warning("%s: the checkpoint %s cannot be read (%s); training starts over.", self.name, self.path, error)
            return None
        if not fits:
            log.warning(
                "%s: the checkpoint %s is of other settings or data; training starts over.", self.name, self.path
            )
            return None
        return state

    def discard(self) -> None:
        """Remove what is kept, so that a retry does not go on from it."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)
