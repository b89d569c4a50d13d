"""Edits made of numbers drawn at random, in the tables' own schemas.

Tables cannot be changed, so that a process draws each once.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.attributes import EVALUATED, NAMES, index_of
from pipeline.tables.schemas import (
    CHANGE_COLUMNS,
    CONSISTENCY,
    EDITS,
    MATCHED,
    RANGES,
    RATES,
    RESCORING,
    VALUE_COLUMNS,
)

METHODS = ("interfacegan", "l2l", "random", "noop")
CAPS = {"interfacegan": 1.1, "l2l": 0.9, "random": 1.4, "noop": 0.0}
UNITS = {"l2l": "difference of the attribute's value", "noop": "nothing"}
LEVELS = (0.5, 1.0, 1.5, 2.0)


def strengths(method: str, n_steps: int) -> np.ndarray:
    """The steps of a method's range."""
    return np.linspace(-CAPS.get(method, 1.0), CAPS.get(method, 1.0), n_steps)


@cache
def edits(methods: tuple[str, ...] = METHODS, n_faces: int = 6, n_steps: int = 5, seed: int = 0) -> pa.Table:
    """EDITS whose identity distance grows with the square of the strength, at a pace of the method's own."""
    rng = np.random.default_rng(seed)
    columns: dict[str, list[Any]] = {name: [] for name in EDITS.names}
    for place, method in enumerate(methods):
        for attribute in EVALUATED:
            pace = rng.uniform(0.2, 0.6) * (0 if method == "noop" else 1)
            effect = rng.uniform(0.2, 0.5) * {"noop": 0, "random": 0.15}.get(method, 1)
            for face in range(n_faces):
                start = rng.uniform(0.2, 0.8)
                for step, strength in enumerate(strengths(method, n_steps)):
                    values = np.clip(rng.uniform(0, 1, len(VALUE_COLUMNS)), 0, 1)
                    values[index_of(attribute)] = np.clip(start + effect * strength, 0, 1)
                    identity = pace * strength**2 * (0.7 + 0.1 * place)
                    found = abs(strength) < 1 or rng.uniform() > 0.1
                    row = {
                        "method": method,
                        "attribute": attribute,
                        "face_id": 256000 + face,
                        "step": step,
                        "strength": float(strength),
                        "displacement": abs(float(strength)),
                        "detected": bool(found),
                        "probability": 0.99 if found else 0.0,
                        "box_left": 4.0,
                        "box_top": 4.0,
                        "box_right": 60.0,
                        "box_bottom": 60.0,
                        "start_value": start,
                        "identity_mtcnn": identity,
                        "identity_recognizer_a": 0.8 * identity,
                        "identity_recognizer_b": 1.2 * identity,
                        "true_identity_distance": 0.9 * identity,
                        "true_identity_error": 0.3,
                        "lpips": 0.5 * identity,
                        "ssim": 1 - 0.5 * identity,
                        "local_share": 0.6 if identity and attribute not in ("pitch", "yaw") else None,
                        "parts_area": 0.3 if identity and attribute not in ("pitch", "yaw") else None,
                        **dict(zip(VALUE_COLUMNS, map(float, values), strict=True)),
                    }
                    for name, value in row.items():
                        columns[name].append(value)
    return pa.table(columns, schema=EDITS)


@cache
def ranges(methods: tuple[str, ...] = METHODS, n_faces: int = 6) -> pa.Table:
    """RANGES of those edits."""
    rows = []
    for method in methods:
        for attribute in EVALUATED:
            reach = CAPS.get(method, 1.0)
            set_by = {"noop": "none", "random": "cap"}.get(method, "detector")
            rows.append(
                {
                    "method": method,
                    "attribute": attribute,
                    "unit": UNITS.get(method, "mean distance of two random w"),
                    "low": -reach,
                    "high": reach,
                    "low_set_by": set_by,
                    "high_set_by": "plateau" if attribute == "yaw" and set_by == "detector" else set_by,
                    "cap": 1.5,
                    "found_share": 0.95,
                    "n_faces": n_faces,
                    "face_ids": list(range(256000, 256000 + n_faces)),
                    "face_low": [-reach] * n_faces,
                    "face_high": [reach] * n_faces,
                    "value_bounded": method == "l2l",
                }
            )
    return pa.Table.from_pylist(rows, schema=RANGES)


