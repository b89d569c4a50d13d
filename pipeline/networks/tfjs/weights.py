"""TensorFlow.js weights: a manifest in JSON, and one .bin file with all tensors one after the other.

A manifest is a list of groups, each with the paths of its files and its tensors: name, shape, dtype, and where the
numbers are stored in fewer bits, `quantization`. uint8 and uint16 stand for value * scale + min; float16 for itself.
Here a manifest has one group with one file, as in the packages that we read; its path is not followed, because
the caller names the .bin. Everything is checked before a tensor is made, and nothing is executed.

Source of the format: tfjs-core 4.22, `io_utils.decodeWeights`, whose float32 results these are to the bit.
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.errors import WeightsError

LARGEST_JSON = 4 * 2**20  # bytes; the largest file that we read has 96 kB
LARGEST_BIN = 64 * 2**20  # bytes; the largest that we read has 7 MB
MOST_TENSORS = 4096
MOST_AXES = 6
MOST_ELEMENTS = LARGEST_BIN  # of a tensor; at least one byte each
STORED = {"float32": "<f4", "int32": "<i4", "uint8": "|u1", "uint16": "<u2", "float16": "<f2"}
PLAIN = ("float32", "int32")
QUANTISED = ("uint8", "uint16", "float16")


@dataclass(frozen=True)
class TensorEntry:
    """A tensor of a manifest. `stored` is the type in the .bin; scale and minimum belong to stored integers."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    stored: str
    scale: float = 1.0
    minimum: float = 0.0

    @property
    def elements(self) -> int:
        """The number of elements."""
        return math.prod(self.shape)

    @property
    def size(self) -> int:
        """Bytes in the .bin."""
        return self.elements * np.dtype(STORED[self.stored]).itemsize


def read_weights(manifest: Path, data: Path) -> dict[str, Tensor]:
    """The tensors of a manifest and its .bin by name, float32 or int32, in TensorFlow's order of axes.

    Raises WeightsError for files that are missing, are no such files, or do not belong together.
    """
    return decoded(read_json(manifest), manifest, data)


def read_json(path: Path) -> Any:
    """The value of a JSON file. Raises WeightsError for a missing, too large or malformed file."""
    try:
        return json.loads(read_bytes(path, LARGEST_JSON))
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path} is not JSON: {error}. Fetch it again.") from error


def read_bytes(path: Path, most: int) -> bytes:
    """The bytes of a file. Raises WeightsError for a missing file, and for one with more than `most` bytes."""
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror}). Fetch it: latentbench weights list") from error
    if len(data) > most:
        raise WeightsError(f"{path} is too large: expected at most {most} bytes. Fetch it again.")
    return data


def decoded(groups: Any, manifest: Path, data: Path) -> dict[str, Tensor]:
    """The tensors of a manifest's only group; `manifest` is its file, for messages. Raises WeightsError."""
    entries = _entries(groups, manifest)
    stored = read_bytes(data, LARGEST_BIN)
    expected = sum(entry.size for entry in entries)
    if len(stored) != expected:
        raise WeightsError(
            f"{data} has {len(stored)} bytes, expected {expected} by {manifest.name}: the two do not belong together, "
            "or one is damaged. Fetch both again."
        )
    tensors, offset = {}, 0
    for entry in entries:
        tensors[entry.name] = _tensor(entry, stored, offset, data)
        offset += entry.size
    return tensors


def _tensor(entry: TensorEntry, stored: bytes, offset: int, path: Path) -> Tensor:
    raw = np.frombuffer(stored, np.dtype(STORED[entry.stored]), entry.elements, offset)
    if entry.stored in ("uint8", "uint16"):
        with np.errstate(over="ignore"):
            values = (raw.astype(np.float64) * entry.scale + entry.minimum).astype(np.float32)
    else:
        values = raw.astype(np.int32 if entry.dtype == "int32" else np.float32)
    if entry.dtype == "float32" and not np.isfinite(values).all():
        raise WeightsError(f"{path}: tensor {entry.name!r} holds numbers that are not finite. Fetch it again.")
    return torch.from_numpy(values.reshape(entry.shape))


def _entries(groups: Any, path: Path) -> list[TensorEntry]:
    """The checked entries of a manifest with one group and one file."""
    if not isinstance(groups, list) or len(groups) != 1 or not isinstance(groups[0], dict):
        raise WeightsError(f"{path} is not a manifest of weights: expected a list with one group of tensors.")
    paths, weights = groups[0].get("paths"), groups[0].get("weights")
    if not isinstance(paths, list) or len(paths) != 1:
        raise WeightsError(f"{path}: expected weights in one file, found {paths!r:.80}.")
    if not isinstance(weights, list) or not 0 < len(weights) <= MOST_TENSORS:
        raise WeightsError(f"{path}: expected a list of 1 to {MOST_TENSORS} tensors under `weights`.")
    entries = [_entry(item, path) for item in weights]
    if len({entry.name for entry in entries}) < len(entries):
        raise WeightsError(f"{path} names a tensor twice.")
    return entries


def _entry(item: Any, path: Path) -> TensorEntry:
    name = item.get("name") if isinstance(item, dict) else None
    if not isinstance(name, str) or not name or len(name) > 500:
        raise WeightsError(f"{path}: expected a tensor with a name, found {item!r:.80}.")
    shape = _shape(item.get("shape"), name, path)
    dtype = item.get("dtype")
    quantization = item.get("quantization")
    if dtype not in PLAIN or (quantization is not None and dtype != "float32"):
        kind = "quantised " if quantization is not None else ""
        raise WeightsError(f"{path}: tensor {name!r} is {kind}{dtype!r:.40}; known are {' and '.join(PLAIN)}.")
    if quantization is None:
        return TensorEntry(name, shape, dtype, dtype)
    stored = quantization.get("dtype") if isinstance(quantization, dict) else None
    if stored not in QUANTISED:
        raise WeightsError(f"{path}: tensor {name!r} is stored as {stored!r:.40}; known are {', '.join(QUANTISED)}.")
    if stored == "float16":
        return TensorEntry(name, shape, dtype, stored)
    scale, minimum = (_number(quantization.get(key), key, name, path) for key in ("scale", "min"))
    return TensorEntry(name, shape, dtype, stored, scale, minimum)


def _shape(shape: Any, name: str, path: Path) -> tuple[int, ...]:
    whole = isinstance(shape, list) and all(type(size) is int and 0 < size <= MOST_ELEMENTS for size in shape)
    if not whole or len(shape) > MOST_AXES or math.prod(shape) > MOST_ELEMENTS:
        raise WeightsError(
            f"{path}: tensor {name!r} has shape {shape!r:.80}; expected at most {MOST_AXES} positive whole numbers "
            f"with a product of at most {MOST_ELEMENTS}."
        )
    return tuple(shape)


def _number(value: Any, key: str, name: str, path: Path) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= sys.float_info.max:
        raise WeightsError(f"{path}: tensor {name!r} has no finite {key!r}: found {value!r:.40}.")
    return float(value)
