"""Settings as fields of dataclasses: a field declares its key of luigi.cfg, with section, bounds, unit and comment.

A field without a default is a key that the file must have. A field with one is a key that may be missing; the file that
comes with us has it all the same, with that default.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, TypeVar

from pipeline.settings.file import Section

KEY = "latentbench.key"  # of a field's metadata
Kind = TypeVar("Kind")
Reader = Callable[[Section, str], Any]


@dataclass(frozen=True)
class Key:
    """How a key is read, and what luigi.cfg says of it in the comment above.

    section: "protocol", "machine", ..., or "profile" and "domain" for [profile.NAME] and [domain.NAME]. bounds: the
    smallest and the largest value of a number, None for other keys.
    """

    section: str
    read: Reader
    meaning: str
    bounds: tuple[float, float] | None = None
    multiple: int = 1
    unit: str = ""

    @property
    def comment(self) -> str:
        """Meaning, bounds and unit in sentences."""
        if self.bounds is None:
            return self.meaning
        low, high = (f"{end:,.10g}" if end < 10**10 else f"{end:g}" for end in self.bounds)
        multiple = f", a multiple of {self.multiple}" if self.multiple > 1 else ""
        return f"{self.meaning} {f'From {low} to {high} {self.unit}'.rstrip()}{multiple}."


def key(section: str, read: Reader, meaning: str, *, default: Any = MISSING, **bounds: Any) -> Any:
    """A field that is a key of luigi.cfg, read by the function `read`; `bounds` are further fields of its `Key`."""
    metadata = {KEY: Key(section, read, meaning, **bounds)}
    return field(metadata=metadata) if default is MISSING else field(default=default, metadata=metadata)


def whole(
    section: str, meaning: str, low: int, high: int, *, unit: str = "", multiple: int = 1, default: Any = MISSING
) -> Any:
    """A whole number in [low, high], a multiple of `multiple`."""

    def read(of: Section, name: str) -> Any:
        return of.number(name, int, low, high, multiple=multiple)

    return key(section, read, meaning, default=default, bounds=(low, high), multiple=multiple, unit=unit)


def number(section: str, meaning: str, low: float, high: float, *, unit: str = "", default: Any = MISSING) -> Any:
    """A number in [low, high]."""

    def read(of: Section, name: str) -> Any:
        return of.number(name, float, low, high)

    return key(section, read, meaning, default=default, bounds=(low, high), unit=unit)


def rising(section: str, meaning: str, low: float, high: float) -> Any:
    """Rising numbers in [low, high], at least one."""

    def read(of: Section, name: str) -> Any:
        return of.rising(name, low, high)

    return key(section, read, f"{meaning} Rising.", bounds=(low, high))


def choice(section: str, meaning: str, options: Sequence[str], *, default: Any = MISSING) -> Any:
    """One of these words."""

    def read(of: Section, name: str) -> Any:
        return of.choice(name, options)

    return key(section, read, meaning, default=default)


def flag(section: str, meaning: str, *, default: bool) -> Any:
    """True or false."""

    def read(of: Section, name: str) -> Any:
        return of.flag(name, default)

    return key(section, read, meaning, default=default)


def text(section: str, meaning: str, *, expected: str = "", default: Any = MISSING) -> Any:
    """A text. With `expected`, the noun of error messages, it may not be empty."""

    def read(of: Section, name: str) -> Any:
        return of.some_text(name, expected) if expected else of.text(name)

    return key(section, read, meaning, default=default)


def declared(kind: type, section: str = "") -> dict[str, Field[Any]]:
    """The fields of a dataclass that are keys, of all sections or of one, by name."""
    return {
        entry.name: entry
        for entry in fields(kind)
        if KEY in entry.metadata and section in ("", entry.metadata[KEY].section)
    }


def read_keys(kind: type[Kind], sections: Mapping[str, Section], **values: Any) -> Kind:
    """The dataclass, its keys read from these sections; `values` are its other fields. Raises ConfigError."""
    for name, entry in declared(kind).items():
        section = sections[entry.metadata[KEY].section]
        section.asked.add(name)
        missing = name not in section.values and entry.default is not MISSING
        values[name] = entry.default if missing else entry.metadata[KEY].read(section, name)
    return kind(**values)
