"""State dicts of rosinality/stylegan2-pytorch, from files of `torch.save` or safetensors, under NVIDIA's names.

The two networks compute the same from the same numbers; names and a few axes of length one differ. Their
file for editing holds `g_ema` and `latent_avg`; one written during training has no average w.
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
"""What DataParallel puts before all names."""
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
    """The generator in a state dict. RefusalError for one of another network, or one that takes class labels."""
    first = state["style.1.weight"].shape
    if len(first) == 2 and first[0] != first[1]:
        raise RefusalError(
            f"its first mapping layer, style.1.weight, is {first[0]} x {first[1]}, where rosinality's generator has "
            "a square one: a network that takes class labels beside z, or another. This program has no labels"
        )
    values = rename(state, average)
    if any(name.endswith(NOISE) for name in values):
        return FoundGenerator(kind, values, None, license_note)
    told = "the noise buffers are not in the file and were drawn with a fixed seed"
    return FoundGenerator(kind, values, None, license_note, assumed=(told,), lacks_noise=True)


def rename(state: Mapping[str, Values], average: Values | None) -> dict[str, Values]:
    """A state dict under NVIDIA's names. RefusalError for a name that is of no StyleGAN2 generator."""
    values: dict[str, Values] = {}
    if average is not None:
        values[OUR_AVERAGE_W] = _average_of(average)
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


def _average_of(value: Values) -> Values:
    """The average w. Encoders (pSp, e4e) keep it once for each layer: RefusalError unless all are the same."""
    if len(value.shape) != 2 or 1 in value.shape:
        return _reshaped(value, (count(value.shape),))

    def first(array: Any) -> Any:
        if not (array == array[:1]).all():
            raise RefusalError(
                f"its {AVERAGE_W} has another w for each of {len(array)} layers; this program has one average w for all"
            )
        return array[0]

    return changed(value, value.shape[1:], first)


def _reshaped(value: Values, shape: tuple[int, ...]) -> Values:
    if count(value.shape) != count(shape):
        raise RefusalError(f"it has a tensor of the shape {value.shape} where {shape} was expected")
    return changed(value, shape, lambda array: array.reshape(shape))
