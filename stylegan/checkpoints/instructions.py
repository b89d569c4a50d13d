"""The instructions of pickles, as operations on `machine.PickleReader`; Python's `pickletools` documents them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stylegan.checkpoints.limits import LONGEST_INTEGER, RefusalError
from stylegan.checkpoints.machine import MARK, PickleReader, plain

NEWEST_PROTOCOL = 5
STOP = ord(".")


def load_pickle(reader: PickleReader) -> Any:
    """The object of the next pickle. Raises RefusalError if it is damaged or uses a forbidden name or instruction."""
    reader.begin()
    while True:
        reader.budget.step()
        start = reader.position
        code = reader.take(1)[0]
        if code == STOP:
            value = reader.pop()
            if reader.stack:
                raise RefusalError(f"its pickle ends at byte {start} with {len(reader.stack)} objects left over")
            return value
        instruction = INSTRUCTIONS.get(code)
        if instruction is None:
            raise RefusalError(f"it is damaged or no pickle: byte {start} is {code:#04x}, not a supported instruction")
        instruction(reader)


def _integer(reader: PickleReader, size: int) -> None:
    if not 0 <= size <= LONGEST_INTEGER:
        raise RefusalError(f"it holds an integer of {size:,} bytes; at most {LONGEST_INTEGER} are read")
    reader.push(int.from_bytes(reader.take(size), "little", signed=True))


def _written_integer(reader: PickleReader) -> None:
    text = reader.line().removesuffix("L")
    if not text.removeprefix("-").isdecimal() or len(text) > 2 * LONGEST_INTEGER:
        raise RefusalError("it is damaged: a number is invalid or too long")
    reader.push(int(text))


def _written_float(reader: PickleReader) -> None:
    try:
        reader.push(float(reader.line()))
    except ValueError as error:
        raise RefusalError("it is damaged: a number is invalid") from error


def _protocol(reader: PickleReader) -> None:
    protocol = reader.take(1)[0]
    if protocol > NEWEST_PROTOCOL:
        raise RefusalError(f"it is a pickle of protocol {protocol}; at most protocol {NEWEST_PROTOCOL} is supported")


def _frame(reader: PickleReader) -> None:
    start, size = reader.position, reader.number("<Q")
    if size > len(reader.data) - reader.position:
        raise RefusalError(
            f"it is truncated: byte {start} announces {size:,} bytes, the data ends at {len(reader.data):,}"
        )


def _instance(reader: PickleReader) -> None:
    reader.name(reader.line(), reader.line())
    name = reader.pop()
    reader.call(name, tuple(reader.items()))


def _named_by_stack(reader: PickleReader) -> None:
    attribute, module = reader.pop(), reader.pop()
    reader.name(module, attribute)


def _reduce(reader: PickleReader) -> None:
    arguments, name = reader.pop(), reader.pop()
    reader.call(name, arguments)


def _set_item(reader: PickleReader) -> None:
    value, key = reader.pop(), reader.pop()
    reader.update([key, value])


def _append(reader: PickleReader) -> None:
    value = reader.pop()
    reader.extend([value])


def _dictionary(reader: PickleReader) -> None:
    items = reader.items()
    reader.push({})
    reader.update(items)


def _add_items(reader: PickleReader) -> None:
    items = reader.items()
    reader.expect(reader.top(), set, "adds to").update(plain(item) for item in items)


def _tuple(reader: PickleReader, size: int) -> None:
    items = [reader.pop() for _ in range(size)]
    reader.push(tuple(reversed(items)))


def _written_index(reader: PickleReader, use: Callable[[int], None]) -> None:
    _written_integer(reader)
    use(reader.pop())


def _text_line(reader: PickleReader) -> None:
    reader.push(reader.line())


def _never(reader: PickleReader) -> None:
    raise RefusalError("it uses pickle's extension registry, or an instruction for objects that no known network needs")


INSTRUCTIONS: dict[int, Callable[[PickleReader], object]] = {
    0x80: _protocol,
    0x95: _frame,
    ord("("): lambda r: r.push(MARK),
    ord("0"): lambda r: r.pop(),
    ord("1"): lambda r: r.items(),
    ord("2"): lambda r: r.push(r.top()),
    ord("N"): lambda r: r.push(None),
    0x88: lambda r: r.push(True),
    0x89: lambda r: r.push(False),
    ord("I"): _written_integer,
    ord("L"): _written_integer,
    ord("J"): lambda r: r.push(r.number("<i")),
    ord("K"): lambda r: r.push(r.number("<B")),
    ord("M"): lambda r: r.push(r.number("<H")),
    0x8A: lambda r: _integer(r, r.number("<B")),
    0x8B: lambda r: _integer(r, r.number("<i")),
    ord("F"): _written_float,
    ord("G"): lambda r: r.push(r.number(">d")),
    ord("S"): _text_line,
    ord("V"): _text_line,
    ord("X"): lambda r: r.text(r.number("<I")),
    0x8C: lambda r: r.text(r.number("<B")),
    0x8D: lambda r: r.text(r.number("<Q")),
    ord("B"): lambda r: r.push(r.take(r.number("<I"))),
    ord("C"): lambda r: r.push(r.take(r.number("<B"))),
    0x8E: lambda r: r.push(r.take(r.number("<Q"))),
    0x96: lambda r: r.push(r.take(r.number("<Q"))),
    ord("]"): lambda r: r.push([]),
    ord("l"): lambda r: r.push(r.items()),
    ord("a"): _append,
    ord("e"): lambda r: r.extend(r.items()),
    ord(")"): lambda r: r.push(()),
    ord("t"): lambda r: r.push(tuple(r.items())),
    0x85: lambda r: _tuple(r, 1),
    0x86: lambda r: _tuple(r, 2),
    0x87: lambda r: _tuple(r, 3),
    ord("}"): lambda r: r.push({}),
    ord("d"): _dictionary,
    ord("s"): _set_item,
    ord("u"): lambda r: r.update(r.items()),
    0x8F: lambda r: r.push(set()),
    0x90: _add_items,
    0x91: lambda r: r.push(frozenset(plain(item) for item in r.items())),
    ord("p"): lambda r: _written_index(r, r.remember),
    ord("q"): lambda r: r.remember(r.number("<B")),
    ord("r"): lambda r: r.remember(r.number("<I")),
    0x94: lambda r: r.remember(len(r.memo)),
    ord("g"): lambda r: _written_index(r, r.recall),
    ord("h"): lambda r: r.recall(r.number("<B")),
    ord("j"): lambda r: r.recall(r.number("<I")),
    ord("c"): lambda r: r.name(r.line(), r.line()),
    0x93: _named_by_stack,
    ord("i"): _instance,
    ord("R"): _reduce,
    0x81: _reduce,  # NEWOBJ, an instance from a class and arguments: here the same as a call
    ord("b"): lambda r: r.build(),
    ord("P"): lambda r: r.persistent(r.line()),
    ord("Q"): lambda r: r.persistent(r.pop()),
    ord("o"): _never,
    0x82: _never,
    0x83: _never,
    0x84: _never,
    0x92: _never,
    0x97: _never,
}
