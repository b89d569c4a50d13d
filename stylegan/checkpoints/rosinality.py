"""State dicts of rosinality/stylegan2-pytorch, from files of `torch.save` or safetensors, under NVIDIA's names.

The two networks compute the same from the same numbers; names and a few axes of length one differ. Their
file for editing holds `g_ema` and `latent_avg`; one written during training has no average w.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from stylegan.checkpoints.found import FoundGenerator
from stylegan.checkpoints.inert import Tensor, Values, changed, count
from stylegan.checkpoints.limits import RefusalError
from stylegan.checkpoints.machine import describe
from stylegan.checkpoints.nvidia import summary

KIND = "rosinality state dict (stylegan2-pytorch)"
LICENSE = (
    "not stated in the file; weights that were converted from NVIDIA's keep the NVIDIA Source Code License, "
    "non-commercial research"
)
AVERAGED, AVERAGE_W = "g_ema", "latent_avg"
LAYER_NAMES = {
    "conv.weight": "weight",
    "conv.modulation.weight": "affine.weight",
    "conv.modulation.bias": "affine.bias",
    "noise.weight": "noise_strength",
    "activate.bias": "bias",
    "bias": "bias",
}
MADE_ANEW = ("conv.blur.kernel", "upsample.kernel")
"""Buffers with the low-pass filter, which every generator has alike."""


def find_generator(content: object) -> FoundGenerator:
    """The averaged generator of what the file held. RefusalError if it is none."""
    if type(content) is not dict:
        raise RefusalError(f"it holds a {describe(content)}, expected a dictionary with {AVERAGED!r}")
    state = content.get(AVERAGED, content)
    if type(state) is not dict or "style.1.weight" not in state:
        raise RefusalError(
            f"it holds no averaged generator: expected a state dict under {AVERAGED!r}, found {summary(content)}"
        )
    values: dict[str, Values] = {}
    for name, value in state.items():
        if type(name) is not str or not isinstance(value, Tensor):
            raise RefusalError(f"it has {str(name)[:60]!r} as a {describe(value)}, expected a tensor")
        values[name] = value
    average = content.get(AVERAGE_W)
    if average is not None and not isinstance(average, Tensor):
        raise RefusalError(f"it has {AVERAGE_W!r} as a {describe(average)}, expected a tensor")
    return FoundGenerator(KIND, rename(values, average), None, LICENSE)


def rename(state: Mapping[str, Values], average: Values | None) -> dict[str, Values]:
    """A state dict under NVIDIA's names. RefusalError for a name that is of no StyleGAN2 generator."""
    values: dict[str, Values] = {}
    if average is not None:
        values["mapping.w_avg"] = _reshaped(average, (count(average.shape),))
    for name, value in state.items():
        if not name.endswith(MADE_ANEW):
            new = rename_one(name)
            values[new] = _as_ours(new, value)
    return values


def rename_one(name: str) -> str:
    """A name of rosinality's in NVIDIA's words."""
    if match := re.fullmatch(r"style\.([1-9]\d?)\.(weight|bias)", name):
        return f"mapping.fc{int(match[1]) - 1}.{match[2]}"
    if name == "input.input":
        return "synthesis.b4.const"
    if match := re.fullmatch(r"noises\.noise_(\d{1,2})", name):
        index = int(match[1])
        return f"synthesis.b{2 ** ((index + 5) // 2)}.conv{(index + 1) % 2}.noise_const"
    if match := re.fullmatch(r"(conv1|to_rgb1|(?:convs|to_rgbs)\.\d{1,2})\.(.+)", name):
        if match[2] in LAYER_NAMES:
            return f"synthesis.{_layer(match[1])}.{LAYER_NAMES[match[2]]}"
    raise RefusalError(f"its generator has {name[:60]!r}, which StyleGAN2 has not")


def _layer(name: str) -> str:
    """The layers in NVIDIA's words: convolutions come in pairs per resolution, images one by one."""
    if name in ("conv1", "to_rgb1"):
        return {"conv1": "b4.conv1", "to_rgb1": "b4.torgb"}[name]
    kind, _, index = name.partition(".")
    place = int(index)
    if kind == "to_rgbs":
        return f"b{2 ** (place + 3)}.torgb"
    return f"b{2 ** (place // 2 + 3)}.conv{place % 2}"


def _as_ours(name: str, value: Values) -> Values:
    """Without rosinality's axes of length one."""
    leading = {"weight": 5, "noise_const": 4, "const": 4}
    kind = name.split(".")[-1]
    if kind == "noise_strength":
        return _reshaped(value, ())
    if name.endswith("torgb.bias"):
        return _reshaped(value, (count(value.shape),))
    wanted = leading.get(kind)
    shape = value.shape
    if wanted and len(shape) == wanted:
        kept = shape[2:] if kind == "noise_const" else shape[1:]
        return _reshaped(value, kept)
    return value


def _reshaped(value: Values, shape: tuple[int, ...]) -> Values:
    if count(value.shape) != count(shape):
        raise RefusalError(f"it has a tensor of the shape {value.shape} where {shape} was expected")
    return changed(value, shape, lambda array: array.reshape(shape))
