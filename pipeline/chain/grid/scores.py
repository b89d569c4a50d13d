"""Scores: every metric over the measured edits of a method, per attribute and over all, with its interval.

A shard is one attribute, or all of them; what it reads is the edits' columns and perception vectors, the
reference's vectors and the timings, and what it writes are rows of `scores` without the columns of a run, which are
added at publication.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.chain.grid.edits import edits_stage
from pipeline.chain.grid.reference import reference_stage
from pipeline.chain.grid.timing import timing_stage
from pipeline.domains import base
from pipeline.domains.base import DomainCard, network_name
from pipeline.execution.shards import Progress, run_stage
from pipeline.methods import registry
from pipeline.metrics.base import (
    ALL,
    GRID,
    EditSet,
    Judgement,
    Measured,
    Metric,
    Reference,
    Splits,
    get,
    names,
)
from pipeline.metrics.edit_columns import edit_columns
from pipeline.settings.settings import Settings
from pipeline.statistics.bootstrap import Bootstrap
from pipeline.storage.stages import Manifest, ShardRecord, Stage, write_shard
from pipeline.tables import schemas
from pipeline.tables.parquet import read_stage, vectors, write_table

VERSION = 2


@dataclass(frozen=True)
class ScoreShard:
    """The scores of a method for one attribute, or for "all"."""

    name: str
    method: str
    attribute: str


def scores_stage(settings: Settings, card: DomainCard, method: str) -> Stage:
    """Every score of a method."""
    experiment = settings.experiment
    parameters = {
        "method": method,
        "protocols": {name: list(names(name)) for name in GRID},
        "metrics": {name: get(name).version for name in names(*GRID)},
        "seed": experiment.seed,
        "bootstrap_samples": experiment.bootstrap_samples,
        "confidence": experiment.confidence,
        "kid_subsets": experiment.kid_subsets,
        "kid_subset_size": experiment.kid_subset_size,
        "inception_score_splits": experiment.inception_score_splits,
    }
    upstream = (
        edits_stage(settings, card, method),
        reference_stage(settings, card),
        reference_stage(settings, card, "faces"),
        timing_stage(settings, card, method),
    )
    return Stage("scores", VERSION, parameters, {}, upstream, label=method)


def run_scores(settings: Settings, method: str) -> Manifest:
    """Publish the scores of a method, whose edits, timing and reference must be published.

    Raises as `shards.run_stage`.
    """
    stage = scores_stage(settings, base.describe(settings.domain), method)
    experiment = settings.experiment
    attributes = (ALL, *experiment.attributes)  # the largest first, so that it does not keep the others waiting
    shards = [ScoreShard(f"scores-{attribute}.parquet", method, attribute) for attribute in attributes]
    images = experiment.n_faces * experiment.n_steps
    units = [experiment.edits_per_method / 2] + [images / 2] * len(experiment.attributes)
    return run_stage(stage, settings, score_shard, shards, units=units, unit="images")


def score_shard(settings: Settings, shard: ScoreShard, progress: Progress) -> ShardRecord:
    """Compute and write the scores of one attribute, or of all; runs on a worker."""
    started = time.perf_counter()
    card = base.describe(settings.domain)
    edits = read_edits(settings, card, shard.method, shard.attribute)
    chosen = [get(name) for name in names(*GRID)]
    chosen = [metric for metric in chosen if metric.per_attribute or shard.attribute == ALL]
    rows = []
    for done, metric in enumerate(chosen):
        progress(done, len(chosen), metric.name)
        judgements = metric.score(edits)
        for protocol in (name for name in GRID if name in metric.protocols):
            rows += [score_row(card, edits, metric, judgement, protocol) for judgement in judgements]
    table = pa.Table.from_pylist(rows, schema=schemas.STAGE_SCORES)
    stage = scores_stage(settings, card, shard.method)
    return write_shard(
        stage.folder(settings.outputs),
        shard.name,
        lambda path: write_table(table, schemas.STAGE_SCORES, path),
        seconds=time.perf_counter() - started,
    )


def score_row(
    card: DomainCard,
    edits: Measured,
    metric: Metric,
    judgement: Judgement,
    protocol: str,
    *,
    level: float | None = None,
) -> dict[str, Any]:
    """A judgement as a row of STAGE_SCORES."""
    estimate = metric.within_bounds(judgement.estimate)
    return {
        "domain": card.name,
        "protocol": protocol,
        "method": edits.method,
        "method_version": registry.get(edits.method).version,
        "attribute": edits.attribute,
        "metric": metric.name,
        "network": network_name(card, judgement.role),
        "value": estimate.value,
        "ci_low": estimate.low,
        "ci_high": estimate.high,
        "n_faces": estimate.n_faces,
        "n_images": estimate.n_images,
        "better": metric.better,
        "unit": metric.unit,
        "flag": metric.flags(judgement) or None,
        "level": level,
    }


# Reading what was measured


def read_edits(settings: Settings, card: DomainCard, method: str, attribute: str) -> EditSet:
    """The measured edits of a method for one attribute, or for "all". Raises StageError, CorruptShardError."""
    stage = edits_stage(settings, card, method)
    schema = schemas.features(card.feature_width, card.classes)
    columns = edit_columns(_of(read_stage(stage, settings.outputs, schemas.EDITS), attribute))
    seen = _of(read_stage(stage, settings.outputs, schema), attribute)
    timings = read_stage(timing_stage(settings, card, method), settings.outputs, schemas.TIMINGS)
    unedited = read_stage(reference_stage(settings, card, "faces"), settings.outputs, schema, ["face_id", "feature"])
    own = np.searchsorted(unedited.column("face_id").to_numpy(), columns["face_id"])
    experiment = settings.experiment
    return EditSet(
        method=method,
        attribute=attribute,
        columns=columns,
        features=vectors(seen, "feature"),
        logits=vectors(seen, "logits"),
        originals=vectors(unedited, "feature")[own],
        reference=_reference(reference_stage(settings, card), settings.outputs, card.feature_width, card.classes),
        timings={name: timings.column(name).to_numpy() for name in timings.column_names},
        bootstrap=Bootstrap(experiment.bootstrap_samples, experiment.confidence, experiment.seed),
        splits=Splits(experiment.kid_subsets, experiment.kid_subset_size, experiment.inception_score_splits),
    )


def _of(table: pa.Table, attribute: str) -> pa.Table:
    if attribute == ALL:
        return table
    return table.filter(pa.array(table.column("attribute").to_numpy() == attribute))


@lru_cache(maxsize=1)
def _reference(stage: Stage, outputs: Path, width: int, classes: int) -> Reference:
    """The reference, read once per process; stages are equal if their fingerprints are."""
    table = read_stage(stage, outputs, schemas.features(width, classes), ["feature", "logits"])
    return Reference(vectors(table, "feature"), vectors(table, "logits"))
