"""Safetensors with NVIDIA's or rosinality's names. The format holds only numbers, no code."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch

from stylegan.checkpoints import rosinality
from stylegan.checkpoints.found import FoundGenerator
from stylegan.checkpoints.inert import Changed, Values
from stylegan.checkpoints.limits import RefusalError, check_number
from stylegan.weights import LARGEST_HEADER, METADATA_KEY, STAND_IN_KEY

KIND = "safetensors"
PREFIXES = ("G_ema.", "g_ema.", "generator.", "module.")
"""Prefixes that all names of a file may have, also several in a row."""
EMBEDDING = "mapping.embed."


def find_generator(data: bytes) -> FoundGenerator:
    """The generator in a file. Raises RefusalError if there is none, it takes class labels, or it is a stand-in."""
    ours = _read_metadata(data).get(METADATA_KEY)
    if ours is not None and STAND_IN_KEY in ours:
        raise RefusalError("it is a stand-in for trying the program: its numbers are random")
    try:
        tensors = safetensors.torch.load(data)
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise RefusalError(f"it is damaged or not a safetensors file: {error}") from error
    values: dict[str, Values] = {name: _values_of(tensor) for name, tensor in tensors.items()}
    for _ in PREFIXES:
        for prefix in PREFIXES:
            if any(name.startswith(prefix) for name in values):
                values = {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}
    check_number(len(values))
    if "style.1.weight" in values:
        average = values.pop(rosinality.AVERAGE_W, None)
        return rosinality.found_in(values, average, f"{KIND} with rosinality's names", "")
    if ours is None:
        _check_labels(values)
    return FoundGenerator(
        f"{KIND} with NVIDIA's names",
        values,
        assumed=("activations are not bounded (conv_clamp): the format does not state a bound",),
    )


def _read_metadata(data: bytes) -> dict[str, str]:
    """The metadata in the header. Raises RefusalError for a header that is damaged or longer than LARGEST_HEADER."""
    length = int.from_bytes(data[:8], "little")
    if length > LARGEST_HEADER:
        raise RefusalError(f"its header has {length:,} bytes; at most {LARGEST_HEADER:,} are read")
    try:
        header = json.loads(data[8 : 8 + length])
    except (ValueError, RecursionError) as error:
        raise RefusalError(f"it is damaged or not a safetensors file: {error}") from error
    metadata = header.get("__metadata__", {}) if isinstance(header, dict) else {}
    return {key: text for key, text in metadata.items() if isinstance(text, str)} if isinstance(metadata, dict) else {}


def _check_labels(values: dict[str, Values]) -> None:
    """Raise RefusalError for a mapping network that reads class labels in addition to z.

    The first layer then reads more numbers than w has: z and a label embedding with the length of w. The embedding
    layer may be missing, because some converters drop it.
    """
    first, style = (values.get(name) for name in ("mapping.fc0.weight", "synthesis.b4.conv1.affine.weight"))
    inputs, w_dim = (value.shape[1] if value and len(value.shape) == 2 else 0 for value in (first, style))
    if any(name.startswith(EMBEDDING) for name in values) or inputs > w_dim > 0:
        raise RefusalError(
            f"its generator takes class labels, which this program does not support: its first mapping layer reads "
            f"{inputs} numbers where w has {w_dim}: z and the embedding of a label"
        )


def _values_of(tensor: torch.Tensor) -> Values:
    def read() -> np.ndarray[Any, Any]:
        plain = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
        return np.asarray(plain.numpy())

    return Changed(tuple(tensor.shape), read)
