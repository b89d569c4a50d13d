"""A stack machine that reads pickles and cannot import or call anything they name.

Python's unpickler imports and calls the functions that a file names, so the author of a file can run any code. This
reader treats names as text. Each name in its table stands for a function of ours that builds plain data
(`stylegan.checkpoints.inert`); any other name is refused.

`stylegan.checkpoints.instructions` holds the instructions and the loop that runs them. Long byte strings, which hold
the tensors, are views of the file: nothing is copied, and no memory is allocated for bytes that the file does not have.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import signature
from typing import Any, NamedTuple, TypeAlias

from stylegan.checkpoints.limits import LONGEST_TEXT, Budget, RefusalError

LONGEST_LINE = 1000
"""Bytes of a line: a name, or a number written as text."""


class Name(NamedTuple):
    """A class or function that a pickle names. It is never imported."""

    module: str
    attribute: str

    def __str__(self) -> str:
        return f"{self.module}.{self.attribute}"


class Inert:
    """Base of the plain data that stands for an object; a pickle may set its state."""

    def set_state(self, state: object) -> None:
        """Take the state that unpickling would pass to `__setstate__`. Raises RefusalError unless overridden."""
        raise RefusalError(f"it sets the state of a {type(self).__name__}, which has none")


@dataclass(frozen=True, eq=False)
class LongText(Inert):
    """A text too long to be a name, left undecoded: the bytes of an array in a pickle of protocol 2."""

    data: memoryview


Builder: TypeAlias = Callable[..., object]
Names: TypeAlias = Mapping[Name, Builder | None]
"""The function that builds the data of each allowed name; None for names that may be mentioned but not called."""


@dataclass(frozen=True)
class Mark:
    """Marks the start of a container's items on the stack."""


MARK = Mark()
_KEYS = (str, int, float, bool, type(None))
"""Allowed types of dictionary keys and set members. Containers are excluded: hashing them could take unbounded time."""


