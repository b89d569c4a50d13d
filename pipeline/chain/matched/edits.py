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

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from pipeline.chain.calibration.rule import HALVINGS
from pipeline.chain.editor import Editor, halved
from pipeline.chain.face_blocks import FaceBlock, blocks, cut_faces, read_by_edits
from pipeline.chain.inputs import Spread, load_method, read_faces, read_range, read_spread
from pipeline.chain.matched.search import Targets, find_crossings
from pipeline.chain.views import (
    VIEW_ROLES,
    VIEW_ROLES_OF_SOME,
    compare_views,
    displacement,
    joined,
    look,
    look_at_codes,
    see_batches,
    synthesise,
)
from pipeline.chain.work import Kind, Recipe, Work
from pipeline.domains.base import DomainCard
from pipeline.execution.jobs import Progress
from pipeline.settings.experiment import BATCH
from pipeline.settings.settings import Settings
from pipeline.statistics.units import LARGEST_LOGIT, logits_of
from pipeline.storage.stages import ShardRecord
from pipeline.tables.parquet import value_columns
from pipeline.tables.schemas import CHANGE_COLUMNS, MATCHED

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.domains.base import Domain
    from pipeline.methods.interface import Faces, Method

VERSION = 4
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


def recipe(settings: Settings, card: DomainCard, method: str) -> Recipe:
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
    return Recipe(VERSION, parameters, judges, read_by_edits(settings, method, "matched"))


def cut(settings: Settings, method: str) -> list[FaceBlock]:
    """Blocks of faces, attribute by attribute."""
    experiment = settings.experiment
    edits = 2 * len(experiment.matched_levels)  # up and down
    return blocks("matched", cut_faces(experiment.n_matched_faces, SHARD_FACES), experiment.attributes, edits)


def matched_shard(work: Work, block: FaceBlock, progress: Progress) -> ShardRecord:
    """Search, measure and write one block of faces; runs on a worker."""
    import torch

    started = time.perf_counter()
    domain, method = work.domain(), load_method(work)
    matching, spread = matching_of(work, block.attribute), read_spread(work)
    with torch.inference_mode():
        ids, faces = read_faces(work, domain, block.first, block.stop, "matched")
        columns = match(domain, method, ids, faces, matching, spread, progress)
    return work.write(block.name, columns, MATCHED, started)


def matching_of(work: Work, attribute: str) -> Matching:
    """What the protocol and a calibrated range say of a search. Raises StageError without that range."""
    experiment, limits = work.experiment, read_range(work, attribute)
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
    editor = _Searched(domain, method, faces, matching, spread)
    unedited = editor.unedited
    lows, highs = editor.farthest(matching.low), editor.farthest(matching.high)
    targets = Targets.of(len(ids), matching.levels)
    there, beyond = unedited.found.cpu().numpy()[targets.rows], editor.beyond_logits(targets)
    found = find_crossings(
        editor.changes,
        lows,
        highs,
        editor.starts,
        targets,
        rounds=matching.rounds,
        tolerance=matching.tolerance,
        sought=there & ~beyond,
        told=lambda done, total: progress(done, total + 1, ""),
    )
    why = np.where(beyond, CEILING, found.unreached).astype(object)
    why[~there] = UNEDITED
    if np.isnan(spread.a[editor.column]):
        why[:] = NO_UNIT
    tried = np.flatnonzero(found.reached)
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


