"""A generator in a checkpoint of any format: unread tensors under NVIDIA's names, and the checks on them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from stylegan.architecture import Architecture, resolutions_up_to
from stylegan.checkpoints.inert import Values, count
from stylegan.checkpoints.limits import RefusalError
from stylegan.checkpoints.machine import describe
from stylegan.generator import Generator
from stylegan.layers import resampling_filter
from stylegan.weights import parse_architecture

MOST_FAULTS = 5
AVERAGE_W = "mapping.w_avg"
NOISE = ".noise_const"
NOISE_SEED = 20240
IMAGE_CHANNELS = 3
SLACK = 2**20
"""Bytes by which the tensors may exceed the bound of `check_memory`, for small files."""


@dataclass(frozen=True)
class FoundGenerator:
    """The result of a format's reader."""

    kind: str
    """The format, in words."""
    values: Mapping[str, Values]
    """Tensors by their names in `Generator.state_dict()`. The low-pass filters and the average w may be missing."""
    conv_clamp: float | None = None
    license_note: str = ""
    """The usual licence of files in this format."""
    assumed: tuple[str, ...] = field(default=())
    """Properties that the file does not state, and the value assumed for each, in words."""
    lacks_noise: bool = False
    """Whether the file holds no noise buffer; then all of them are drawn (`draw_noise`)."""


def infer_architecture(values: Mapping[str, Values], conv_clamp: float | None) -> Architecture:
    """The architecture that fits the tensors' names and shapes. Raises RefusalError if none does."""

    def axis(name: str, index: int, ndim: int) -> int:
        if name not in values:
            raise RefusalError(f"its generator lacks {name}")
        shape = values[name].shape
        if len(shape) != ndim:
            raise RefusalError(f"its generator has {name} as {shape}, expected {ndim} axes")
        return shape[index]

    blocks = {int(m[1]) for name in values if (m := re.match(r"synthesis\.b(\d{1,5})\.", name))}
    layers = {int(m[1]) for name in values if (m := re.match(r"mapping\.fc(\d{1,3})\.", name))}
    if not blocks:
        raise RefusalError("it holds no StyleGAN2 generator: no tensor has a name of a synthesis network")
    try:
        channels = {str(r): axis(f"synthesis.b{r}.conv1.weight", 0, 4) for r in resolutions_up_to(max(blocks))}
        return parse_architecture(
            {
                "resolution": max(blocks),
                "channels": channels,
                "z_dim": axis("mapping.fc0.weight", 1, 2),
                "w_dim": axis("synthesis.b4.conv1.affine.weight", 1, 2),
                "mapping_layers": len(layers),
                "conv_clamp": conv_clamp,
            }
        )
    except ValueError as error:
        raise RefusalError(f"its generator cannot be built: {error}") from error


def check_shapes(found: FoundGenerator, architecture: Architecture) -> None:
    """Raise RefusalError unless all names and shapes fit the architecture. Reads no values."""
    values = found.values
    with torch.device("meta"):
        expected = {
            name: tuple(value.shape) for name, value in Generator.from_architecture(architecture).state_dict().items()
        }
    channels = axis_of(values, "synthesis.b4.torgb.bias")
    if channels is not None and channels != IMAGE_CHANNELS:
        raise RefusalError(f"its generator makes images of {channels} channels; this program supports red, green, blue")
    suffixes = ("resample_filter", NOISE) if found.lacks_noise else ("resample_filter",)
    optional = {name for name in expected if name.endswith(suffixes)} | {AVERAGE_W}
    faults = [f"lacks {name}" for name in expected if name not in values and name not in optional]
    faults += [f"has {name}, which no such generator has" for name in values if name not in expected]
    for name in expected.keys() & values.keys():
        if values[name].shape != expected[name]:
            faults.append(f"has {name} as {values[name].shape}, expected {expected[name]}")
    if faults:
        shown = "; it ".join(fault[:120] for fault in sorted(faults)[:MOST_FAULTS])
        more = f", and {len(faults) - MOST_FAULTS} more" if len(faults) > MOST_FAULTS else ""
        raise RefusalError(f"its generator is no known StyleGAN2: it {shown}{more}")


def check_memory(values: Mapping[str, Values], size_bytes: int) -> None:
    """Raise RefusalError if the tensors, as float32, need more than twice the file's bytes.

    Half precision doubles in size when it is read. Anything larger means that many tensors share the same bytes.
    """
    needed = 4 * sum(count(value.shape) for value in values.values())
    if needed > 2 * size_bytes + SLACK:
        raise RefusalError(f"its tensors have {needed:,} bytes and the file {size_bytes:,}: they share the same data")


def draw_noise(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """A noise buffer, standard normal as in training, from a random stream that depends only on the buffer's name."""
    stream = np.random.default_rng([NOISE_SEED, *name.encode()])
    return torch.from_numpy(stream.standard_normal(shape, dtype=np.float32))


def axis_of(values: Mapping[str, Values], name: str) -> int | None:
    """The length of the vector `name`; None if it is missing or has another number of axes."""
    return values[name].shape[0] if name in values and len(values[name].shape) == 1 else None


def read_tensor(name: str, values: Values) -> torch.Tensor:
    """The values as float32. Raises RefusalError for another type, and for a low-pass filter that we do not have."""
    array = values.read()
    if array.dtype.kind != "f":
        raise RefusalError(f"its {name} holds {array.dtype}, expected floating-point numbers")
    with np.errstate(over="ignore"):  # numbers too large for float32 become infinite, and are refused later
        tensor = torch.from_numpy(array.astype("float32", order="C", copy=True))
    if name.endswith("resample_filter") and not torch.allclose(tensor, resampling_filter(), atol=1e-6):
        raise RefusalError(f"its {name} is not the low-pass filter [1, 3, 3, 1], the only one that this program has")
    return tensor


def check_setting(what: str, found: object, expected: object) -> None:
    """Raise RefusalError if a checkpoint's network has another setting than the only one that ours supports."""
    if isinstance(found, float) and isinstance(expected, float) and math.isclose(found, expected, rel_tol=1e-6):
        return
    if type(found) is not type(expected) or found != expected:
        raise RefusalError(f"its generator has {what} {shown_setting(found)}; this program's has {expected!r}")


def shown_setting(value: object) -> str:
    """A setting for messages. A container is shown by its type only: its full text could be endless."""
    return repr(str(value)[:60]) if isinstance(value, str | int | float | None) else f"a {describe(value)}"
