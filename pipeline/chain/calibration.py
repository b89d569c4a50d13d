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
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.attributes import NAMES, index_of
from pipeline.chain.labels import labels_stage
from pipeline.chain.latents import latents_stage
from pipeline.chain.training import load_method, read_faces, train_stage
from pipeline.domains import base
from pipeline.domains.base import DomainCard
from pipeline.domains.microbatches import by_microbatch
from pipeline.errors import StageError
from pipeline.execution.shards import Progress, run_shards
from pipeline.methods.interface import Faces
from pipeline.settings.experiment import BATCH, Experiment
from pipeline.settings.settings import Settings
from pipeline.storage.stages import (
    Builder,
    Manifest,
    ShardRecord,
    Stage,
    building,
    is_complete,
    read_manifest,
    write_shard,
)
from pipeline.tables.parquet import read_stage, write_table
from pipeline.tables.schemas import RANGES

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.domains.base import Domain
    from pipeline.methods.interface import Method

VERSION = 1
FILE = "ranges.parquet"
DETECTOR, CAP, PLATEAU, NONE = "detector", "cap", "plateau", "none"
SHARES = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1.0)  # of the farthest strength, tried in this order
EXPONENTS = range(-12, 21)  # strengths 2^k, in any unit, between which displacements are looked for
HALVINGS = 16  # of such an interval
NO_EFFECT = 1e-4  # displacement, in mean distances, up to which an edit is none: above the noise of float32
STOPPED = 1.1  # where twice the strength moves by less than this factor, a method has all but stopped


@dataclass(frozen=True)
class RangeShard:
    """The calibration of one method for one attribute."""

    name: str
    method: str
    attribute: str


@dataclass(frozen=True)
class Limits:
    """One side's limits: strengths (N,), not signed, and what set each: detector, cap, plateau or none."""

    strengths: np.ndarray
    set_by: tuple[str, ...]


# The stage


def range_stage(settings: Settings, card: DomainCard, method: str, attribute: str) -> Stage:
    """The stage of one method's range for one evaluated attribute. Raises UnknownNameError."""
    experiment = settings.experiment
    index_of(attribute)
    parameters = {
        "method": method,
        "attribute": attribute,
        "found_share": experiment.found_share,
        "detection_threshold": experiment.detection_threshold,
        "displacement_cap": experiment.displacement_cap,
        "bisections": experiment.bisections,
        "batch": BATCH,
    }
    weights = {role: card.weights[role] for role in ("generator", "detector")}
    upstream = (
        train_stage(settings, card, method),
        latents_stage(settings, card, "faces"),
        labels_stage(settings, card, "faces"),
    )
    return Stage("range", VERSION, parameters, weights, upstream, label=f"{method}-{attribute}")


def run_range(settings: Settings, method: str, attributes: Sequence[str]) -> list[Manifest]:
    """Publish the ranges of a trained method for some attributes, in parallel over them, in their order.

    Raises BusyError, and what `shards.run_shards` raises.
    """
    card = base.describe(settings.domain)
    stages = [range_stage(settings, card, method, attribute) for attribute in attributes]
    with ExitStack() as held:
        builders: list[Builder] = []
        todo: list[RangeShard] = []
        for stage, attribute in zip(stages, attributes, strict=True):
            if is_complete(stage, settings.outputs):
                continue
            builder = held.enter_context(building(stage, settings))
            record = builder.finished(FILE)
            if builder.published() is None and record is not None:
                builder.publish([record])
            elif record is None:
                builders.append(builder)
                todo.append(RangeShard(f"{method}, {attribute}", method, attribute))
        _compute(settings, method, builders, todo)
    return [read_manifest(stage, settings.outputs) for stage in stages]


def _compute(settings: Settings, method: str, builders: Sequence[Builder], todo: Sequence[RangeShard]) -> None:
    records = run_shards(
        range_shard,
        todo,
        settings=settings,
        label=f"range {method}",
        units=[settings.experiment.n_faces] * len(todo),
        unit="faces",
    )
    for builder, record in zip(builders, records, strict=True):
        builder.publish([record])


def read_range(settings: Settings, method: str, attribute: str) -> dict[str, Any]:
    """The row of RANGES of a method and attribute. Raises StageError if it is not calibrated."""
    stage = range_stage(settings, base.describe(settings.domain), method, attribute)
    return read_stage(stage, settings.outputs, RANGES).to_pylist()[0]