class _Searched(Editor):
    """Edits as the search looks at them: what scorer A and the judges see, and how far a face may be moved."""

    def __init__(self, domain: Domain, method: Method, faces: Faces, matching: Matching, spread: Spread) -> None:
        super().__init__(domain, method, faces, matching.attribute)
        self.matching, self.spread = matching, spread
        self.unedited = look_at_codes(domain, faces.ws, matching.threshold)  # a shard's faces are one batch
        self.start_logits = self._logits_a(self.unedited.images)
        rows = np.arange(len(faces.ws))
        self.starts = np.zeros(len(rows)) if method.exact_identity else self.changes(np.zeros(len(rows)), rows)

    def changes(self, strengths: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Signed change (M,) of the edited attribute's logit by scorer A, in standard deviations. One image each."""

        def make(batch: slice) -> Tensor:
            return self.edit(strengths[batch], rows[batch])

        def see(ws: Tensor, rows: slice) -> np.ndarray:
            return self._logits_a(synthesise(self.domain, ws[rows]))

        return self._change_a(np.concatenate([np.empty(0), *see_batches(self.domain, len(rows), make, see)]), rows)

    def _logits_a(self, images: Tensor) -> np.ndarray:
        return logits_of(self.domain.scorer_a(images))[:, self.column].cpu().numpy()

    def _change_a(self, logits: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return (logits.astype(np.float64) - self.start_logits[rows]) / self.spread.a[self.column]

    def beyond_logits(self, targets: Targets) -> np.ndarray:
        """Whether a target (T,) asks for a logit that is cut off, or that has no unit: nothing could reach it."""
        levels = targets.directions * (targets.levels - self.matching.tolerance) * self.spread.a[self.column]
        return ~(np.abs(self.start_logits[targets.rows] + levels) <= LARGEST_LOGIT)

    def farthest(self, end: float) -> np.ndarray:
        """Each face's largest strength (N,) up to an end of the range at which its displacement is within the cap."""
        largest = np.full(len(self.faces.ws), end)
        over = np.flatnonzero(self._is_over_cap(largest, np.arange(len(largest))))
        if len(over):
            nothing = np.zeros(len(over))
            largest[over], _ = halved(nothing, largest[over], lambda tried: self._is_over_cap(tried, over), HALVINGS)
        return largest

    def _is_over_cap(self, strengths: np.ndarray, rows: np.ndarray) -> np.ndarray:
        moved = displacement(self.domain, self.edit(strengths, rows), self.faces.ws[rows]).cpu().numpy()
        return ~(moved <= OVER_CAP * self.matching.cap)

    def measure(self, strengths: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
        """Columns (M,) of `matched` that the images at these strengths have: the judges' pass of `edits`."""
        if not len(rows):
            return {"detected": np.zeros(0, bool)}
        columns = joined(self._seen(strengths, rows))
        changes = columns.pop("change") / self.spread.b
        columns["strength"] = strengths
        columns["change_a"] = self._change_a(columns.pop("logit_a"), rows).astype(np.float32)
        if not np.isnan(self.spread.b[self.column]):
            columns["change_b"] = changes[:, self.column].astype(np.float32)
        columns |= value_columns(columns.pop("values"))
        return columns | {name: changes[:, place].astype(np.float32) for place, name in enumerate(CHANGE_COLUMNS)}

    def _seen(self, strengths: np.ndarray, rows: np.ndarray) -> list[dict[str, Tensor]]:
        import torch

        def make(batch: slice) -> tuple[Tensor, Tensor]:
            edited_ws = self.edit(strengths[batch], rows[batch])
            return edited_ws, torch.from_numpy(rows[batch]).to(edited_ws.device)

        def see(batch: tuple[Tensor, Tensor], rows: slice) -> dict[str, Tensor]:
            edited_ws, own = (part[rows] for part in batch)
            edited, before = (
                look(self.domain, synthesise(self.domain, edited_ws), self.matching.threshold),
                self.unedited[own],
            )
            part = compare_views(self.domain, edited, before)
            part["displacement"] = displacement(self.domain, edited_ws, self.faces.ws[own])
            part["detected"], part["values"] = edited.found, edited.values
            part["change"] = logits_of(edited.values) - logits_of(before.values)
            part["logit_a"] = logits_of(self.domain.scorer_a(edited.images))[:, self.column]
            return part

        return see_batches(self.domain, len(rows), make, see)


KIND = Kind("matched", recipe, cut, matched_shard, "edits", methods=True, shown=True, tables=("matched",))
