"""State dicts of rosinality/stylegan2-pytorch, from files of `torch.save` or safetensors, under NVIDIA's names.

With the same numbers the two networks give the same images; only names and a few axes of length one differ. Their
checkpoints for inference hold `g_ema` and `latent_avg`; checkpoints written during training have no average w.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from stylegan.checkpoints.found import AVERAGE_W as OUR_AVERAGE_W
from stylegan.checkpoints.found import NOISE, FoundGenerator
from stylegan.checkpoints.inert import Tensor, Values, changed, count
from stylegan.checkpoints.limits import RefusalError, check_name, check_number
from stylegan.checkpoints.machine import describe
from stylegan.checkpoints.nvidia import summary

KIND = "rosinality state dict (stylegan2-pytorch)"
LICENSE = (
    "not stated in the file; weights that were converted from NVIDIA's keep the NVIDIA Source Code License, "
    "non-commercial research"
)
AVERAGED, AVERAGE_W = "g_ema", "latent_avg"
PARALLEL = "module."
"""The prefix that DataParallel adds to all names."""
LAYER_NAMES = {
    "conv.weight": "weight",
    "conv.modulation.weight": "affine.weight",
    "conv.modulation.bias": "affine.bias",
    "noise.weight": "noise_strength",
    "activate.bias": "bias",
    "bias": "bias",
}
FILTERS = ("conv.blur.kernel", "upsample.kernel")
"""Buffers with the low-pass filter, which is the same in every generator and is not read from the file."""


def find_generator(content: object) -> FoundGenerator:
    """The averaged generator in a file's content. Raises RefusalError if there is none."""
    if type(content) is not dict:
        raise RefusalError(f"it holds a {describe(content)}, expected a dictionary with {AVERAGED!r}")
    state = content.get(AVERAGED, content)
    if type(state) is not dict:
        raise RefusalError(f"it has {AVERAGED!r} as a {describe(state)}, expected a state dict")
    if state and all(type(name) is str and name.startswith(PARALLEL) for name in state):
        state = {name.removeprefix(PARALLEL): value for name, value in state.items()}
    if "style.1.weight" not in state:
        where = f"{AVERAGED!r} is" if AVERAGED in content else f"expected a state dict under {AVERAGED!r}, found"
        raise RefusalError(f"it holds no generator under rosinality's names: {where} {summary(state)}")
    check_number(len(state))
    values: dict[str, Values] = {}
    for name, value in state.items():
        check_name(name, "a tensor")
        if not isinstance(value, Tensor):
            raise RefusalError(f"it has {str(name)[:60]!r} as a {describe(value)}, expected a tensor")
        values[name] = value
    average = content.get(AVERAGE_W)
    if average is not None and not isinstance(average, Tensor):
        raise RefusalError(f"it has {AVERAGE_W!r} as a {describe(average)}, expected a tensor")
    return found_in(values, average, KIND, LICENSE)


def found_in(state: Mapping[str, Values], average: Values | None, kind: str, license_note: str) -> FoundGenerator:
    """The generator in a state dict. Raises RefusalError for another network, and for one with class labels."""
    first = state["style.1.weight"].shape
    if len(first) == 2 and first[0] != first[1]:
        raise RefusalError(
            f"its first mapping layer, style.1.weight, is {first[0]} x {first[1]}, expected a square matrix. The "
            "network probably takes class labels in addition to z, which this program does not support"
        )
    values = rename(state, average)
    if any(name.endswith(NOISE) for name in values):
        return FoundGenerator(kind, values, None, license_note)
    assumption = "the noise buffers are not in the file and were drawn with a fixed seed"
    return FoundGenerator(kind, values, None, license_note, assumed=(assumption,), lacks_noise=True)


def rename(state: Mapping[str, Values], average: Values | None) -> dict[str, Values]:
    """A state dict under NVIDIA's names. Raises RefusalError for an unknown name."""
    values: dict[str, Values] = {}
    if average is not None:
        values[OUR_AVERAGE_W] = _average_of(average)
    for name, value in state.items():
        if not name.endswith(FILTERS):
            new = rename_one(name)
            values[new] = _as_ours(new, value)
    return values


def rename_one(name: str) -> str:
    """NVIDIA's name for one of rosinality's names. Raises RefusalError for an unknown name."""
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
    raise RefusalError(f"its generator has {name[:60]!r}, which StyleGAN2 does not have")


def _layer(name: str) -> str:
    """NVIDIA's name of a layer. A resolution has two convolutions and one layer to RGB."""
    if name in ("conv1", "to_rgb1"):
        return {"conv1": "b4.conv1", "to_rgb1": "b4.torgb"}[name]
    kind, _, number = name.partition(".")
    index = int(number)
    if kind == "to_rgbs":
        return f"b{2 ** (index + 3)}.torgb"
    return f"b{2 ** (index // 2 + 3)}.conv{index % 2}"


def _as_ours(name: str, value: Values) -> Values:
    """The values without rosinality's axes of length one."""
    axes = {"weight": 5, "noise_const": 4, "const": 4}
    kind = name.split(".")[-1]
    if kind == "noise_strength":
        return _reshaped(value, ())
    if name.endswith("torgb.bias"):
        return _reshaped(value, (count(value.shape),))
    shape = value.shape
    if len(shape) == axes.get(kind):
        return _reshaped(value, shape[2:] if kind == "noise_const" else shape[1:])
    return value


def _average_of(value: Values) -> Values:
    """The average w. Encoders (pSp, e4e) store a copy per layer; raises RefusalError when read if the copies differ."""
    if len(value.shape) != 2 or 1 in value.shape:
        return _reshaped(value, (count(value.shape),))

    def first(array: Any) -> Any:
        if not (array == array[:1]).all():
            raise RefusalError(
                f"its {AVERAGE_W} has different w for {len(array)} layers; this program has one average w for all"
            )
        return array[0]

    return changed(value, value.shape[1:], first)


def _reshaped(value: Values, shape: tuple[int, ...]) -> Values:
    if count(value.shape) != count(shape):
        raise RefusalError(f"it has a tensor of the shape {value.shape} where {shape} was expected")
    return changed(value, shape, lambda array: array.reshape(shape))
