"""Networks in bfloat16 while a method learns: an option of a profile, `training_precision`.

The generator's four highest resolutions, scorer A and recognizer A compute in bfloat16. What they return is float32
again, and so are losses, gradients of what is trained, and the optimiser's state.

Differences of features before and after a small step need float32 (`full_precision`): rounded to bfloat16, they are
mostly rounding. LatentCLR with 8 directions ended at -.09 of its loss on held-out codes, and at -.24 in full precision.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from pipeline.settings.experiment import FULL

if TYPE_CHECKING:
    from pipeline.methods.interface import FitData
    from stylegan.generator import Generator

log = logging.getLogger("latentbench")


@contextmanager
def learning_in(precision: str, data: FitData) -> Iterator[FitData]:
    """`data` with networks that compute in full precision or in bfloat16; the generator is as it was, afterwards."""
    if precision == FULL:
        yield data
        return
    warn_of_slow_products(data.device.type)
    with in_bfloat16(data) as given:
        yield given


@contextmanager
def in_bfloat16(data: FitData) -> Iterator[FitData]:
    """`data` with networks that compute in bfloat16; the generator is as it was, afterwards."""
    import torch

    from pipeline.networks.reduced import InBfloat16

    synthesis = data.generator.synthesis
    before, synthesis.half_type = synthesis.half_type, torch.bfloat16
    try:
        yield replace(data, scorer_a=InBfloat16(data.scorer_a), recognizer_a=InBfloat16(data.recognizer_a))
    finally:
        synthesis.half_type = before


@contextmanager
def full_precision(generator: Generator) -> Iterator[None]:
    """The generator in float32; as it was, afterwards."""
    synthesis = generator.synthesis
    before, synthesis.half_type = getattr(synthesis, "half_type", None), None
    try:
        yield
    finally:
        synthesis.half_type = before


@cache
def warn_of_slow_products(device: str) -> None:
    """Say once where bfloat16 has no instructions: numbers are the same there up to rounding, and take longer."""
    from pipeline.networks.reduced import multiplies_bfloat16

    if device == "cpu" and not multiplies_bfloat16():
        log.warning(
            "training_precision is bfloat16, and this processor has no instructions for it: trainings take longer than "
            "in full precision. Set [profile.*] training_precision = full, which gives other numbers."
        )
