"""A generator found in a checkpoint, whatever the format: values under NVIDIA's names, none of them read yet."""

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
"""Bytes that small files may exceed their size by."""


@dataclass(frozen=True)
class FoundGenerator:
    """What a format's reader answers."""

    kind: str
    """The format, in words."""
    values: Mapping[str, Values]
    """Under the names of `Generator.state_dict()`. The low-pass filters may be left out, and the average w."""
    conv_clamp: float | None = None
    license_note: str = ""
    """What is known of the licence of such files."""
    assumed: tuple[str, ...] = field(default=())
    """What the file does not say and was taken as usual, in words."""
    lacks_noise: bool = False
    """Whether the file holds no noise buffer at all, so that all of them are drawn (`draw_noise`)."""


def infer_architecture(values: Mapping[str, Values], conv_clamp: float | None) -> Architecture:
    """The architecture that the values' names and shapes are of. RefusalError if they are of none."""

    def axis(name: str, index: int, ndim: int) -> int:
        if name not in values:
            raise RefusalError(f"its generator lacks {name}")
        shape = values[name].shape
        if len(shape) != ndim:
            raise RefusalError(f"its generator has {name} as {shape}, expected {ndim} axes")
        return shape[index]

    found = {int(m[1]) for name in values if (m := re.match(r"synthesis\.b(\d{1,5})\.", name))}
    layers = {int(m[1]) for name in values if (m := re.match(r"mapping\.fc(\d{1,3})\.", name))}
    if not found:
        raise RefusalError("it holds no StyleGAN2 generator: nothing in it is named like one's synthesis network")
    try:
        channels = {str(r): axis(f"synthesis.b{r}.conv1.weight", 0, 4) for r in resolutions_up_to(max(found))}
        return parse_architecture(
            {
                "resolution": max(found),
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
    """RefusalError unless names and shapes are those of the generator; no values are read."""
    values = found.values
    with torch.device("meta"):
        expected = {
            name: tuple(value.shape) for name, value in Generator.from_architecture(architecture).state_dict().items()
        }
    channels = axis_of(values, "synthesis.b4.torgb.bias")
    if channels is not None and channels != IMAGE_CHANNELS:
        raise RefusalError(
            f"its generator draws images of {channels} channels; this program knows images of red, green, blue"
        )
    left_out = ("resample_filter", NOISE) if found.lacks_noise else ("resample_filter",)
    optional = {name for name in expected if name.endswith(left_out)} | {AVERAGE_W}
    faults = [f"lacks {name}" for name in expected if name not in values and name not in optional]
    faults += [f"has {name}, which no such generator has" for name in values if name not in expected]
    for name in expected.keys() & values.keys():
        if values[name].shape != expected[name]:
            faults.append(f"has {name} as {values[name].shape}, expected {expected[name]}")
    if faults:
        shown = "; it ".join(fault[:120] for fault in sorted(faults)[:MOST_FAULTS])
        more = f", and {len(faults) - MOST_FAULTS} more" if len(faults) > MOST_FAULTS else ""
        raise RefusalError(f"its generator is not of a kind that is known: it {shown}{more}")


def check_memory(values: Mapping[str, Values], size_bytes: int) -> None:
    """RefusalError if the values take more memory than a file of that size can hold numbers for.

    Half precision doubles when it is read; more than that is many tensors of the same bytes.
    """
    wanted = 4 * sum(count(value.shape) for value in values.values())
    if wanted > 2 * size_bytes + SLACK:
        raise RefusalError(f"its tensors have {wanted:,} bytes and the file {size_bytes:,}: they share the same data")


def draw_noise(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """A noise buffer as training would have drawn it, standard normal, of a stream that its name tells."""
    stream = np.random.default_rng([NOISE_SEED, *name.encode()])
    return torch.from_numpy(stream.standard_normal(shape, dtype=np.float32))


def axis_of(values: Mapping[str, Values], name: str) -> int | None:
    """The length of a vector, if it is there."""
    return values[name].shape[0] if name in values and len(values[name].shape) == 1 else None


def read_tensor(name: str, values: Values) -> torch.Tensor:
    """The values as float32. RefusalError if they are no numbers, or a low-pass filter other than the known one."""
    array = values.read()
    if array.dtype.kind != "f":
        raise RefusalError(f"its {name} holds {array.dtype} in place of real numbers")
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused for that
        tensor = torch.from_numpy(array.astype("float32", order="C", copy=True))
    if name.endswith("resample_filter") and not torch.allclose(tensor, resampling_filter(), atol=1e-6):
        raise RefusalError(f"its {name} is another low-pass filter than [1, 3, 3, 1], which this program has")
    return tensor


def check_setting(what: str, found: object, expected: object) -> None:
    """RefusalError if a checkpoint's network was made with a setting that ours cannot have."""
    if isinstance(found, float) and isinstance(expected, float) and math.isclose(found, expected, rel_tol=1e-6):
        return
    if type(found) is not type(expected) or found != expected:
        raise RefusalError(f"its generator has {what} {told(found)}; this program's has {expected!r}")


def told(value: object) -> str:
    """A setting for messages. What holds other things is named by its kind: writing it out could take for ever."""
    return repr(str(value)[:60]) if isinstance(value, str | int | float | None) else f"a {describe(value)}"
