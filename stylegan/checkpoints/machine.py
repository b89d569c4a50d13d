"""Pickles, read by a stack machine that cannot call anything.

Python's own unpickler imports what a file names and calls it: whoever writes the file runs code. This
one knows names only as text. A name that is not in the reader's table is refused where it stands; one
that is there stands for a function of ours, which builds plain data (`stylegan.checkpoints.inert`).

`stylegan.checkpoints.instructions` has the instructions and runs them. Long byte strings, which are the tensors, are
answered as views of the file: nothing is copied, and nothing is reserved that is not in the file.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import signature
from typing import Any, NamedTuple, TypeAlias

from stylegan.checkpoints.limits import LONGEST_TEXT, Budget, RefusalError

LONGEST_LINE = 1000
"""Bytes of a name, or a number written as text."""


class Name(NamedTuple):
    """A class or function that a pickle names. It is never looked up."""

    module: str
    attribute: str

    def __str__(self) -> str:
        return f"{self.module}.{self.attribute}"


class Inert:
    """Data that a file may set the state of, as it would of the object that this stands for."""

    def set_state(self, state: object) -> None:
        """What unpickling would hand to `__setstate__`."""
        raise RefusalError(f"it sets the state of a {type(self).__name__}, which has none")


@dataclass(frozen=True, eq=False)
class LongText(Inert):
    """A text that is too long to be a name, not decoded: the bytes of an array in a pickle of protocol 2."""

    data: memoryview


Builder: TypeAlias = Callable[..., object]
Names: TypeAlias = Mapping[Name, Builder | None]
"""What each allowed name builds from its arguments; None for names that are only mentioned."""


@dataclass(frozen=True)
class Mark:
    """Where a container's items begin on the stack."""


MARK = Mark()
_KEYS = (str, int, float, bool, type(None))
"""Keys of dictionaries and members of sets: nothing that holds other things, which could take for ever to hash."""


class PickleReader:
    """Reads pickles that follow each other in `data`, from `position` on. RefusalError for anything odd."""

    def __init__(
        self,
        data: memoryview,
        names: Names,
        budget: Budget,
        *,
        position: int = 0,
        find: Callable[[object], object] | None = None,
    ) -> None:
        """`find` answers persistent ids, which is how torch refers to the data of its tensors."""
        self.data = data
        self.names = names
        self.budget = budget
        self.position = position
        self.find = find
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def begin(self) -> None:
        """Forget what an earlier pickle left behind."""
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
        """The next number, in a form of `struct`."""
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
        """Push a text of `size` bytes; a long one as it is in the file, which only `_codecs.encode` takes."""
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
        """Put a value on top."""
        self.stack.append(value)

    def pop(self) -> Any:
        """Take the top value away."""
        value = self.top()
        self.stack.pop()
        return value

    def top(self) -> Any:
        """The top value."""
        if not self.stack or self.stack[-1] is MARK:
            raise RefusalError(f"it is damaged: an object is missing before byte {self.position}")
        return self.stack[-1]

    def items(self) -> list[Any]:
        """Take away all values above the last mark, and the mark."""
        stack = self.stack
        for place in range(len(stack) - 1, -1, -1):
            if stack[place] is MARK:
                found = stack[place + 1 :]
                del stack[place:]
                return found
        raise RefusalError(f"it is damaged: a mark is missing before byte {self.position}")

    def remember(self, place: int) -> None:
        """Keep the top value for `recall`."""
        self.memo[place] = self.top()

    def recall(self, place: int) -> None:
        """Push a value that was kept."""
        if place not in self.memo:
            raise RefusalError(f"it is damaged: it recalls object {place}, which was never kept")
        self.push(self.memo[place])

    # Containers

    def extend(self, items: list[Any]) -> None:
        """Add to the list on top."""
        self.expect(self.top(), list, "extends").extend(items)

    def update(self, items: list[Any]) -> None:
        """Put keys and values into the dictionary on top."""
        if len(items) % 2:
            raise RefusalError("it is damaged: a dictionary's last key has no value")
        target = self.expect(self.top(), dict, "puts keys into")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[plain(key)] = value

    def expect(self, value: Any, kind: type, verb: str) -> Any:
        """The value, if it is of that kind exactly."""
        if type(value) is not kind:
            raise RefusalError(f"it {verb} a {describe(value)} where a {kind.__name__} must be")
        return value

    # Names

    def name(self, module: object, attribute: object) -> None:
        """Push a name. RefusalError unless the table has it."""
        if type(module) is not str or type(attribute) is not str:
            raise RefusalError("it is damaged: a name that is no text")
        found = Name(module, attribute)
        if found not in self.names:
            raise RefusalError(
                f"it names {shown(found)}, which is not among what networks are made of and could be anything that "
                "runs when unpickled"
            )
        self.push(found)

    def call(self, name: object, arguments: object) -> None:
        """Push what the table builds for a name."""
        if not isinstance(name, Name):
            raise RefusalError(f"it calls a {describe(name)}")
        builder = self.names[name]
        if builder is None:
            raise RefusalError(f"it calls {shown(name)}, which no known network does")
        if type(arguments) is not tuple:
            raise RefusalError(f"it calls {shown(name)} with a {describe(arguments)} in place of arguments")
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
        # The state of a dictionary is attributes beside its items, such as a state dict's `_metadata`: not needed.

    def persistent(self, reference: object) -> None:
        """Push what a persistent id refers to."""
        if self.find is None:
            raise RefusalError("it has a persistent id where none belongs")
        self.push(self.find(reference))


def describe(value: object) -> str:
    """What kind of thing a value is, for messages."""
    return shown(value) if isinstance(value, Name) else type(value).__name__


def shown(name: Name) -> str:
    """A name for messages, short and printable whatever the file says."""
    text = "".join(c if c.isprintable() else "?" for c in str(name)[:120])
    return f"'{text}'"


def plain(key: Any) -> Any:
    """The value, if it can be a key. RefusalError for what would have to be looked into, and for enormous numbers."""
    if type(key) not in _KEYS or (type(key) is int and key.bit_length() > 64):
        raise RefusalError(f"it has a {describe(key)} as a key of a dictionary or a member of a set")
    return key
