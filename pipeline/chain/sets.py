"""Sets of latents: which ids each has, and the z behind them. Only the sets of faces share ids."""

from __future__ import annotations

import numpy as np

from pipeline.errors import StageError, UnknownNameError
from pipeline.settings.settings import Settings
from stylegan.sampling import draw_z

SETS = ("train", "faces", "reference", "matched", "rates")
FACES = ("faces", "matched", "rates")  # sets of faces that are edited: sampled, or inverted photographs
LABELLED = ("train", *FACES)
NAMING = "naming"  # codes that directions are named on: few, so that they are computed where they are wanted


def id_range(settings: Settings, which: str) -> tuple[int, int]:
    """First id and number of ids of the set "train", "faces", "reference", "matched", "rates" or "naming".

    "matched" and "rates" begin with the very faces of "faces", and may go on beyond them. Raises UnknownNameError.
    """
    experiment = settings.experiment
    ranges = {
        "train": (0, experiment.n_latents),
        "faces": (experiment.first_face_id, experiment.n_faces),
        "reference": (experiment.first_reference_id, experiment.n_reference),
        "matched": (experiment.first_face_id, experiment.n_matched_faces),
        "rates": (experiment.first_face_id, experiment.n_rate_faces),
        NAMING: (experiment.first_naming_id, experiment.n_naming_codes),
    }
    if which not in ranges:
        raise UnknownNameError("set of latents", which, ranges)
    return ranges[which]


def is_inverted(settings: Settings, which: str) -> bool:
    """Whether a set holds the codes of inverted photographs instead of sampled ones."""
    return which in FACES and bool(settings.experiment.faces_sha256)


def z_of(settings: Settings, which: str, rows: np.ndarray) -> np.ndarray:
    """z (M, 512) float32 of the latents at `rows` (M,) of a set, counted from 0.

    Raises UnknownNameError, and StageError for inverted photographs, which have none.
    """
    if is_inverted(settings, which):
        raise StageError(f"The codes of {which} are those of photographs: no z is known of them.")
    return draw_z(settings.experiment.seed, id_range(settings, which)[0] + np.asarray(rows, dtype=np.int64))
