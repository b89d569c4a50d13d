"""Checkpoints in the forms that NVIDIA's and rosinality's code writes, with random weights.

Classes of the right names are made while a file is pickled and forgotten after: no code of theirs is
needed, and the reader finds nothing that it could import.
"""

from __future__ import annotations

import argparse
import io
import math
import pickle
import sys
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

from stylegan.generator import Generator

SOURCE = "import os\nos.system('touch executed')\nclass Generator: pass\n"
CLASSES = {"ToRGB": "ToRGBLayer", "FullyConnected": "FullyConnectedLayer"}


def make_generator(*, conv_clamp: float | None = None, resolution: int = 16, z_dim: int = 6) -> Generator:
    """A small generator in which every number matters. z of another width than w is of NVIDIA's pickles alone."""
    torch.manual_seed(3)
    channels = {4: 5, 8: 4, 16: 3, 32: 2}
    generator = Generator(
        resolution=resolution,
        z_dim=z_dim,
        w_dim=6,
        channels={r: n for r, n in channels.items() if r <= resolution},
        mapping_layers=3,
        conv_clamp=conv_clamp,
    )
    with torch.no_grad():
        for name, value in generator.state_dict().items():
            if name.endswith(("noise_strength", "bias", "w_avg")):
                value += (20.0 if "mapping.fc" in name else 0.3) * torch.randn(value.shape)
    return generator.eval().requires_grad_(False)


@contextmanager
def module(name: str, **members: Any) -> Iterator[None]:
    """A module of that name, with its parents, as long as something is pickled."""
    parts = name.split(".")
    names = [".".join(parts[: k + 1]) for k in range(len(parts))]
    before = {n: sys.modules.get(n) for n in names}
    for n in names:
        sys.modules[n] = ModuleType(n)
    for key, member in members.items():
        member.__module__, member.__qualname__ = name, key
        setattr(sys.modules[name], key, member)
    try:
        yield
    finally:
        for n, old in before.items():
            del sys.modules[n]
            if old is not None:
                sys.modules[n] = old


# NVIDIA's torch modules


def _reconstruct_persistent_obj(meta: Any) -> Any:
    raise AssertionError("never called")


class Persistent:
    """What `persistent_class` makes of a module, as far as pickling is concerned."""

    def __init__(self, class_name: str, state: dict[str, Any], meta: dict[str, Any]) -> None:
        self.class_name, self.state, self.meta = class_name, state, meta

    def __reduce__(self) -> tuple[Any, ...]:
        meta = {"type": "class", "version": 6, "module_src": SOURCE, "class_name": self.class_name, "state": self.state}
        return sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj, (meta | self.meta,), None


class EasyDict(dict):  # type: ignore[type-arg]
    """dnnlib's dictionary with attributes."""


def persistent(network: nn.Module, path: str = "", changes: dict[str, Any] | None = None) -> Persistent:
    """A module of ours as theirs. `changes` are attributes by 'path:name'."""
    kind = type(network).__name__
    state: dict[str, Any] = {"training": False, "_parameters": OrderedDict(network._parameters)}
    state |= {"_buffers": OrderedDict(network._buffers), "_backward_hooks": OrderedDict()}
    state["_non_persistent_buffers_set"] = set()
    state["_modules"] = OrderedDict(
        (name, persistent(child, f"{path}.{name}" if path else name, changes))
        for name, child in network.named_children()
    )
    state |= {"_init_args": (), "_init_kwargs": EasyDict(size=4)}
    if kind == "FullyConnected":
        mapping = path.startswith("mapping")
        state["activation"] = "lrelu" if mapping else "linear"
        state["weight_gain"] = (0.01 if mapping else 1) / np.sqrt(network.weight.shape[1])  # a NumPy scalar, as there
        state["bias_gain"] = 0.01 if mapping else 1
    elif kind == "SynthesisLayer":
        state |= {"activation": "lrelu", "use_noise": True, "up": 2 if path.endswith("conv0") else 1}
        state |= {"conv_clamp": network.clamp, "act_gain": np.sqrt(2)}
    elif kind == "ToRGB":
        state |= {"conv_clamp": network.clamp, "weight_gain": 1 / np.sqrt(network.weight.shape[1])}
    elif kind == "SynthesisBlock":
        state |= {"architecture": "skip", "img_channels": 3, "use_fp16": True}
    elif kind == "MappingNetwork":
        state |= {"c_dim": 0, "z_dim": network.z_dim, "w_avg_beta": 0.995}
    meta = {}
    for key, value in (changes or {}).items():
        where, _, name = key.partition(":")
        if where == path:
            (meta if name in ("type", "version", "class_name") else state)[name] = value
    return Persistent(CLASSES.get(kind, kind), state, meta)


def nvidia(generator: Generator, *, protocol: int = 3, changes: dict[str, Any] | None = None, **more: Any) -> bytes:
    """A snapshot of stylegan2-ada-pytorch; `more` goes into its dictionary."""
    averaged = persistent(generator, "", changes)
    other = Persistent("Discriminator", {"_parameters": OrderedDict(x=nn.Parameter(torch.zeros(3)))}, {})
    return pickled(
        {"G": None, "D": other, "G_ema": averaged, "training_set_kwargs": EasyDict(path="x.zip")} | more, protocol
    )


def pickled(content: Any, protocol: int = 3) -> bytes:
    """Anything with NVIDIA's classes in it."""
    with (
        module("torch_utils.persistence", _reconstruct_persistent_obj=_reconstruct_persistent_obj),
        module("dnnlib.util", EasyDict=EasyDict),
    ):
        return pickle.dumps(content, protocol=protocol)


# TensorFlow


