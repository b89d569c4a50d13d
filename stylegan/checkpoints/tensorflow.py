"""Pickles of the TensorFlow-era stylegan2 and stylegan2-ada: (G, D, Gs), each a description of a network.

Gs is the averaged generator. Its variables are NumPy arrays; each part (`components`) is a description with variables
too. The conversion is the same as NVIDIA's: kernels from (height, width, in, out) to (out, in, height, width), kernels
of upsampling layers rotated by 180 degrees, style biases + 1.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from stylegan.checkpoints.found import FoundGenerator, check_setting, shown_setting
from stylegan.checkpoints.inert import Array, Attributes, Values, changed
from stylegan.checkpoints.limits import RefusalError, check_name, check_number
from stylegan.checkpoints.nvidia import LICENSE

KIND = "TensorFlow-era pickle (stylegan2 config-e/f, stylegan2-ada)"
OLDEST = 4
"""The version of StyleGAN2's networks; StyleGAN1 wrote 2 and 3."""
SETTINGS: dict[str, object] = {
    "label_size": 0,
    "num_channels": 3,
    "architecture": "skip",
    "mapping_nonlinearity": "lrelu",
    "nonlinearity": "lrelu",
    "mapping_lrmul": 0.01,
    "normalize_latents": True,
    "resample_kernel": [1, 3, 3, 1],
    "use_noise": True,
}
MOST_PARTS = 64


def is_network(content: Any) -> bool:
    """Whether the content is a TensorFlow-era network."""
    return isinstance(content, Attributes) and content.kind == "Network"


def find_generator(content: Any) -> FoundGenerator:
    """The averaged generator in a pickle's content. Raises RefusalError if there is none, or it is not a StyleGAN2."""
    network = content[2] if type(content) is tuple and len(content) == 3 else content
    if not is_network(network):
        raise RefusalError(
            "it is no pickle of three TensorFlow-era networks (generator, discriminator, averaged generator)"
        )
    version, builder = network.attributes.get("version"), network.attributes.get("build_func_name")
    if type(version) is not int or version < OLDEST or builder == "G_style":
        raise RefusalError(
            f"its generator is of an older format than StyleGAN2's ({shown_setting(builder)}, version "
            f"{shown_setting(version)}): StyleGAN1 or progressive GAN, which this program does not support"
        )
    settings = _dictionary(network, "static_kwargs")
    for name, expected in SETTINGS.items():
        value = settings.get(name, expected)
        check_setting(f"the setting {name}", list(value) if type(value) is tuple else value, expected)
    clamp = settings.get("conv_clamp")
    if clamp is not None and type(clamp) not in (int, float):
        raise RefusalError("its generator bounds activations (conv_clamp) by a value that is no number")
    return FoundGenerator(KIND, rename(_variables(network)), None if clamp is None else float(clamp), LICENSE)


def _dictionary(network: Attributes, name: str) -> dict[Any, Any]:
    attribute = network.attributes.get(name)
    if type(attribute) is not dict:
        raise RefusalError(f"it is damaged: a network without {name}")
    return attribute


def _variables(network: Attributes) -> dict[str, Array]:
    """All variables by name; variables of a part are prefixed with the part's name and a slash."""
    arrays: dict[str, Array] = {}
    waiting: list[tuple[str, Any]] = [("", network)]
    for _ in range(MOST_PARTS):
        if not waiting:
            return arrays
        prefix, part = waiting.pop()
        if not is_network(part):
            raise RefusalError("it is damaged: a part of a network is not a network")
        variables = part.attributes.get("variables")
        if type(variables) is not list:
            raise RefusalError("it is damaged: a network without variables")
        check_number(len(arrays) + len(variables))
        for variable in variables:
            if type(variable) is not tuple or len(variable) != 2 or not isinstance(variable[1], Array):
                raise RefusalError("it is damaged: a variable without name and values")
            arrays[prefix + check_name(variable[0], "a variable")] = variable[1]
        parts = _dictionary(part, "components")
        if len(waiting) + len(parts) > MOST_PARTS:
            break
        for name, child in parts.items():
            waiting.append((f"{prefix}{check_name(name, 'a part of a network')[:60]}/", child))
    raise RefusalError("its networks are nested without end")


