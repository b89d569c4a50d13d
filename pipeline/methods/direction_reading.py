"""Vectors out of other people's files of directions: .npy, .pt and .safetensors. Nothing in a file is ever executed.

A pickle is read as a description of plain data (`stylegan.checkpoints`), which refuses the name of any code; .npy files
with Python objects are refused. Shape and type are compared with the bytes in the file before numbers are read. Imports
no torch, so a file is refused before anything is computed.
"""

from __future__ import annotations

import difflib
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import safetensors

from pipeline.attributes import EVALUATED
from pipeline.errors import ConfigError
from pipeline.settings.direction_files import (
    SHOWN,
    SUFFIXES,
    files_at,
    joined,
    names_in_files,
    parsed_names,
    read_bounded,
)
from pipeline.storage.fingerprint import bytes_sha256
from pipeline.tables.fields import W_DIM
from stylegan.checkpoints.inert import Array, Changed, Tensor, Values
from stylegan.checkpoints.limits import Budget, RefusalError
from stylegan.checkpoints.machine import describe
from stylegan.checkpoints.opening import PICKLE_MAGIC, ZIP_MAGIC, is_safetensors
from stylegan.checkpoints.torchfiles import read_old, read_zip

NPY_MAGIC = b"\x93NUMPY"
LONGEST_HEADER = 2**20  # bytes of a header of safetensors; 35 vectors take 3 kB
MOST_ROWS = 64  # vectors of one direction; the largest StyleGAN2 has 18 layers
SHORTEST, LONGEST = 1e-6, 1e6  # of a vector that is used as it is: two random w are some 10 to 30 apart
SAFETENSORS_TYPES = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "BF16": "<u2"}


@dataclass(frozen=True)
class Vector:
    """The direction of one attribute: numbers (1, 512), or (layers, 512), float64, and the file that they come from."""

    numbers: np.ndarray
    file: str
    sha256: str

    @property
    def length(self) -> float:
        """Its length in W: of several layers the root mean square."""
        return float(np.sqrt(np.square(self.numbers).sum(axis=1).mean()))


@dataclass(frozen=True)
class DirectionVectors:
    """What the files of a method hold: vectors by evaluated attribute, their digest, and every name in the files."""

    path: str
    vectors: dict[str, Vector]
    sha256: str
    names: tuple[str, ...]

    def check_attributes(self, attributes: Sequence[str]) -> None:
        """Raise ConfigError, with the closest names, where an attribute of a run has no vector."""
        without = [name for name in attributes if name not in self.vectors]
        if not without:
            return
        close = {name: difflib.get_close_matches(name, self.names, n=1, cutoff=0.5) for name in without}
        guess = ", ".join(f"{name}: {names[0]}" for name, names in close.items() if names) or f"{without[0]}: ITS-NAME"
        only = " ".join(f"--attribute {name}" for name in attributes if name in self.vectors)
        raise ConfigError(
            f"path: {self.path} has no direction for {', '.join(without)}; it has {_listed(self.names)}. Where the "
            f"files call them otherwise, say how: names = {guess}." + (f" Or run what there is: {only}" if only else "")
        )


def read_directions(path: str, names: str) -> DirectionVectors:
    """The vector of every evaluated attribute that the files at a path have.

    `names`: what the files call attributes, as [method.file.NAME] has it. Raises ConfigError that names the file.
    """
    spelled = parsed_names(names)
    vectors: dict[str, Vector] = {}
    digests: dict[str, str] = {}
    there: list[str] = []
    for attribute, file in files_at(path, spelled).items():
        data = read_bounded(file)
        digests[attribute] = bytes_sha256(data)
        try:
            arrays = arrays_in(data)
            chosen = {attribute: _of_one(arrays, attribute, spelled)} if attribute else _of_all(arrays, file, spelled)
            for name, array in chosen.items():
                numbers = _checked(array, f"the vector of {name} has " if len(chosen) > 1 else "it has ")
                vectors[name] = Vector(numbers, file.name, digests[attribute])
        except RefusalError as refusal:
            reason = "".join(c if c.isprintable() else "?" for c in str(refusal))
            raise ConfigError(f"path: {file} cannot be used: {reason}. Nothing in it was executed.") from refusal
        there += [file.stem] if attribute else [name or file.stem for name in arrays]
    if Path(path).is_dir():
        there = sorted({entry.stem for entry in Path(path).iterdir() if entry.suffix in SUFFIXES})
    return DirectionVectors(path, vectors, joined(digests), tuple(there))


def arrays_in(data: bytes) -> dict[str, Values]:
    """The arrays in a file by name; of a file with one array that has no name, under "". Raises RefusalError."""
    if not data:
        raise RefusalError("it is empty")
    if data.startswith(NPY_MAGIC):
        return {"": _npy(data)}
    if data.startswith(ZIP_MAGIC):
        if b".npy" in data[:256]:
            raise RefusalError("it is an archive of NumPy (.npz). Unpack it into a folder: `unzip FILE -d FOLDER`")
        return _named(read_zip(data, Budget(len(data))))
    if is_safetensors(data):
        return _safetensors(data)
    if data.startswith(PICKLE_MAGIC):
        return _named(read_old(memoryview(data), Budget(len(data))).content)
    raise RefusalError("it is neither .npy, nor a file of torch.save, nor safetensors")


