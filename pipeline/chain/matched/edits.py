"""Edits at matched change: every face moved, up and down, by the same amount of its edited attribute, then measured.

A method that hardly edits keeps the identity, so methods are compared where they edit equally far (Wu et al.,
"StyleSpace Analysis", CVPR 2021). For every face, attribute, direction and level the strength is searched at which the
attribute's logit by scorer A has moved by that many standard deviations of it (`pipeline.chain.spread`), along both
signs of strength, as far as the largest of the calibrated faces' own limits and no farther than the cap on displacement
(`pipeline.chain.matched.search`). The images there are measured by the very code that measures `edits`; scorer B
reports the changes. What cannot be reached keeps its row, which says why.

Shards are blocks of faces of one attribute, whose limits are fixed, so that batches, and every bit, are the same on any
number of workers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from pipeline.attributes import index_of
from pipeline.chain.calibration import HALVINGS, read_range
from pipeline.chain.face_blocks import FaceBlock, blocks, upstream, write_block
from pipeline.chain.matched.search import Targets, find_crossings
from pipeline.chain.spread import Spread, read_spread
from pipeline.chain.views import (
    VIEW_ROLES,
    VIEW_ROLES_OF_SOME,
    compare_views,
    displacement,
    look,
    look_at_codes,
    strength_vectors,
    synthesise,
)
from pipeline.domains import base
from pipeline.domains.base import DomainCard
from pipeline.domains.microbatches import by_microbatch
from pipeline.execution.shards import Progress, run_stage
from pipeline.settings.experiment import BATCH
from pipeline.settings.settings import Settings
from pipeline.statistics.units import LARGEST_LOGIT, logits_of
from pipeline.storage.stages import Manifest, ShardRecord, Stage
from pipeline.tables.parquet import value_columns
from pipeline.tables.schemas import CHANGE_COLUMNS, MATCHED

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.domains.base import Domain
    from pipeline.methods.interface import Faces, Method

VERSION = 2
SHARD_FACES = 16  # at most so many make one shard of an attribute
OVER_CAP = 1.001  # a displacement over the cap by less is rounding
LOST, UNEDITED, CEILING, NO_UNIT = "lost", "unedited", "ceiling", "no unit"


@dataclass(frozen=True)
class Matching:
    """What a search of one attribute needs to know: the ends of its range over all faces, the protocol's numbers."""

    attribute: str
    low: float
    high: float
    cap: float
    levels: tuple[float, ...]
    rounds: int
    tolerance: float
    threshold: float


def matched_stage(settings: Settings, card: DomainCard, method: str) -> Stage:
    """The edits of a method at matched change, over every attribute of the protocol."""
    experiment = settings.experiment
    parameters = {
        "method": method,
        "attributes": list(experiment.attributes),
        "levels": list(experiment.matched_levels),
        "bisections": experiment.matched_bisections,
        "tolerance": experiment.matched_tolerance,
        "detection_threshold": experiment.detection_threshold,
        "displacement_cap": experiment.displacement_cap,
        "batch": BATCH,
        "shard_faces": SHARD_FACES,
    }
    judges = ("scorer_a", *VIEW_ROLES, *(role for role in VIEW_ROLES_OF_SOME if role in card.weights))
    weights = {role: card.weights[role] for role in judges}
    return Stage("matched", VERSION, parameters, weights, upstream(settings, card, method, "matched"), label=method)


def run_matched(settings: Settings, method: str) -> Manifest:
    """Publish the matched edits of a calibrated method. Raises as `shards.run_stage`."""
    experiment = settings.experiment
    shards = blocks("matched", method, experiment.n_matched_faces, SHARD_FACES, experiment.attributes)
    per_face = experiment.matched_per_method / len(experiment.attributes) / experiment.n_matched_faces
    stage = matched_stage(settings, base.describe(settings.domain), method)
    units = [per_face * shard.count for shard in shards]
    return run_stage(stage, settings, matched_shard, shards, units=units, unit="edits")


def matched_shard(settings: Settings, block: FaceBlock, progress: Progress) -> ShardRecord:
    """Search, measure and write one block of faces; runs on a worker."""
    stage = matched_stage(settings, base.describe(settings.domain), block.method)
    matching, spread = matching_of(settings, block.method, block.attribute), read_spread(settings)

    def edit(domain: Domain, method: Method, ids: np.ndarray, faces: Faces) -> dict[str, Any]:
        return match(domain, method, ids, faces, matching, spread, progress)

    return write_block(settings, stage, block, "matched", MATCHED, edit)


