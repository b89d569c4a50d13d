"""Pickles of stylegan2-ada-pytorch and of the stylegan3 repository: a dictionary of torch modules with a `G_ema`.

The official reader runs the Python source that each module carries. Here a module is only the name of its class and
its attributes. Parameters, buffers and submodules are read from torch's attributes for them, and all settings that
change the result are compared with the only ones that our generator supports.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from stylegan.checkpoints.found import FoundGenerator, check_setting
from stylegan.checkpoints.inert import Array, Module, Tensor, Values
from stylegan.checkpoints.limits import RefusalError, check_name, check_number
from stylegan.checkpoints.machine import describe

AVERAGED = "G_ema"
KIND = "NVIDIA pickle of torch modules (stylegan2-ada-pytorch, stylegan3)"
LICENSE = "not stated in the file; NVIDIA's own networks: NVIDIA Source Code License, non-commercial research"
DEEPEST = 8
MOST_MODULES = 2_000
MAPPING_RATE = 0.01
"""The learning rate multiplier of the mapping layers; their outputs depend on it."""
SETTINGS: dict[str, dict[str, object]] = {
    "MappingNetwork": {"c_dim": 0},
    "SynthesisNetwork": {"img_channels": 3},
    "SynthesisBlock": {"architecture": "skip"},
    "SynthesisLayer": {"activation": "lrelu", "use_noise": True},
}
"""The required values of attributes, by class; an attribute may be missing."""
CLASSES = ("Generator", *SETTINGS, "ToRGBLayer", "FullyConnectedLayer")
WORDS = {
    "c_dim": "class labels, c_dim",
    "img_channels": "image channels",
    "architecture": "the architecture",
    "activation": "the activation",
    "use_noise": "noise inputs",
}


def find_generator(content: Any) -> FoundGenerator:
    """The averaged generator in a pickle's content. Raises RefusalError if there is none, or it is not a StyleGAN2."""
    root = content.get(AVERAGED) if type(content) is dict else content
    if type(content) is dict and AVERAGED in content and not isinstance(root, Module):
        raise RefusalError(
            f"it holds no averaged generator: {AVERAGED!r} is a {describe(root)}, expected a network. Import a "
            "training snapshot that has one"
        )
    if not isinstance(root, Module):
        raise RefusalError(
            f"it holds no averaged generator: expected a dictionary with a network {AVERAGED!r}, "
            f"found {summary(content)}"
        )
    modules = dict(_walk(root))
    classes = {module.class_name for module in modules.values()}
    if "SynthesisInput" in classes or "input" in _part(_child(root, "synthesis"), "_modules"):
        raise RefusalError(
            "it holds a StyleGAN3 generator (alias-free: no noise, no blocks per resolution), expected StyleGAN2. The "
            "same repository publishes StyleGAN2 networks, named stylegan2-*.pkl"
        )
    if "embed" in _part(_child(root, "mapping"), "_modules"):
        check_setting(WORDS["c_dim"], _child(root, "mapping").attributes.get("c_dim", "unknown"), 0)
    for path, module in modules.items():
        _check(path, module)
    check_number(sum(len(_part(m, part)) for m in modules.values() for part in ("_parameters", "_buffers")))
    values = {
        (f"{path}.{name}" if path else name): value
        for path, module in modules.items()
        for part in ("_parameters", "_buffers")
        for name, value in _tensors(module, part)
    }
    return FoundGenerator(KIND, values, _clamp(modules), LICENSE)


def summary(content: Any) -> str:
    """A short description of a file's content, for messages."""
    if type(content) is dict:
        names = ", ".join(repr(str(key)[:30]) for key in list(content)[:6] if type(key) is str)
        return f"a dictionary with the keys {names or 'none'}"
    return f"a {describe(content)}"


def _part(module: Module, name: str) -> dict[Any, Any]:
    part = module.attributes.get(name, {})
    if type(part) is not dict:
        raise RefusalError(f"it is damaged: {name} of a {module.class_name[:40]} is a {describe(part)}")
    return part


