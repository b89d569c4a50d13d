"""Ranges: the smallest and largest strength of a method for an attribute at which a face is still found.

The protocol of Khodadadeh et al., "Latent to Latent", WACV 2022: for each method and attribute, the smallest and
the largest value at which MTCNN finds a face. The paper does not say how faces share a range; ours:

1. A face that the detector does not find unedited is left out.
2. Each face and side has a farthest strength: that at which ||w' - w|| reaches the cap; or, for a method that stops
   moving before, that from which twice the strength moves less than a tenth further ("plateau"). Found without images.
3. Outward from 0, at 1/16, 1/8, 1/4, 1/2 and 1 of the farthest strength, the first edit in which the detector finds no
   face brackets the face's limit, and `bisections` halvings narrow it: the limit is the strong end at which the face
   was still found. Steps are shares of a displacement, so that a method's native unit does not matter.
4. The range ends at the largest strength up to which at least `found_share` of the faces have their limit or more. One
   face may always be lost unless the share is 1: of fewer than twenty, the frailest would else set every range.

A method without effect gets the range [-1, 1], set by "none".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.chain.editor import Editor, halved
from pipeline.chain.views import see_batches, synthesise
from pipeline.errors import StageError
from pipeline.execution.jobs import Progress
from pipeline.settings.experiment import BATCH, Experiment

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.domains.base import Domain
    from pipeline.methods.interface import Faces, Method

DETECTOR, CAP, PLATEAU, NONE = "detector", "cap", "plateau", "none"
SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)  # of the farthest strength, tried in this order
EXPONENTS = range(-12, 21)  # strengths 2^k, in any unit, between which displacements are looked for
HALVINGS = 16  # of such an interval
NO_EFFECT = 1e-4  # displacement, in mean distances, up to which an edit is none: above the noise of float32
STOPPED = 1.1  # where twice the strength moves by less than this factor, a method has all but stopped


@dataclass(frozen=True)
class Limits:
    """One side's limits: strengths (N,), not signed, and what set each: detector, cap, plateau or none."""

    strengths: np.ndarray
    set_by: tuple[str, ...]


def calibrate(
    domain: Domain,
    method: Method,
    attribute: str,
    ids: np.ndarray,
    faces: Faces,
    experiment: Experiment,
    progress: Progress,
) -> dict[str, Any]:
    """The row of RANGES of a method and attribute on these faces.

    Raises StageError if the detector finds none of them unedited.
    """
    editor = _Calibrated(domain, method, faces, attribute, experiment)
    usable = editor.found_unedited()
    if not usable.any():
        raise StageError(
            f"range of {method.name}, {attribute}: the detector finds a face in none of the {len(ids)} unedited "
            f"faces at probability {experiment.detection_threshold:g}: there is nothing to calibrate on. "
            "See [protocol] detection_threshold."
        )
    kept = np.flatnonzero(usable)
    low, high = _side_limits(editor, kept, progress)
    low_end, low_set_by = shared_limit(low, experiment.found_share)
    high_end, high_set_by = shared_limit(high, experiment.found_share)
    return {
        "method": method.name,
        "attribute": attribute,
        "unit": method.unit,
        "low": -low_end,
        "high": high_end,
        "low_set_by": low_set_by,
        "high_set_by": high_set_by,
        "cap": experiment.displacement_cap,
        "found_share": faces_needed(len(kept), experiment.found_share) / len(kept),
        "n_faces": len(kept),
        "face_ids": ids[kept].tolist(),
        "face_low": (-low.strengths).tolist(),
        "face_high": high.strengths.tolist(),
        "value_bounded": method.value_bounded,
    }


def faces_needed(count: int, found_share: float) -> int:
    """How many of `count` faces must still be found: the share, rounded up; of few, all but one, unless it is 1."""
    needed = math.ceil(found_share * count - 1e-9)
    return max(1, min(needed, count - 1) if found_share < 1 else needed)


def shared_limit(limits: Limits, found_share: float) -> tuple[float, str]:
    """The largest strength up to which at least `found_share` of the faces have their limit, and what set it."""
    needed = faces_needed(len(limits.strengths), found_share)
    order = np.argsort(-limits.strengths, kind="stable")
    last = int(order[needed - 1])
    return float(limits.strengths[last]), limits.set_by[last]


