"""The split into training and validation, by a hash: it does not depend on the order or on the other faces."""

from __future__ import annotations

import numpy as np

from pipeline.errors import LabelsError
from pipeline.scorer_training.labels import Labels
from pipeline.storage.fingerprint import bytes_sha256

TRAINING, VALIDATION, NEITHER = 0, 1, 2
LEAST_TRAINING, LEAST_VALIDATION = 32, 16  # smallest numbers of faces


def split(labels: Labels, seed: int, share: float) -> np.ndarray:
    """The part of each face, (N,) int8: TRAINING, VALIDATION or NEITHER.

    The source's partition is used if there is one. Otherwise a group validates if sha256 of "seed:group", as a number
    in [0, 1), is below `share`.
    """
    if labels.parts is not None:
        return labels.parts
    drawn = {group: _hash_number(seed, group) for group in set(labels.groups)}
    return np.array([drawn[group] < share for group in labels.groups], dtype=np.int8)


def check_sizes(parts: np.ndarray) -> None:
    """Raise LabelsError if the training part or the validation part is too small."""
    for part, name, least in (
        (TRAINING, "training", LEAST_TRAINING),
        (VALIDATION, "validation", LEAST_VALIDATION),
    ):
        count = int((parts == part).sum())
        if count < least:
            raise LabelsError(
                f"The {name} part has {count} of {len(parts)} faces, expected at least {least}. "
                "Bring more faces, or choose another --validation-share or --seed."
            )


def rule(labels: Labels, share: float) -> str:
    """The rule of the split, in words."""
    if labels.parts is not None:
        return "the partition of the source: 0 trains, 1 validates, 2 is not used"
    by = "identity" if labels.grouped_by == "identity" else "picture"
    return f"by {by}: sha256 of seed:{by}, as a number in [0, 1), below {share:g} validates"


def _hash_number(seed: int, group: str) -> float:
    return int(bytes_sha256(f"{seed}:{group}".encode(errors="surrogateescape"))[:16], 16) / 2**64