def range_shard(settings: Settings, shard: RangeShard, progress: Progress) -> ShardRecord:
    """Calibrate and write one range; runs on a worker."""
    import torch

    started = time.perf_counter()
    domain = base.load(settings.domain, settings.machine.device, settings.experiment.precision)
    method = load_method(settings, shard.method)
    with torch.inference_mode():
        ids, faces = read_faces(settings, domain)
        row = calibrate(domain, method, shard.attribute, ids, faces, settings.experiment, progress)

    def write(path: Path) -> int:
        return write_table({name: [row[name]] for name in RANGES.names}, RANGES, path)

    stage = range_stage(settings, domain.card, shard.method, shard.attribute)
    return write_shard(stage.folder(settings.outputs), FILE, write, seconds=time.perf_counter() - started)


# The rule


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
    editor = _Editor(domain, method, index_of(attribute), faces, experiment)
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


class _Editor:
    """A method's edits of some faces for one attribute: how far they move, and whether a face is still found.

    Strengths are (M,) signed float64, of the faces at `rows` (M,).
    """

    def __init__(self, domain: Domain, method: Method, column: int, faces: Faces, experiment: Experiment) -> None:
        self.domain, self.method, self.column, self.faces = domain, method, column, faces
        self.exact = method.exact_identity  # then the edit of strength 0 is the code itself
        self.cap = experiment.displacement_cap
        self.bisections = experiment.bisections
        self.threshold = experiment.detection_threshold

    def edit(self, strengths: np.ndarray, rows: np.ndarray) -> Tensor:
        import torch

        faces = self.faces[rows]
        vectors = faces.ws.new_zeros(len(rows), len(NAMES))
        vectors[:, self.column] = torch.from_numpy(strengths).to(vectors)
        return self.method.edit_faces(faces, vectors)

    def found_unedited(self) -> np.ndarray:
        """Whether the detector finds a face in each unedited image, (N,) bool."""
        rows = np.arange(len(self.faces.ws))
        return _in_batches(lambda _, rows: self._look(self.faces.ws[rows]), np.zeros(len(rows)), rows)

    def found(self, strengths: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Whether the detector finds a face in each edit, (M,) bool. One image each."""
        return _in_batches(lambda strengths, rows: self._look(self.edit(strengths, rows)), strengths, rows)

    def _look(self, ws: Tensor) -> np.ndarray:
        def see(rows: slice) -> np.ndarray:
            images = self.domain.generator.synthesis(ws[rows]).clamp(-1.0, 1.0)
            return self.domain.detector.detect(images, threshold=self.threshold).found.cpu().numpy()

        return np.concatenate(by_microbatch(self.domain, see, len(ws)))

    def moved(self, strengths: np.ndarray, rows: np.ndarray, *, from_no_edit: bool = False) -> np.ndarray:
        """||w' - w||, or with `from_no_edit` the distance to the edit of strength 0, (M,) float64.

        Root mean square over the layers, in mean distances of two random w; infinite where it is not a number.
        """

        def measure(strengths: np.ndarray, rows: np.ndarray) -> np.ndarray:
            edited = self.edit(strengths, rows)
            origin = self.edit(np.zeros(len(rows)), rows) if from_no_edit else self.faces.ws[rows]
            length = (edited - origin).double().norm(dim=2).square().mean(dim=1).sqrt() / self.domain.mean_distance
            return length.nan_to_num(nan=math.inf).cpu().numpy()

        return _in_batches(measure, strengths, rows)


def _in_batches(
    function: Callable[[np.ndarray, np.ndarray], np.ndarray], strengths: np.ndarray, rows: np.ndarray
) -> np.ndarray:
    cuts = [slice(start, start + BATCH) for start in range(0, len(rows), BATCH)]
    return np.concatenate([function(strengths[cut], rows[cut]) for cut in cuts])


def _side_limits(editor: _Editor, kept: np.ndarray, progress: Progress) -> tuple[Limits, Limits]:
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


def _farthest(editor: _Editor, signs: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
    for _ in range(HALVINGS):
        middle = (inside + outside) / 2
        out = beyond(middle)
        inside, outside = np.where(out, inside, middle), np.where(out, middle, outside)
    return np.where(reasons == PLATEAU, outside, inside), np.where(reached.any(axis=0), reasons, NONE)


def _at(table: np.ndarray, first: np.ndarray) -> np.ndarray:
    """Row first[j] of each column j."""
    return table[first, np.arange(table.shape[1])]


def _bracketed(
    editor: _Editor, signs: np.ndarray, rows: np.ndarray, farthest: np.ndarray, reasons: np.ndarray, progress: Progress
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
    editor: _Editor,
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