class PickleReader:
    """Reads consecutive pickles in `data`, from `position` on. Its methods raise RefusalError for invalid data."""

    def __init__(
        self,
        data: memoryview,
        names: Names,
        budget: Budget,
        *,
        position: int = 0,
        find: Callable[[object], object] | None = None,
    ) -> None:
        """`find` returns the object for a persistent id, with which torch refers to the data of a tensor."""
        self.data = data
        self.names = names
        self.budget = budget
        self.position = position
        self.find = find
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def begin(self) -> None:
        """Clear the stack and the memo of an earlier pickle."""
        self.stack, self.memo = [], {}

    # Bytes

    def take(self, size: int) -> memoryview:
        """The next `size` bytes, as a view."""
        end = self.position + size
        if size < 0 or end > len(self.data):
            raise RefusalError(
                f"it is truncated: byte {self.position} announces {size:,} bytes, the data ends at {len(self.data):,}"
            )
        view = self.data[self.position : end]
        self.position = end
        return view

    def number(self, form: str) -> Any:
        """The next number, in a format of `struct`."""
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def line(self) -> str:
        """The next text up to a line feed."""
        chunk = bytes(self.data[self.position : self.position + LONGEST_LINE])
        end = chunk.find(b"\n")
        if end < 0:
            raise RefusalError(f"it is damaged: no line ends within {LONGEST_LINE} bytes of byte {self.position}")
        self.position += end + 1
        return chunk[:end].decode("ascii", "backslashreplace")

    def text(self, size: int) -> None:
        """Push a text of `size` bytes. A long text is pushed undecoded; only `_codecs.encode` accepts it."""
        if size > LONGEST_TEXT:
            self.push(LongText(self.take(size)))
            return
        self.budget.read_text(size)
        try:
            self.push(str(self.take(size), "utf-8", "surrogatepass"))
        except UnicodeDecodeError as error:
            raise RefusalError(f"it is damaged: the text before byte {self.position} is not UTF-8") from error

    # Stack and memo

    def push(self, value: Any) -> None:
        """Push a value onto the stack."""
        self.stack.append(value)

    def pop(self) -> Any:
        """Remove and return the top value."""
        value = self.top()
        self.stack.pop()
        return value

    def top(self) -> Any:
        """The top value."""
        if not self.stack or self.stack[-1] is MARK:
            raise RefusalError(f"it is damaged: an object is missing before byte {self.position}")
        return self.stack[-1]

    def items(self) -> list[Any]:
        """Remove and return all values above the last mark; removes the mark too."""
        stack = self.stack
        for index in range(len(stack) - 1, -1, -1):
            if stack[index] is MARK:
                items = stack[index + 1 :]
                del stack[index:]
                return items
        raise RefusalError(f"it is damaged: a mark is missing before byte {self.position}")

    def remember(self, index: int) -> None:
        """Store the top value in the memo."""
        self.memo[index] = self.top()

    def recall(self, index: int) -> None:
        """Push a value from the memo."""
        if index not in self.memo:
            raise RefusalError(f"it is damaged: it recalls object {index}, which was never stored")
        self.push(self.memo[index])

    # Containers

    def extend(self, items: list[Any]) -> None:
        """Append items to the list on top."""
        self.expect(self.top(), list, "extends").extend(items)

    def update(self, items: list[Any]) -> None:
        """Put alternating keys and values into the dictionary on top."""
        if len(items) % 2:
            raise RefusalError("it is damaged: a dictionary's last key has no value")
        target = self.expect(self.top(), dict, "puts keys into")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[plain(key)] = value

    def expect(self, value: Any, kind: type, verb: str) -> Any:
        """The value. Raises RefusalError unless its type is exactly `kind`."""
        if type(value) is not kind:
            raise RefusalError(f"it {verb} a {describe(value)} where a {kind.__name__} must be")
        return value

    # Names

    def name(self, module: object, attribute: object) -> None:
        """Push a name. Raises RefusalError unless the table has it."""
        if type(module) is not str or type(attribute) is not str:
            raise RefusalError("it is damaged: a name that is no text")
        name = Name(module, attribute)
        if name not in self.names:
            raise RefusalError(
                f"it names {shown(name)}, which no known network needs and which could run code when unpickled"
            )
        self.push(name)

    def call(self, name: object, arguments: object) -> None:
        """Push the data that the table's function builds for a name."""
        if not isinstance(name, Name):
            raise RefusalError(f"it calls a {describe(name)}")
        builder = self.names[name]
        if builder is None:
            raise RefusalError(f"it calls {shown(name)}, which no known network does")
        if type(arguments) is not tuple:
            raise RefusalError(f"it calls {shown(name)} with a {describe(arguments)} instead of arguments")
        try:
            signature(builder).bind(*arguments)
        except TypeError as error:
            raise RefusalError(f"it calls {shown(name)} with {len(arguments)} arguments: {error}") from error
        built = builder(*arguments)
        if type(built) is bytes:
            self.budget.make_bytes(len(built))
        self.push(built)

    def build(self) -> None:
        """Set the state of the object on top."""
        state, target = self.pop(), self.top()
        if isinstance(target, Inert):
            target.set_state(state)
        elif type(target) is not dict or not (state is None or type(state) is dict):
            raise RefusalError(f"it sets the state of a {describe(target)}")
        # The state of a dictionary holds its attributes, such as a state dict's `_metadata`; they are not needed.

    def persistent(self, reference: object) -> None:
        """Push the object of a persistent id."""
        if self.find is None:
            raise RefusalError("it has a persistent id where none is allowed")
        self.push(self.find(reference))


def describe(value: object) -> str:
    """The type of a value, or the name itself if it is a name, for messages."""
    return shown(value) if isinstance(value, Name) else type(value).__name__


def shown(name: Name) -> str:
    """A name for messages: at most 120 characters, and printable."""
    text = "".join(c if c.isprintable() else "?" for c in str(name)[:120])
    return f"'{text}'"


def plain(key: Any) -> Any:
    """The value, as a key. Raises RefusalError for containers and for integers of more than 64 bits."""
    if type(key) not in _KEYS or (type(key) is int and key.bit_length() > 64):
        raise RefusalError(f"it has a {describe(key)} as a key of a dictionary or a member of a set")
    return key