@cache
def rates(methods: tuple[str, ...] = METHODS, n_faces: int = 4, seed: int = 0) -> pa.Table:
    """RATES whose labels flip at the strengths over one half; noop's never do."""
    rows = [
        {
            "method": method,
            "attribute": attribute,
            "face_id": 256000 + face,
            "strength_index": index,
            "strength": index / 4,
            "label": False,
            "displacement": index / 8,
            "detected": True,
            "flipped": index > 2 and method != "noop",
            "preserved": 1 - index / 20,
            "identity_recognizer_b": index / 10,
            "largest_accepted_distance": 0.25,
            "accepted": index <= 2,
        }
        for method in methods
        for attribute in EVALUATED
        for face in range(n_faces)
        for index in range(1, 5)
    ]
    return pa.Table.from_pylist(rows, schema=RATES)


@cache
def consistency(methods: tuple[str, ...] = METHODS, n_faces: int = 3, seed: int = 0) -> pa.Table:
    """CONSISTENCY at random."""
    rng = np.random.default_rng([seed, 8])
    known = {"method", "face_id", "attributes", "strengths", "carried"}
    rows = [
        {
            "method": method,
            "carried": "values" if method == "l2l" else None,
            "face_id": 256000 + face,
            "attributes": ["age", "beard", "yaw"],
            "strengths": [1.0, 2.0, 3.0],
        }
        | {name: float(rng.uniform(0, 0.3)) for name in CONSISTENCY.names if name not in known}
        for method in methods
        for face in range(n_faces)
    ]
    return pa.Table.from_pylist(rows, schema=CONSISTENCY)


@cache
def matched(methods: tuple[str, ...] = METHODS, n_faces: int = 4, seed: int = 0) -> pa.Table:
    """MATCHED whose edits move their own attribute by the level and the others at random; noop's reach nothing."""
    rng = np.random.default_rng([seed, 6])
    rows: list[dict[str, Any]] = []
    for method in methods:
        for attribute in EVALUATED:
            for face in range(n_faces):
                for direction in (1, -1):
                    for level in LEVELS:
                        reached = method != "noop"
                        row: dict[str, Any] = {
                            "method": method,
                            "attribute": attribute,
                            "face_id": 256000 + face,
                            "direction": direction,
                            "level": level,
                            "reached": reached,
                            "unreached": None if reached else "weak",
                            "tolerance": 0.05,
                        }
                        if reached:
                            changes = rng.normal(0, 0.2, len(NAMES))
                            changes[index_of(attribute)] = direction * level
                            own = {"strength": 0.3 * direction * level, "displacement": 0.3 * level, "detected": True}
                            own |= {"change_a": direction * level, "change_b": direction * level}
                            own |= dict.fromkeys(("identity_mtcnn", "identity_recognizer_b", "lpips"), 0.1 * level)
                            row |= own | dict(zip(CHANGE_COLUMNS, map(float, changes), strict=True))
                        rows.append(row)
    return pa.Table.from_pylist(rows, schema=MATCHED)


@cache
def rescoring(methods: tuple[str, ...] = METHODS, seed: int = 0) -> pa.Table:
    """RESCORING: the edited attribute moves by the level, the one after it by half of that, no other."""
    rows = []
    for method in methods:
        for attribute in EVALUATED:
            for direction in (1, -1):
                for level in LEVELS:
                    for column, scored in enumerate(NAMES):
                        beside = column - index_of(attribute)
                        change = direction * level * {0: 1.0, 1: 0.5}.get(beside, 0.0)
                        none = method == "noop"
                        rows.append(
                            {
                                "method": method,
                                "attribute": attribute,
                                "direction": direction,
                                "level": level,
                                "scored_attribute": scored,
                                "network": "scorer_b",
                                "change": None if none else change,
                                "ci_low": None if none else change - 0.1,
                                "ci_high": None if none else change + 0.1,
                                "n_faces": 0 if none else 4,
                            }
                        )
    return pa.Table.from_pylist(rows, schema=RESCORING)
