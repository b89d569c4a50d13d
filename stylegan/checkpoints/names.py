"""The names that a checkpoint may mention, and the data built for each. All other names are refused.

The table covers everything that NVIDIA's and rosinality's code writes. None of these names is imported.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from stylegan.checkpoints.inert import BFLOAT16, Array, Attributes, Module, NumberType, Storage, Tensor
from stylegan.checkpoints.limits import RefusalError, check_name
from stylegan.checkpoints.machine import Builder, LongText, Name, Names, describe

PERSISTENCE_VERSION = 6
"""Version of `torch_utils.persistence`; public files have no other."""

NUMBER_TYPES = {
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "DoubleStorage": "<f8",
    "BFloat16Storage": BFLOAT16,
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "|i1",
    "ByteStorage": "|u1",
    "BoolStorage": "|b1",
}
ARRAY_TYPES = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"}
TORCH_TYPES = ("float16", "float32", "float64", "bfloat16", "int8", "uint8", "int16", "int32", "int64", "bool")


def _module(meta: object) -> Module:
    """An instance of a persistent class. Its source code, which the official reader runs, is ignored."""
    if type(meta) is not dict:
        raise RefusalError(f"it describes a network by a {describe(meta)}")
    if meta.get("type") != "class" or meta.get("version") != PERSISTENCE_VERSION:
        raise RefusalError(f"it describes a network in a version of NVIDIA's format other than {PERSISTENCE_VERSION}")
    class_name, state = meta.get("class_name"), meta.get("state")
    if type(class_name) is not str or type(state) is not dict:
        raise RefusalError("it describes a network without a class name or without attributes")
    return Module(class_name, state)


def _tensor(
    storage: object,
    offset: Any,
    shape: Any,
    strides: Any,
    requires_grad: object = None,
    hooks: object = None,
    metadata: object = None,
) -> Tensor:
    if not isinstance(storage, Storage):
        raise RefusalError(f"it makes a tensor of a {describe(storage)}")
    return Tensor(storage, offset, shape, strides)


def _parameter(data: object, requires_grad: object = None, hooks: object = None) -> Tensor:
    if not isinstance(data, Tensor):
        raise RefusalError(f"it makes a parameter of a {describe(data)}")
    return data


def _shape(sizes: object = ()) -> object:
    return sizes


def _device(kind: object = "", index: object = None) -> str:
    return kind if isinstance(kind, str) else ""


def _dictionary() -> dict[Any, Any]:
    return {}


def _members(items: object = ()) -> object:
    return items if type(items) in (list, tuple) else ()


def _number_type(kind: object, align: object = False, copy: object = False) -> NumberType:
    if type(kind) is not str or kind not in ARRAY_TYPES:
        raise RefusalError("it has an array that is not of plain numbers")
    return NumberType(("|" if kind.endswith("1") else "<") + kind)


def _array(kind: object, shape: object, code: object) -> Array:
    return Array()


def _array_of_buffer(data: object, number_type: object, shape: object, order: object) -> Array:
    array = Array()
    array.fill(shape, number_type, data, order == "F")
    return array


def _number(number_type: object, data: object) -> object:
    """A NumPy scalar, as a 0-dimensional array."""
    array = Array()
    array.fill((), number_type, data, False)
    return array


def _encoded(text: object, encoding: object) -> bytes:
    """Bytes that protocol 2 writes as a text with one character per byte."""
    if not isinstance(text, str | LongText) or encoding not in ("latin1", "latin-1"):
        raise RefusalError("it encodes a text; expected latin-1, as in old protocols")
    try:
        return (text if isinstance(text, str) else str(text.data, "utf-8")).encode("latin-1")
    except UnicodeError as error:
        raise RefusalError("it is damaged: bytes written as text are invalid") from error


def _attributes(kind: str) -> Callable[[], Attributes]:
    return lambda: Attributes(kind)


def _bytes_of(data: object) -> memoryview:
    if isinstance(data, bytes):
        return memoryview(data)
    if not isinstance(data, memoryview):
        raise RefusalError(f"it reads a tensor from a {describe(data)}")
    return data


_CONTAINERS: dict[Name, Builder | None] = {
    Name("collections", "OrderedDict"): _dictionary,
    Name("dnnlib.util", "EasyDict"): _dictionary,
    Name("argparse", "Namespace"): _attributes("Namespace"),
    Name("_codecs", "encode"): _encoded,
}
for _module_name in ("builtins", "__builtin__"):
    _CONTAINERS |= {Name(_module_name, "set"): _members, Name(_module_name, "frozenset"): _members}

_NUMPY: dict[Name, Builder | None] = {Name("numpy", "dtype"): _number_type, Name("numpy", "ndarray"): None}
for _core in ("numpy.core", "numpy._core"):
    _NUMPY[Name(f"{_core}.multiarray", "_reconstruct")] = _array
    _NUMPY[Name(f"{_core}.multiarray", "scalar")] = _number
    _NUMPY[Name(f"{_core}.numeric", "_frombuffer")] = _array_of_buffer

_TORCH: dict[Name, Builder | None] = {
    Name("torch._utils", "_rebuild_tensor"): _tensor,
    Name("torch._utils", "_rebuild_tensor_v2"): _tensor,
    Name("torch._utils", "_rebuild_parameter"): _parameter,
    Name("torch", "Size"): _shape,
    Name("torch", "device"): _device,
}
_TORCH |= {Name("torch", storage): None for storage in NUMBER_TYPES}
_TORCH |= {Name("torch", number_type): None for number_type in TORCH_TYPES}

TORCH_NAMES: Names = {**_CONTAINERS, **_NUMPY, **_TORCH}
"""Names allowed in files of `torch.save`."""


def pickle_names(load_from_bytes: Callable[[memoryview], object]) -> Names:
    """Names allowed in plain pickles of networks; `load_from_bytes` reads a storage that was pickled as bytes."""
    networks: dict[Name, Builder | None] = {
        Name("torch_utils.persistence", "_reconstruct_persistent_obj"): _module,
        Name("dnnlib.tflib.network", "Network"): _attributes("Network"),
        Name("torch.storage", "_load_from_bytes"): lambda data: load_from_bytes(_bytes_of(data)),
    }
    return {**TORCH_NAMES, **networks}


def storage_of(reference: object) -> tuple[Storage, str]:
    """The storage, and its key, that a persistent id of `torch.save` describes. Raises RefusalError for other ids."""
    if type(reference) is not tuple or len(reference) not in (5, 6) or reference[0] != "storage":
        raise RefusalError("it refers to something that is not the data of a tensor")
    _, kind, key, location, length = reference[:5]
    if not (isinstance(kind, Name) and kind.module == "torch" and kind.attribute in NUMBER_TYPES):
        raise RefusalError(f"it has tensors of the unsupported type {describe(kind)}")
    if len(reference) == 6 and reference[5] is not None:
        raise RefusalError("it has storages that are views of others, which is not supported")
    if type(length) is not int or not 0 <= length < 2**40:
        raise RefusalError("it has a storage of invalid length")
    return Storage(NUMBER_TYPES[kind.attribute], length), check_name(key, "a storage")


def length_prefix(data: memoryview) -> int:
    """The number of numbers, which precedes the data of a storage in old files of torch."""
    return int(struct.unpack("<q", data)[0])
