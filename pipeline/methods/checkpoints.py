"""Checkpoints of methods, in the folder that `FitData` names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.optimisation.checkpoint import Checkpoint, sha256_of

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.methods.interface import FitData, Method


def method_checkpoint(
    method: Method,
    data: FitData,
    part: str = "",
    *,
    tensors: Sequence[Tensor] = (),
    also: Mapping[str, Any] | None = None,
) -> Checkpoint:
    """The checkpoint NAME.pt in `data.checkpoints`, or NAME-PART.pt for a part; without that folder nothing is kept.

    It depends on the method's version and parameters, the seed, codes and labels, and also on `tensors` and `also`
    (JSON-compatible). A file with other values, or a damaged one, gives a warning, and the training starts over.
    """
    file = f"{method.name}-{part}.pt" if part else f"{method.name}.pt"
    path = None if data.checkpoints is None else data.checkpoints / file
    depends_on = {
        "version": method.version,
        "seed": data.seed,
        "data": sha256_of((data.w, data.values, *tensors)) if path is not None else "",
        **(also or {}),
        **{f"parameter.{name}": value for name, value in method.parameters().items()},
    }
    return Checkpoint(path, depends_on)