def matching_of(settings: Settings, method: str, attribute: str) -> Matching:
    """What the protocol and a calibrated range say of a search. Raises StageError without that range."""
    experiment, limits = settings.experiment, read_range(settings, method, attribute)
    return Matching(
        attribute=attribute,
        low=min(limits["face_low"]),
        high=max(limits["face_high"]),
        cap=experiment.displacement_cap,
        levels=experiment.matched_levels,
        rounds=experiment.matched_bisections,
        tolerance=experiment.matched_tolerance,
        threshold=experiment.detection_threshold,
    )


def match(
    domain: Domain,
    method: Method,
    ids: np.ndarray,
    faces: Faces,
    matching: Matching,
    spread: Spread,
    progress: Progress,
) -> dict[str, Any]:
    """Columns of `matched` of some faces, by face, direction (up first) and level; ids (N,)."""
    editor = _Editor(domain, method, faces, matching, spread)
    unedited = editor.unedited
    lows, highs = editor.farthest(matching.low), editor.farthest(matching.high)
    targets = Targets.of(len(ids), matching.levels)
    found = find_crossings(
        editor.changes,
        lows,
        highs,
        editor.starts,
        targets,
        rounds=matching.rounds,
        tolerance=matching.tolerance,
        told=lambda done, total: progress(done, total + 1, ""),
    )
    there = unedited.found.cpu().numpy()[targets.rows]
    why = np.where(found.reached | ~editor.beyond_logits(targets), found.unreached, CEILING).astype(object)
    why[~there] = UNEDITED
    if np.isnan(spread.a[editor.column]):
        why[:] = NO_UNIT
    tried = np.flatnonzero(found.reached & there)
    measured = editor.measure(found.strengths[tried], targets.rows[tried])
    why[tried[~measured["detected"]]] = LOST
    reached = why == ""
    columns: dict[str, Any] = {
        "method": [method.name] * len(why),
        "attribute": [matching.attribute] * len(why),
        "face_id": ids[targets.rows],
        "direction": targets.directions.astype(np.int32),
        "level": targets.levels.astype(np.float64),
        "reached": reached,
        "unreached": [reason or None for reason in why],
        "tolerance": np.full(len(why), matching.tolerance),
    }
    known = ("strength", "displacement", "detected", "change_a")  # of a lost face too
    for name, values in measured.items():
        rows = np.isin(np.arange(len(why)), tried) & (reached | (name in known))
        columns[name] = _spread_out(values, tried, rows)
    columns |= {name: pa.nulls(len(why), pa.float32()) for name in without_unit(spread)}
    progress(1, 1, "")
    return columns


def without_unit(spread: Spread) -> list[str]:
    """The columns of changes that have no unit, since scorer B's logit has no usable spread."""
    return [name for name, sigma in zip(CHANGE_COLUMNS, spread.b, strict=True) if np.isnan(sigma)]


def _spread_out(values: np.ndarray, places: np.ndarray, valid: np.ndarray) -> pa.Array:
    """A column (T,) that holds the values (M,) at their places where valid (T,), and null elsewhere."""
    column = np.zeros(len(valid), values.dtype)
    column[places] = values
    return pa.array(column, mask=~valid)