class _Calibrated(Editor):
    """Edits as calibration looks at them: how far they move, and whether a face is still found."""

    def __init__(self, domain: Domain, method: Method, faces: Faces, attribute: str, experiment: Experiment) -> None:
        super().__init__(domain, method, faces, attribute)
        self.exact = method.exact_identity  # then the edit of strength 0 is the code itself
        self.cap = experiment.displacement_cap
        self.bisections = experiment.bisections
        self.threshold = experiment.detection_threshold

    def found_unedited(self) -> np.ndarray:
        """Whether the detector finds a face in each unedited image, (N,) bool."""
        return self._found(len(self.faces.ws), lambda rows: self.faces.ws[rows])

    def found(self, strengths: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Whether the detector finds a face in each edit, (M,) bool. One image each."""
        return self._found(len(rows), lambda batch: self.edit(strengths[batch], rows[batch]))

    def _found(self, count: int, make: Callable[[slice], Tensor]) -> np.ndarray:
        def see(ws: Tensor, rows: slice) -> np.ndarray:
            images = synthesise(self.domain, ws[rows])
            return self.domain.detector.detect(images, threshold=self.threshold).found.cpu().numpy()

        return np.concatenate(see_batches(self.domain, count, make, see))

    def moved(self, strengths: np.ndarray, rows: np.ndarray, *, from_no_edit: bool = False) -> np.ndarray:
        """||w' - w||, or with `from_no_edit` the distance to the edit of strength 0, (M,) float64.

        Root mean square over the layers, in mean distances of two random w; infinite where it is not a number.
        """

        def measure(batch: slice) -> np.ndarray:
            edited, own = self.edit(strengths[batch], rows[batch]), rows[batch]
            origin = self.edit(np.zeros(len(own)), own) if from_no_edit else self.faces.ws[own]
            length = (edited - origin).double().norm(dim=2).square().mean(dim=1).sqrt() / self.domain.mean_distance
            return length.nan_to_num(nan=math.inf).cpu().numpy()

        return np.concatenate([measure(slice(start, start + BATCH)) for start in range(0, len(rows), BATCH)])


def _side_limits(editor: _Calibrated, kept: np.ndarray, progress: Progress) -> tuple[Limits, Limits]:
    """Limits of the faces at `kept` (N,) below and above zero: both sides are searched at once."""
    rows = np.concatenate([kept, kept])
    signs = np.repeat([-1.0, 1.0], len(kept))
    farthest, reasons = _farthest(editor, signs, rows)
    limits, lost = _bracketed(editor, signs, rows, farthest, reasons, progress)
    set_by = np.where(lost, DETECTOR, reasons)
    half = len(kept)
    return _filled(limits[:half], set_by[:half]), _filled(limits[half:], set_by[half:])


def _filled(limits: np.ndarray, set_by: np.ndarray) -> Limits:
    """Faces on which the method has no effect take the largest limit of the others, or 1 where there is none."""
    still = set_by == NONE
    ceiling = limits[~still].max() if not still.all() else 1.0
    return Limits(np.where(still, ceiling, limits), tuple(str(reason) for reason in set_by))


def _farthest(editor: _Calibrated, signs: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The farthest strength (M,) of each face and side, not signed, and what sets it: cap, plateau or none."""
    grid = np.array([2.0**exponent for exponent in EXPONENTS])
    total = np.stack([editor.moved(signs * strength, rows) for strength in grid])
    own = total if editor.exact else np.stack([editor.moved(signs * s, rows, from_no_edit=True) for s in grid])
    with np.errstate(invalid="ignore"):
        stops = np.vstack([own[1:] < STOPPED * own[:-1], np.ones((1, len(rows)), bool)]) & (own > NO_EFFECT)
    far = total >= editor.cap
    reached = far | stops
    first = reached.argmax(axis=0)
    reasons = np.where(_at(far, first), CAP, PLATEAU)

    def beyond(strengths: np.ndarray) -> np.ndarray:
        length = editor.moved(signs * strengths, rows)
        capped = length >= editor.cap
        once = length if editor.exact else editor.moved(signs * strengths, rows, from_no_edit=True)
        twice = editor.moved(signs * 2 * strengths, rows, from_no_edit=True)
        return np.where(reasons == CAP, capped, (twice < STOPPED * once) & (once > NO_EFFECT))

    inside, outside = np.where(first > 0, grid[first - 1], 0.0), grid[first]
    inside, outside = halved(inside, outside, beyond, HALVINGS)
    return np.where(reasons == PLATEAU, outside, inside), np.where(reached.any(axis=0), reasons, NONE)


def _at(table: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Row first[j] of each column j."""
    return table[first, np.arange(table.shape[1])]


def _bracketed(
    editor: _Calibrated,
    signs: np.ndarray,
    rows: np.ndarray,
    farthest: np.ndarray,
    reasons: np.ndarray,
    progress: Progress,
) -> tuple[np.ndarray, np.ndarray]:
    """Limits (M,), not signed, and whether the detector set them. Each round makes one image per open face and side."""
    rounds = len(SHARES) + editor.bisections
    limits, lost_at = np.zeros(len(rows)), np.full(len(rows), math.nan)
    for done, share in enumerate(SHARES):
        open_ = np.flatnonzero(np.isnan(lost_at) & (reasons != NONE))
        _try(editor, signs, rows, farthest * share, open_, limits, lost_at)
        progress(done + 1, rounds, "")
    lost = ~np.isnan(lost_at)
    for done in range(editor.bisections):
        _try(editor, signs, rows, (limits + lost_at) / 2, np.flatnonzero(lost), limits, lost_at)
        progress(len(SHARES) + done + 1, rounds, "")
    return limits, lost


def _try(
    editor: _Calibrated,
    signs: np.ndarray,
    rows: np.ndarray,
    strengths: np.ndarray,
    open_: np.ndarray,
    limits: np.ndarray,
    lost_at: np.ndarray,
) -> None:
    """Edit the open faces and move one end of each one's bracket: `limits` if it is found, else `lost_at`."""
    if not len(open_):
        return
    found = editor.found((signs * strengths)[open_], rows[open_])
    limits[open_[found]] = strengths[open_[found]]
    lost_at[open_[~found]] = strengths[open_[~found]]
