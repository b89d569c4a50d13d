"""The table of the factors: what each is, where it begins and ends. Needs no torch."""

from __future__ import annotations

from typing import Any

from pipeline import attributes
from pipeline.domains.synthface.factor_table import FACTOR_NAMES, FACTORS, Factor
from pipeline.domains.synthface.plain import in_units, plain_values


def rows() -> list[dict[str, Any]]:
    """One row per factor, in the order of the factor tensors.

    name, kind, low, high (in FFHQ's unit or in words), default (of the plain face, in [0, 1]), meaning, parts.
    """
    plain = dict(zip(FACTOR_NAMES, plain_values(), strict=True))
    return [
        {
            "factor": factor.name,
            "kind": factor.kind,
            "low": in_units(factor.name, 0) if factor.kind == "attribute" else factor.low,
            "high": in_units(factor.name, 1) if factor.kind == "attribute" else factor.high,
            "default": round(plain[factor.name], 3),
            "meaning": _meaning(factor),
            "parts": list(factor.parts),
        }
        for factor in FACTORS
    ]


def _meaning(factor: Factor) -> str:
    if factor.kind == "attribute":
        known = attributes.get(factor.name)
        return f"{known.meaning} ({known.kind})"
    return factor.meaning