class _Editor:
    """A method's edits of some faces for one attribute, as scorer A and the judges see them.

    Strengths are (M,) signed float64, of the faces at `rows` (M,).
    """

    def __init__(self, domain: Domain, method: Method, faces: Faces, matching: Matching, spread: Spread) -> None:
        self.domain, self.method, self.faces, self.matching, self.spread = domain, method, faces, matching, spread
        self.column = index_of(matching.attribute)
        self.unedited = look_at_codes(domain, faces.ws, matching.threshold)  # a shard's faces are one batch
        self.start_logits = self._logits_a(self.unedited.images)
        rows = np.arange(len(faces.ws))
        self.starts = np.zeros(len(rows)) if method.exact_identity else self.changes(np.zeros(len(rows)), rows)

    def edit(self, strengths: np.ndarray, rows: np.ndarray) -> Tensor:
        """Codes (M, L, 512)."""
        import torch

        faces = self.faces[rows]
        signed = torch.from_numpy(strengths).to(faces.ws)
        return self.method.edit_faces(faces, strength_vectors(self.matching.attribute, signed))

    def changes(self, strengths: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Signed change (M,) of the edited attribute's logit by scorer A, in standard deviations. One image each."""
        cuts = [slice(start, start + BATCH) for start in range(0, len(rows), BATCH)]
        logits = [part for cut in cuts for part in self._logits_of_codes(self.edit(strengths[cut], rows[cut]))]
        return self._change_a(np.concatenate([np.empty(0), *logits]), rows)

    def _logits_of_codes(self, ws: Tensor) -> list[np.ndarray]:
        """The edited attribute's logits by scorer A, of each lot of the images of codes."""
        return by_microbatch(self.domain, lambda lot: self._logits_a(synthesise(self.domain, ws[lot])), len(ws))

    def _logits_a(self, images: Tensor) -> np.ndarray:
        return logits_of(self.domain.scorer_a(images))[:, self.column].cpu().numpy()

    def _change_a(self, logits: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return (logits.astype(np.float64) - self.start_logits[rows]) / self.spread.a[self.column]

    def beyond_logits(self, targets: Targets) -> np.ndarray:
        """Whether a target (T,) asks for a logit that is cut off, so that nothing could reach it."""
        levels = targets.directions * (targets.levels - self.matching.tolerance) * self.spread.a[self.column]
        return np.abs(self.start_logits[targets.rows] + levels) > LARGEST_LOGIT

    def farthest(self, end: float) -> np.ndarray:
        """Each face's largest strength (N,) up to an end of the range at which its displacement is within the cap."""
        rows = np.arange(len(self.faces.ws))
        inside, outside = np.zeros(len(rows)), np.full(len(rows), end)
        over = np.flatnonzero(self._beyond(outside, rows))
        for _ in range(HALVINGS if len(over) else 0):
            middle = (inside + outside)[over] / 2
            out = self._beyond(middle, over)
            inside[over], outside[over] = np.where(out, inside[over], middle), np.where(out, middle, outside[over])
        outside[over] = inside[over]
        return outside

    def _beyond(self, strengths: np.ndarray, rows: np.ndarray) -> np.ndarray:
        moved = displacement(self.domain, self.edit(strengths, rows), self.faces.ws[rows]).cpu().numpy()
        return ~(moved <= OVER_CAP * self.matching.cap)

    def measure(self, strengths: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Columns (M,) of `matched` that the images at these strengths have: the judges' pass of `edits`."""
        import torch

        if not len(rows):
            return {"detected": np.zeros(0, bool)}
        parts: list[dict[str, Tensor]] = []
        for start in range(0, len(rows), BATCH):
            cut = slice(start, start + BATCH)
            edited_ws = self.edit(strengths[cut], rows[cut])
            own = torch.from_numpy(rows[cut]).to(edited_ws.device)

            def see(lot: slice, own: Tensor = own, edited_ws: Tensor = edited_ws) -> dict[str, Tensor]:
                edited = look(self.domain, synthesise(self.domain, edited_ws[lot]), self.matching.threshold)
                before = self.unedited[own[lot]]
                part = compare_views(self.domain, edited, before)
                part["displacement"] = displacement(self.domain, edited_ws[lot], self.faces.ws[own[lot]])
                part["detected"], part["values"] = edited.found, edited.values
                part["change"] = logits_of(edited.values) - logits_of(before.values)
                part["logit_a"] = logits_of(self.domain.scorer_a(edited.images))[:, self.column]
                return part

            parts += by_microbatch(self.domain, see, len(own))
        columns = {name: torch.cat([part[name] for part in parts]).cpu().numpy() for name in parts[0]}
        changes = columns.pop("change") / self.spread.b
        columns["strength"] = strengths
        columns["change_a"] = self._change_a(columns.pop("logit_a"), rows).astype(np.float32)
        if not np.isnan(self.spread.b[self.column]):
            columns["change_b"] = changes[:, self.column].astype(np.float32)
        columns |= value_columns(columns.pop("values"))
        return columns | {name: changes[:, place].astype(np.float32) for place, name in enumerate(CHANGE_COLUMNS)}
