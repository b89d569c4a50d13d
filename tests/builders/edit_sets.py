"""Edit sets with known answers, for the tests of metrics."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.attributes import NAMES, index_of
from pipeline.metrics.base import EditSet, MatchedSet, Reference, Splits
from pipeline.statistics.bootstrap import Bootstrap


def edit_set(
    *,
    faces: int = 12,
    steps: int = 5,
    attributes: tuple[str, ...] = ("age",),
    width: int = 8,
    classes: int = 4,
    **given: Any,
) -> EditSet:
    """Every image detected, no distance, no change; `given` replaces columns or, by name, parts of the set."""
    shape = (len(attributes), faces, steps)
    count = int(np.prod(shape))
    attribute, face, step = (index.ravel() for index in np.indices(shape))
    rng = np.random.default_rng(0)
    columns: dict[str, Any] = {
        "attribute": np.array(attributes)[attribute],
        "face_id": face.astype(np.int64) + 1000,
        "step": step.astype(np.int32),
        "strength": np.linspace(-1, 1, steps)[step],
        "detected": np.ones(count, dtype=bool),
        "edited_value": np.full(count, 0.5, np.float32),
        "identity_mtcnn": np.zeros(count, np.float32),
        "identity_recognizer_a": np.zeros(count, np.float32),
        "identity_recognizer_b": np.zeros(count, np.float32),
        "true_identity_distance": np.zeros(count, np.float32),
        "true_identity_error": np.full(count, 0.3, np.float32),
        "lpips": np.zeros(count, np.float32),
        "ssim": np.ones(count, np.float32),
        "local_share": np.full(count, 0.6, np.float32),
        "parts_area": np.full(count, 0.2, np.float32),
    }
    parts: dict[str, Any] = {
        "features": rng.normal(size=(count, width)).astype(np.float32),
        "logits": rng.normal(size=(count, classes)).astype(np.float32),
        "originals": np.random.default_rng(1).normal(size=(faces, width)).astype(np.float32)[face],
        "reference": Reference(
            rng.normal(size=(400, width)).astype(np.float32), rng.normal(size=(400, classes)).astype(np.float32)
        ),
        "timings": {"seconds_per_edit": np.full(9, 0.5), "seconds_per_edit_and_synthesis": np.full(9, 2.0)},
        "bootstrap": Bootstrap(100),
        "splits": Splits(10, 50, 4),
    }
    columns |= {name: given.pop(name) for name in list(given) if name not in parts}
    name = attributes[0] if len(attributes) == 1 else "all"
    return EditSet(method="noop", attribute=name, columns=columns, **(parts | given))


def matched_set(
    *,
    faces: int = 12,
    attribute: str = "age",
    level: float = 1.0,
    others: dict[str, float] | None = None,
    reached: np.ndarray | None = None,
    **columns: np.ndarray,
) -> MatchedSet:
    """Edits up and down that move their attribute by the level, the `others` by so many times that, and nothing else.

    `reached` (2 faces,) says which of the changes were reached: of face 0 up and down, face 1 up and down, ...
    """
    face, direction = np.repeat(np.arange(faces), 2) + 1000, np.tile([1, -1], faces)
    kept = np.ones(2 * faces, bool) if reached is None else reached
    changes = np.zeros((2 * faces, len(NAMES)), np.float32)
    changes[:, index_of(attribute)] = level * direction
    for name, share in (others or {}).items():
        changes[:, index_of(name)] = share * level * direction
    zero = np.zeros(2 * faces, np.float32)
    table: dict[str, np.ndarray] = {
        "attribute": np.array([attribute] * 2 * faces),
        "face_id": face,
        "direction": direction,
        "change_b": changes[:, index_of(attribute)],
        "detected": np.ones(2 * faces, bool),
        **dict.fromkeys(("identity_mtcnn", "identity_recognizer_a", "identity_recognizer_b", "lpips"), zero),
        "true_identity_distance": zero,
        "true_identity_error": zero + np.float32(0.3),
        "ssim": zero + 1,
    } | columns
    return MatchedSet(
        method="noop",
        attribute=attribute,
        columns={name: column[kept] for name, column in table.items()},
        bootstrap=Bootstrap(100),
        level=level,
        changes=changes[kept],
        targets=np.full(int(kept.sum()), index_of(attribute)),
        all_faces=face,
        all_reached=kept,
    )
