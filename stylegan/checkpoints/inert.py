"""Plain data read from checkpoints: descriptions of networks, tensors and arrays, without behaviour.

A tensor is a claim about bytes of the file: shape, strides and type are compared with the bytes in the file before
memory is allocated. The numbers are read only on request (`read`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from stylegan.checkpoints.limits import MOST_AXES, RefusalError
from stylegan.checkpoints.machine import Inert, describe

BFLOAT16 = "bfloat16"


class Values(Protocol):
    """An array of numbers in a checkpoint that has not been read yet."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis."""

    def read(self) -> np.ndarray[Any, Any]:
        """The numbers in their stored type, in the shape `shape`."""


@dataclass(frozen=True)
class Changed:
    """Values with an array operation, such as a transposition, that is applied when they are read."""

    shape: tuple[int, ...]
    read: Callable[[], np.ndarray[Any, Any]]


def changed(values: Values, shape: tuple[int, ...], change: Callable[[np.ndarray[Any, Any]], Any]) -> Changed:
    """`values` with `change` applied when they are read; `shape` is the result's shape."""
    return Changed(shape, lambda: np.asarray(change(values.read())))


def constant(array: np.ndarray[Any, Any]) -> Changed:
    """An array in memory as values."""
    return Changed(array.shape, lambda: array)


def count(shape: tuple[int, ...]) -> int:
    """Number of elements of a shape, as a Python integer that cannot overflow."""
    total = 1
    for size in shape:
        total *= size
    return total


def check_shape(shape: object, what: str) -> tuple[int, ...]:
    """The shape, a tuple of at most MOST_AXES lengths. Raises RefusalError for anything else."""
    if type(shape) is not tuple or len(shape) > MOST_AXES:
        raise RefusalError(f"{what} has a {describe(shape)} that is no shape")
    for size in shape:
        if type(size) is not int or not 0 <= size < 2**40:
            raise RefusalError(f"{what} has an invalid axis length: expected a whole number from 0 to 2**40")
    return shape


@dataclass(eq=False)
class Storage:
    """A one-dimensional run of numbers in the file, of which tensors are views."""

    kind: str
    """A NumPy type such as '<f4', or BFLOAT16."""
    length: int
    """Number of numbers."""
    fetch: Callable[[], memoryview] | None = None
    """Returns the bytes; None if the file does not hold them."""

    @property
    def item_size(self) -> int:
        """Bytes per number."""
        return 2 if self.kind == BFLOAT16 else np.dtype(self.kind).itemsize

    def read(self, first: int, end: int) -> np.ndarray[Any, Any]:
        """The numbers `first` to `end` - 1; a view of the file except for bfloat16, which is widened to float32."""
        if self.fetch is None:
            raise RefusalError("a tensor's data are not in the file")
        data = self.fetch()
        if len(data) != self.length * self.item_size:
            raise RefusalError(
                f"a tensor's data are {len(data):,} bytes, {self.length * self.item_size:,} were announced"
            )
        part = data[first * self.item_size : end * self.item_size]
        if self.kind == BFLOAT16:
            return (np.frombuffer(part, "<u2").astype("<u4") << 16).view("<f4")
        return np.frombuffer(part, self.kind)


@dataclass(eq=False)
class Tensor(Inert):
    """A view of a storage with an offset, and a stride per axis; both count numbers, not bytes."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def __post_init__(self) -> None:
        check_shape(self.shape, "a tensor")
        check_shape(self.strides, "a tensor")
        if type(self.offset) is not int or self.offset < 0 or len(self.strides) != len(self.shape):
            raise RefusalError("a tensor has an invalid offset, or another number of strides than axes")
        if count(self.shape) > self.storage.length or (count(self.shape) and self._end > self.storage.length):
            raise RefusalError(
                f"a tensor claims the shape {self.shape} with strides {self.strides} at {self.offset}, beyond the "
                f"{self.storage.length:,} numbers of its storage"
            )

    @property
    def _end(self) -> int:
        """The index after the tensor's last number in the storage; the tensor must not be empty."""
        return self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.strides, strict=True)) + 1

    def read(self) -> np.ndarray[Any, Any]:
        """The tensor's numbers; the rest of the storage is not read."""
        if not count(self.shape):
            return np.zeros(self.shape, self.storage.read(0, 0).dtype)
        flat = self.storage.read(self.offset, self._end)
        strides = tuple(s * flat.itemsize for s in self.strides)
        return np.lib.stride_tricks.as_strided(flat, self.shape, strides, writeable=False)


@dataclass(eq=False)
class NumberType(Inert):
    """A NumPy number type; the pickle sets its byte order as state."""

    kind: str

    def set_state(self, state: object) -> None:
        """(version, byte order, ...). Raises RefusalError for structured and big-endian types."""
        if type(state) is not tuple or len(state) < 2 or state[1] not in ("<", "|", "="):
            raise RefusalError("it has an array of an unsupported byte order or type")
        if any(part is not None for part in state[2:5]):
            raise RefusalError("it has a structured array, which is not supported")


@dataclass(eq=False)
class Array(Inert):
    """A NumPy array; the pickle sets all of it as state."""

    shape: tuple[int, ...] = ()
    kind: str = ""
    data: memoryview = field(default_factory=lambda: memoryview(b""))
    columns_first: bool = False

    def set_state(self, state: object) -> None:
        """(version, shape, type, whether the order is Fortran's, bytes)."""
        if type(state) is not tuple or len(state) != 5:
            raise RefusalError("it has an array in an unsupported form")
        _, shape, number_type, columns_first, data = state
        self.fill(shape, number_type, data, columns_first is True)

    def fill(self, shape: object, number_type: object, data: object, columns_first: bool) -> None:
        """Set all fields. Raises RefusalError unless shape and type fit the number of bytes."""
        if not isinstance(number_type, NumberType):
            raise RefusalError("it has an array whose numbers have no type")
        if isinstance(data, bytes):
            data = memoryview(data)
        if not isinstance(data, memoryview):
            raise RefusalError("it has an array of Python objects, expected numbers")
        checked = check_shape(shape, "an array")
        size = count(checked) * np.dtype(number_type.kind).itemsize
        if size != len(data):
            raise RefusalError(f"an array of shape {checked} needs {size:,} bytes and has {len(data):,}")
        self.shape, self.kind, self.data, self.columns_first = checked, number_type.kind, data, columns_first

    def read(self) -> np.ndarray[Any, Any]:
        """The array's numbers, as a view of the file."""
        if not self.kind:
            raise RefusalError("it has an array without numbers")
        return np.frombuffer(self.data, self.kind).reshape(self.shape, order="F" if self.columns_first else "C")


@dataclass(eq=False)
class Module(Inert):
    """A torch module in NVIDIA's pickles: the name of its class, and its attributes."""

    class_name: str
    attributes: dict[Any, Any]


@dataclass(eq=False)
class Attributes(Inert):
    """The attributes of an object of class `kind`: a TensorFlow-era network or a Namespace."""

    kind: str
    attributes: dict[Any, Any] = field(default_factory=dict)

    def set_state(self, state: object) -> None:
        """The attributes."""
        if type(state) is not dict:
            raise RefusalError(f"it sets the state of a {self.kind} to a {describe(state)}")
        self.attributes = state