def _child(module: Module, name: str) -> Module:
    child = _part(module, "_modules").get(name)
    if not isinstance(child, Module):
        raise RefusalError(
            f"it holds a network {module.class_name[:40]!r} without a part {name!r}: no StyleGAN2 generator"
        )
    return child


def _walk(root: Module) -> Iterator[tuple[str, Module]]:
    """Pairs of path and module. Raises RefusalError for a module inside itself, and for too many modules."""
    waiting: list[tuple[str, int, Module]] = [("", 0, root)]
    visited = 0
    while waiting:
        path, depth, module = waiting.pop()
        visited += 1
        children = _part(module, "_modules")
        if depth > DEEPEST or visited + len(waiting) + len(children) > MOST_MODULES:
            raise RefusalError("its modules are nested without end, or too many")
        yield path, module
        for name, child in children.items():
            check_name(name, "a module")
            if isinstance(child, Module):
                waiting.append((f"{path}.{name}" if path else name, depth + 1, child))
            elif child is not None:
                raise RefusalError(f"it is damaged: the module {name[:60]!r} is a {describe(child)}")


def _tensors(module: Module, part: str) -> Iterator[tuple[str, Values]]:
    for name, value in _part(module, part).items():
        check_name(name, "a tensor")
        if isinstance(value, Tensor):
            yield name, value
        elif value is not None:
            raise RefusalError(f"it is damaged: the tensor {name[:60]!r} is a {describe(value)}")


def _check(path: str, module: Module) -> None:
    """Raise RefusalError if a module is not a part of StyleGAN2, or has a setting that ours does not support."""
    if module.class_name not in CLASSES:
        raise RefusalError(
            f"its generator has a part {path[:60]!r} of the class {module.class_name[:60]!r}, unknown here"
        )
    for name, expected in SETTINGS.get(module.class_name, {}).items():
        if name in module.attributes:
            check_setting(f"{WORDS[name]} of {path or 'the generator'}", module.attributes[name], expected)
    if module.class_name == "SynthesisLayer":
        _check_upsampling(path, module)
    if module.class_name == "FullyConnectedLayer":
        _check_gains(path, module)


def _check_upsampling(path: str, module: Module) -> None:
    if "up" in module.attributes:
        check_setting(f"the upsampling of {path}", module.attributes["up"], 2 if path.endswith(".conv0") else 1)


def _check_gains(path: str, module: Module) -> None:
    """Raise RefusalError unless the gains of a layer's stored weight and bias are the gains that ours applies."""
    mapping = path.startswith("mapping.")
    rate = MAPPING_RATE if mapping else 1.0
    weight = _part(module, "_parameters").get("weight")
    check_setting(f"the activation of {path}", module.attributes.get("activation"), "lrelu" if mapping else "linear")
    if isinstance(weight, Tensor) and len(weight.shape) == 2 and weight.shape[1]:
        gain = rate / float(np.sqrt(weight.shape[1]))
        check_setting(f"the gain of {path}", _number(module.attributes.get("weight_gain")), gain)
    check_setting(f"the bias gain of {path}", _number(module.attributes.get("bias_gain")), rate)


def _number(value: Any) -> object:
    """A Python or NumPy number as a float; anything else unchanged."""
    if isinstance(value, Array) and value.shape == () and value.kind:
        value = value.read().item()
    return float(value) if type(value) in (int, float) and abs(value) < 2**53 else value


def _clamp(modules: dict[str, Module]) -> float | None:
    """The bound of activations, the same in all layers; None for no bound. Raises RefusalError if layers differ."""
    clamps = [
        _number(module.attributes.get("conv_clamp"))
        for module in modules.values()
        if module.class_name in ("SynthesisLayer", "ToRGBLayer")
    ]
    if not clamps:
        raise RefusalError("it holds no StyleGAN2 generator: its synthesis network has no layers")
    clamp = clamps[0]
    if not (clamp is None or isinstance(clamp, float)) or any(bound != clamp for bound in clamps):
        raise RefusalError("its layers bound their activations differently; this program supports one bound for all")
    return clamp
