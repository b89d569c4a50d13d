"""The plain face from which every portrait starts, as numbers, and the units of factors. Needs no torch."""

from __future__ import annotations

from pipeline import attributes
from pipeline.domains.synthface.factor_table import FACTOR_NAMES
from pipeline.domains.synthface.marginals import median

UNITS = {"degree": "°", "year": " years"}

# Factors of the plain face that are not at the median: seen from the front, at rest, a clean picture.
PLAIN: dict[str, float] = {
    "pitch": 0.5,
    "roll": 0.5,
    "yaw": 0.5,
    "smile": 0.0,
    "blur": 0.0,
    "noise": 0.0,
    "mouth_opening": 0.0,
}


def plain_values() -> list[float]:
    """The factors (N_FACTORS) of the plain face; `portrait.plain_face` says what they are."""
    return [PLAIN.get(name, median(name) if name in attributes.INDEX else 0.5) for name in FACTOR_NAMES]


def in_units(name: str, value: float) -> str:
    """A factor's value in [0, 1], converted to FFHQ's unit; without a unit the value itself.

    >>> in_units("age", 0.8), in_units("smile", 0.8)
    ('60 years', '0.8')
    """
    unit = unit_of(name)
    if not unit:
        return f"{value:.3g}"
    limits = attributes.get(name)
    return f"{limits.low + (limits.high - limits.low) * value:.3g}{unit}"


def unit_of(name: str) -> str:
    """The unit of a factor, as written after a value; empty for one without."""
    return UNITS.get(attributes.get(name).unit, "") if name in attributes.INDEX else ""
