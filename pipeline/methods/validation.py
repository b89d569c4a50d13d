"""Checks of a method's settings. The error names the section and the key; `registry.build` adds the file.

>>> from pipeline.methods import validation
>>> validation.whole("l2l", "layers", 4, 1, 64)
4
>>> validation.number("l2l", "threshold", 0.9, 0.0, 0.5)
Traceback (most recent call last):
    ...
pipeline.errors.ConfigError: [method.l2l] threshold: expected a number from 0 to 0.5, found 0.9.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from pipeline.attributes import EVALUATED, NAMES, index_of
from pipeline.errors import ConfigError, UnknownNameError


def whole(method: str, key: str, value: object, low: int, high: int) -> int:
    """`value` as a whole number in [low, high]. Raises ConfigError."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise _fault(method, key, f"a whole number from {low} to {high}", value)
    return value


def number(method: str, key: str, value: object, low: float, high: float, *, above: bool = False) -> float:
    """`value` as a finite number in [low, high], or in (low, high] if `above`. Raises ConfigError."""
    fits = (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and low <= value <= high
        and not (above and value == low)
    )
    if not fits:
        raise _fault(method, key, f"a number {'above' if above else 'from'} {low:g} to {high:g}", value)
    return float(value)  # type: ignore[arg-type]


def flag(method: str, key: str, value: object) -> bool:
    """`value` as true or false. Raises ConfigError."""
    if not isinstance(value, bool):
        raise _fault(method, key, "true or false", value)
    return value


def choice(method: str, key: str, value: object, options: Sequence[str]) -> str:
    """`value` as one of these words. Raises ConfigError."""
    if not isinstance(value, str) or value not in options:
        raise _fault(method, key, " or ".join(options), value)
    return value


def attribute_list(method: str, key: str, value: object, *, also: Iterable[str] = ()) -> str:
    """`value` as attribute names separated by commas, possibly none, or one of the words in `also`.

    An attribute that is named twice, or by both of its names, is kept once. Raises ConfigError with the closest known
    name.

    >>> attribute_list("interfacegan", "conditions", "age, expression, smile")
    'age, expression'
    """
    if not isinstance(value, str):
        raise _fault(method, key, "names separated by commas", value)
    if value.strip() in tuple(also):
        return value.strip()
    names: dict[int, str] = {}
    for name in split_names(value):
        try:
            names.setdefault(index_of(name), name)
        except UnknownNameError:
            error = UnknownNameError("attribute", name, (*also, *EVALUATED, *NAMES))
            raise ConfigError(f"[method.{method}] {key}: {error}") from None
    return ", ".join(names.values())


def split_names(text: str) -> tuple[str, ...]:
    """The names in a text, separated by commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _fault(method: str, key: str, expected: str, found: object) -> ConfigError:
    return ConfigError(f"[method.{method}] {key}: expected {expected}, found {found!r}.")
