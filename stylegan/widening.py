"""Widening: a larger generator that gives the same images, as a start for further training."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from stylegan.architecture import Architecture
from stylegan.generator import Generator


@torch.no_grad()
def widened(small: Generator, architecture: Architecture, start: Generator | None = None) -> Generator:
    """A generator of a larger architecture with the images of `small`, upsampled to the larger resolution.

    The images agree up to rounding, because the added weights are zero: known channels do not read added channels, and
    added resolutions add nothing to the image. Zero weights have zero gradients, so training needs `start`, a generator
    of `architecture`: then the added channels keep its initial weights, and only the weights with which known channels
    read added ones are zero.

    Raises ValueError if the architecture cannot hold `small`: another mapping network or `conv_clamp`, fewer channels,
    or a lower resolution. With `start`, also if its architecture is not `architecture` or its resolution is higher than
    the resolution of `small`.
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


def _enlarged(name: str, large: Tensor, known: Tensor | None) -> Tensor:
    """The small generator's tensor `known`, padded with zeros to the shape of `large`; new filters unchanged."""
    if known is None:
        return large.clone() if name.endswith("resample_filter") else torch.zeros_like(large)
    enlarged = torch.zeros_like(large)
    enlarged[tuple(slice(length) for length in known.shape)] = known
    return enlarged


def _unread(name: str, start: Tensor, known: Tensor) -> Tensor:
    """The small generator's tensor `known` inside `start`; the weights from added to known channels are zero."""
    enlarged = start.clone()
    if start.ndim == 4 and name.startswith("synthesis."):
        enlarged[: known.shape[0], known.shape[1] :] = 0
    enlarged[tuple(slice(length) for length in known.shape)] = known
    return enlarged