def rename(variables: dict[str, Array]) -> dict[str, Values]:
    """TensorFlow's variables under the names and in the layout of stylegan2-ada-pytorch."""
    values: dict[str, Values] = {}
    for name, value in variables.items():
        if name.split("/")[-1].startswith("ToRGB_lod") or "/ToRGB_lod" in name or name.endswith("Skip/weight"):
            raise RefusalError(
                "its generator has no skip connections to the image (configs a to d, or 'resnet'): only configs e and "
                "f are StyleGAN2 as published"
            )
        renamed = _renamed(name, value)
        if renamed is not None:
            values[renamed[0]] = renamed[1]
    return values


def _renamed(name: str, value: Array) -> tuple[str, Values] | None:
    """The new name and the values in the new layout; None for a variable that only training uses."""
    if name == "dlatent_avg":
        return "mapping.w_avg", value
    if match := re.fullmatch(r"mapping/Dense(\d+)/(weight|bias)", name):
        return f"mapping.fc{match[1]}.{match[2]}", _transposed(value) if match[2] == "weight" else value
    if match := re.fullmatch(r"synthesis/noise(\d{1,2})", name):
        index = int(match[1])
        return f"synthesis.b{2 ** ((index + 5) // 2)}.conv{(index + 1) % 2}.noise_const", _without_ones(value, 2)
    if name == "synthesis/4x4/Const/const":
        return "synthesis.b4.const", _without_ones(value, 1)
    if match := re.fullmatch(r"synthesis/(\d{1,5})x\1/(Conv|Conv0_up|Conv1|ToRGB)/(\w+)", name):
        layer = {"Conv": "conv1", "Conv0_up": "conv0", "Conv1": "conv1", "ToRGB": "torgb"}[match[2]]
        prefix = f"synthesis.b{match[1]}.{layer}"
        changes: dict[str, tuple[str, Callable[[], Values]]] = {
            "weight": (f"{prefix}.weight", lambda: _kernel(value, turned=match[2] == "Conv0_up")),
            "bias": (f"{prefix}.bias", lambda: value),
            "noise_strength": (f"{prefix}.noise_strength", lambda: value),
            "mod_weight": (f"{prefix}.affine.weight", lambda: _transposed(value)),
            "mod_bias": (f"{prefix}.affine.bias", lambda: changed(value, value.shape, lambda bias: bias + 1)),
        }
        if match[3] in changes:
            new, change = changes[match[3]]
            return new, change()
    if name in ("lod", "mapping/lod", "synthesis/lod"):
        return None
    raise RefusalError(f"its generator has a variable {name[:60]!r}, unknown in StyleGAN2 without class labels")


def _transposed(value: Array) -> Values:
    return changed(value, value.shape[::-1], np.transpose)


def _without_ones(value: Array, ones: int) -> Values:
    """The values without the leading `ones` axes. Raises RefusalError unless each has length 1."""
    if value.shape[:ones] != (1,) * ones:
        raise RefusalError(
            f"it has noise or a constant of the shape {value.shape}, expected {ones} axes of length 1 before it"
        )
    return changed(value, value.shape[ones:], lambda array: array[(0,) * ones])


def _kernel(value: Array, *, turned: bool) -> Values:
    if len(value.shape) != 4:
        raise RefusalError(f"it has a kernel of the shape {value.shape}, expected 4 axes")
    height, width, channels_in, channels_out = value.shape
    shape = (channels_out, channels_in, height, width)
    return changed(value, shape, lambda k: (k[::-1, ::-1] if turned else k).transpose(3, 2, 0, 1))
