"""A generator inside a larger one: the same pictures from more channels and more resolutions."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from stylegan.architecture import Architecture
from stylegan.generator import Generator


@torch.no_grad()
def widened(small: Generator, architecture: Architecture, start: Generator | None = None) -> Generator:
    """A generator of the larger architecture whose images are those of `small`, enlarged by its own image filter.

    Exact but for rounding: what is new is zero. The added channels of a resolution hold noise that no weight reads; the
    convolutions of added resolutions are zero, and their images add nothing. Such channels have no slope either, so for
    training `start`, of that architecture, gives the added channels their start values; that nothing reads them yet is
    the only zero then. Raises ValueError if the architecture cannot hold `small`: another mapping network or
    `conv_clamp`, fewer channels, or a lower resolution; with `start` also where that is of another architecture or of a
    higher resolution than `small`.
    """
    before = small.architecture
    same = ("z_dim", "w_dim", "mapping_layers", "conv_clamp")
    differing = [name for name in same if getattr(before, name) != getattr(architecture, name)]
    narrow = [size for size, width in before.channels.items() if architecture.channels.get(size, 0) < width]
    if differing or narrow:
        raise ValueError(
            f"Expected an architecture that can hold {before}, found {architecture}: "
            + "; ".join([f"another {name}" for name in differing] + [f"too narrow at {size} px" for size in narrow])
        )
    if start is not None and (start.architecture != architecture or architecture.resolution != before.resolution):
        raise ValueError(
            f"Expected start values of {architecture} and a generator of its resolution, "
            f"found {start.architecture} and {before.resolution} px."
        )
    large = Generator.from_architecture(architecture)
    known = small.state_dict()
    if start is None:
        state = {name: _enlarged(name, value, known.get(name)) for name, value in large.state_dict().items()}
    else:
        state = {name: _unread(name, value, known[name]) for name, value in start.state_dict().items()}
    for size, width in before.channels.items():
        # torgb alone divides by the square root of its channels.
        state[f"synthesis.b{size}.torgb.weight"] *= math.sqrt(architecture.channels[size] / width)
    large.load_state_dict(state)
    return large.eval().requires_grad_(False)


def _enlarged(name: str, wanted: Tensor, known: Tensor | None) -> Tensor:
    """The small generator's tensor in the first corner of zeros; filters of new resolutions as they are."""
    if known is None:
        return wanted.clone() if name.endswith("resample_filter") else torch.zeros_like(wanted)
    enlarged = torch.zeros_like(wanted)
    enlarged[tuple(slice(length) for length in known.shape)] = known
    return enlarged


def _unread(name: str, start: Tensor, known: Tensor) -> Tensor:
    """The small generator's tensor in the first corner of start values, of which known channels read nothing."""
    enlarged = start.clone()
    if start.ndim == 4 and name.startswith("synthesis."):
        enlarged[: known.shape[0], known.shape[1] :] = 0
    enlarged[tuple(slice(length) for length in known.shape)] = known
    return enlarged