def _npy(data: bytes) -> Values:
    """The array of a .npy file."""
    stream = io.BytesIO(data)
    headers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    try:
        version = np.lib.format.read_magic(stream)
        if version not in headers:
            raise RefusalError(f"it is .npy of version {version[0]}.{version[1]}, expected 1.0 or 2.0")
        shape, columns_first, kind = headers[version](stream)
    except (ValueError, SyntaxError, TypeError, TokenError, RecursionError, MemoryError) as error:
        raise RefusalError(f"its header is damaged: {str(error).partition('.')[0]}") from error
    if kind.hasobject:
        raise RefusalError(
            "it holds Python objects, whose reading would run code of the file. Save the numbers alone: "
            "np.save(PATH, np.asarray(array, np.float32))"
        )
    _check_numbers(kind)
    size = int(np.prod(shape, dtype=object)) * kind.itemsize
    numbers = memoryview(data)[stream.tell() :]
    if size != len(numbers):
        raise RefusalError(f"its array of shape {shape} needs {size:,} bytes, and it has {len(numbers):,}")
    return Changed(shape, lambda: np.frombuffer(numbers, kind).reshape(shape, order="F" if columns_first else "C"))


def _safetensors(data: bytes) -> dict[str, Values]:
    """The tensors of a file of safetensors."""
    length = int.from_bytes(data[:8], "little")
    if length > LONGEST_HEADER:
        raise RefusalError(f"its header has {length:,} bytes; at most {LONGEST_HEADER:,} are read")
    try:
        entries = safetensors.deserialize(data)
    except (safetensors.SafetensorError, ValueError) as error:
        raise RefusalError(f"it is damaged or not a safetensors file: {error}") from error
    return {name: _safetensor(entry) for name, entry in entries}


def _safetensor(entry: Mapping[str, Any]) -> Values:
    kind, shape = str(entry["dtype"]), tuple(entry["shape"])

    def read() -> np.ndarray[Any, Any]:
        if kind not in SAFETENSORS_TYPES:
            raise RefusalError(f"expected floating-point numbers, found {kind}")
        numbers = np.frombuffer(entry["data"], SAFETENSORS_TYPES[kind])
        return ((numbers.astype("<u4") << 16).view("<f4") if kind == "BF16" else numbers).reshape(shape)

    return Changed(shape, read)


def _named(content: Any) -> dict[str, Values]:
    """The tensors of a file of torch.save: a tensor, or a dictionary of tensors."""
    if isinstance(content, Tensor | Array):
        return {"": content}
    if type(content) is not dict or not content:
        raise RefusalError(f"expected a tensor or a dictionary of tensors, found a {describe(content)}")
    return {name: value for name, value in content.items() if type(name) is str and isinstance(value, Tensor | Array)}


def _of_one(arrays: Mapping[str, Values], attribute: str, spelled: Mapping[str, str]) -> Values:
    """The vector of a file that is of one attribute: its only array, or the one of the attribute's name."""
    if len(arrays) == 1:
        return next(iter(arrays.values()))
    wanted = names_in_files(attribute, spelled)
    for name in wanted:
        if name in arrays:
            return arrays[name]
    raise RefusalError(f"expected one array, or one named {' or '.join(wanted)}, found {_listed(arrays)}")


def _of_all(arrays: Mapping[str, Values], file: Path, spelled: Mapping[str, str]) -> dict[str, Values]:
    """The vectors of a file that is the only one, by evaluated attribute. A lone array may have the file's name."""
    if len(arrays) == 1:
        ((name, array),) = arrays.items()
        arrays = {file.stem: array} | ({name: array} if name else {})
    chosen: dict[str, Values] = {}
    for attribute in EVALUATED:
        there = [name for name in names_in_files(attribute, spelled) if name in arrays]
        if len(there) > 1:
            raise RefusalError(f"it has {' and '.join(there)}, which are one attribute. Take one of them out")
        if there:
            chosen[attribute] = arrays[there[0]]
    if not chosen:
        raise RefusalError(
            f"expected the name of an attribute ({', '.join(EVALUATED)}), found {_listed(arrays)}. "
            f"Say which it is of: names = age: {next(iter(arrays), file.stem)}"
        )
    return chosen


def _listed(names: Iterable[str]) -> str:
    ordered = sorted(filter(None, names))
    return ", ".join(ordered[:SHOWN]) + (", ..." if len(ordered) > SHOWN else "") or "no array with a name"


def _check_numbers(kind: np.dtype[Any]) -> None:
    if kind.kind != "f" or kind.itemsize > 8:
        raise RefusalError(f"expected floating-point numbers, found {kind}")


def _checked(array: Values, which: str) -> np.ndarray:
    """The numbers (1, 512) or (layers, 512), float64; `which` begins an error about them.

    Equal rows, as published files of W have them, are one. Raises RefusalError for numbers that cannot be a direction.
    """
    shape = array.shape
    if len(shape) == 3 and shape[0] == 1:
        shape = shape[1:]
    shape = shape if len(shape) == 2 else (1, *shape)
    if len(shape) != 2 or shape[1] != W_DIM or not 1 <= shape[0] <= MOST_ROWS:
        raise RefusalError(f"{which}the shape {array.shape}, expected {W_DIM} numbers, or layers x {W_DIM}")
    numbers = array.read()
    _check_numbers(numbers.dtype)
    with np.errstate(invalid="ignore"):  # of NaN, which is refused below
        numbers = numbers.astype(np.float64).reshape(shape)
    if not np.isfinite(numbers).all():
        raise RefusalError(f"{which}{int((~np.isfinite(numbers)).sum()):,} infinite or undefined numbers (NaN)")
    if not numbers.any():
        raise RefusalError(f"{which}zeros alone: it is no direction")
    return numbers[:1] if (numbers == numbers[0]).all() else numbers