class Network:
    """dnnlib's network of the TensorFlow era, as far as pickling is concerned."""

    def __init__(self, **state: Any) -> None:
        self.state = {"version": 4, "name": "G", "static_kwargs": {}, "components": {}, "variables": []}
        self.state |= {"build_module_src": SOURCE, "build_func_name": "G_main"} | state

    def __getstate__(self) -> dict[str, Any]:
        return self.state


def tensorflow_variables(generator: Generator) -> tuple[list[Any], list[Any], list[Any]]:
    """Variables of the generator, its mapping and its synthesis network, in TensorFlow's layout."""
    state = {name: value.numpy() for name, value in generator.state_dict().items()}
    mapping, synthesis = [], []
    for name, value in state.items():
        parts = name.split(".")
        if parts[0] == "mapping" and parts[1].startswith("fc"):
            mapping.append((f"Dense{parts[1][2:]}/{parts[2]}", value.T.copy() if parts[2] == "weight" else value))
        if parts[0] != "synthesis" or name.endswith("resample_filter"):
            continue
        size = int(parts[1][1:])
        if parts[2] == "const":
            synthesis.append(("4x4/Const/const", value[None]))
            continue
        block = f"{size}x{size}/"
        layer = block + {"conv0": "Conv0_up", "conv1": "Conv" if size == 4 else "Conv1", "torgb": "ToRGB"}[parts[2]]
        kind = ".".join(parts[3:])
        if kind == "weight":
            kernel = value[:, :, ::-1, ::-1] if parts[2] == "conv0" else value
            synthesis.append((f"{layer}/weight", kernel.transpose(2, 3, 1, 0).copy()))
        elif kind == "affine.weight":
            synthesis.append((f"{layer}/mod_weight", value.T.copy()))
        elif kind == "affine.bias":
            synthesis.append((f"{layer}/mod_bias", value - np.float32(1)))
        elif kind == "noise_const":
            index = 2 * int(math.log2(size)) - (5 if parts[2] == "conv0" else 4)
            synthesis.append((f"noise{index}", value[None, None]))
        elif kind == "noise_strength":
            synthesis.append((f"{layer}/noise_strength", np.float32(value)))  # what a session answers for a number
        else:
            synthesis.append((f"{layer}/{kind}", value))
    return [("lod", np.float32(0)), ("dlatent_avg", state["mapping.w_avg"])], mapping, synthesis


def tensorflow(
    generator: Generator,
    *,
    protocol: int = 4,
    settings: dict[str, Any] | None = None,
    more: list[Any] | None = None,
    **state: Any,
) -> bytes:
    """A pickle of stylegan2; `settings` are its static_kwargs, `more` further variables of the synthesis network."""
    own, mapping, synthesis = tensorflow_variables(generator)
    kwargs = {"num_channels": 3, "resolution": generator.resolution, "label_size": 0} | (settings or {})
    parts = {
        "mapping": Network(name="G_mapping", build_func_name="G_mapping", variables=mapping),
        "synthesis": Network(
            name="G_synthesis", build_func_name="G_synthesis_stylegan2", variables=synthesis + (more or [])
        ),
    }
    averaged = Network(**({"name": "Gs", "static_kwargs": kwargs, "components": parts, "variables": own} | state))
    with module("dnnlib.tflib.network", Network=Network):
        return pickle.dumps((Network(), Network(build_func_name="D_stylegan2"), averaged), protocol=protocol)


# rosinality


def rosinality_state(generator: Generator) -> OrderedDict[str, torch.Tensor]:
    """The state dict of rosinality's generator with the same weights."""
    state: OrderedDict[str, torch.Tensor] = OrderedDict()
    for name, value in generator.state_dict().items():
        parts = name.split(".")
        if parts[0] == "mapping":
            if parts[1] != "w_avg":
                state[f"style.{int(parts[1][2:]) + 1}.{parts[2]}"] = value
            continue
        block = int(math.log2(int(parts[1][1:]))) - 2
        if parts[2] == "const":
            state["input.input"] = value[None]
        if parts[2] in ("const", "resample_filter"):
            continue
        layer = f"convs.{2 * block - 2 + int(parts[2][-1])}" if parts[2] != "torgb" else f"to_rgbs.{block - 1}"
        if block == 0:
            layer = {"conv1": "conv1", "torgb": "to_rgb1"}[parts[2]]
        kind = ".".join(parts[3:])
        if kind == "noise_const":
            state[f"noises.noise_{2 * block - 1 + int(parts[2][-1])}"] = value[None, None]
        elif kind == "resample_filter":
            place = f"{layer}.conv.blur.kernel" if parts[2] == "conv0" else None
            if place:
                state[place] = 4 * value
        elif kind == "noise_strength":
            state[f"{layer}.noise.weight"] = value[None]
        elif kind == "weight":
            state[f"{layer}.conv.weight"] = value[None]
        elif kind == "bias":
            torgb = parts[2] == "torgb"
            state[f"{layer}.bias" if torgb else f"{layer}.activate.bias"] = (
                value.reshape(1, 3, 1, 1) if torgb else value
            )
        else:
            state[f"{layer}.conv.modulation.{kind.removeprefix('affine.')}"] = value
    return state


def rosinality(generator: Generator, *, old: bool = False, average: bool = True, **more: Any) -> bytes:
    """A .pt of rosinality's, as written during training if without an average w."""
    content: dict[str, Any] = {"g_ema": rosinality_state(generator)}
    if average:
        content["latent_avg"] = generator.mapping.w_avg
    else:
        content |= {"g_optim": {"state": {0: {"step": 3, "exp_avg": torch.ones(4)}}, "param_groups": [{"lr": 0.1}]}}
        content |= {"args": argparse.Namespace(size=16, path="lmdb"), "ada_aug_p": 0.0}
    content |= more
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=not old)
    return file.getvalue()
