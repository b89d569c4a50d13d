"""Scores: every metric over the measured edits of a method, per attribute and over all, with its interval.

A shard is one attribute, or all of them; what it reads is the edits' columns and perception vectors, the
reference's vectors and the timings, and what it writes are rows of `scores` without the columns of a run, which are
added at publication.
"""

from __future__ import annotations

import time
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipeline.chain.score_rows import bootstrap_of, score_row
from pipeline.chain.work import Kind, Part, Recipe, Work
from pipeline.domains.base import DomainCard
from pipeline.execution.jobs import Progress
from pipeline.metrics.base import ALL, GRID, EditSet, Metric, Reference, Splits, get, names
from pipeline.metrics.edit_columns import edit_columns
from pipeline.settings.settings import Settings
from pipeline.storage.stages import ShardRecord, Stage
from pipeline.tables import schemas
from pipeline.tables.parquet import read_stage, vectors

VERSION = 2


def recipe(settings: Settings, card: DomainCard, method: str) -> Recipe:
    """Every score of a method on the grid over ranges."""
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
    reads = (("edits", method), ("reference", "reference"), ("reference", "faces"), ("timing", method))
    return Recipe(VERSION, parameters, (), reads)


def cut(settings: Settings, method: str) -> list[Part]:
    """All attributes together, and each; the largest first, so that it does not keep the others waiting."""
    return [
        Part(f"scores-{name}.parquet", len(_metrics(name)), name) for name in (ALL, *settings.experiment.attributes)
    ]


def _metrics(attribute: str) -> list[Metric]:
    """What is scored for an attribute, or for "all"."""
    return [metric for metric in map(get, names(*GRID)) if metric.per_attribute or attribute == ALL]


def score_shard(work: Work, part: Part, progress: Progress) -> ShardRecord:
    """Compute and write the scores of one attribute, or of all; runs on a worker."""
    started = time.perf_counter()
    edits = read_edits(work, part.attribute)
    chosen = _metrics(part.attribute)
    rows = []
    for done, metric in enumerate(chosen):
        progress(done, len(chosen), metric.name)
        judgements = metric.score(edits)
        for protocol in (name for name in GRID if name in metric.protocols):
            rows += [score_row(work.card, edits, metric, judgement, protocol) for judgement in judgements]
    table = pa.Table.from_pylist(rows, schema=schemas.STAGE_SCORES)
    return work.write(part.name, table, schemas.STAGE_SCORES, started)


def read_edits(work: Work, attribute: str) -> EditSet:
    """The measured edits of a method for one attribute, or for "all". Raises StageError, CorruptShardError."""
    card, experiment = work.card, work.experiment
    schema = schemas.features(card.feature_width, card.classes)
    columns = edit_columns(_of(work.table("edits", work.name, schemas.EDITS), attribute))
    seen = _of(work.table("edits", work.name, schema), attribute)
    timings = work.table("timing", work.name, schemas.TIMINGS)
    unedited = work.table("reference", "faces", schema, ["face_id", "feature"])
    own = np.searchsorted(unedited.column("face_id").to_numpy(), columns["face_id"])
    return EditSet(
        method=work.name,
        attribute=attribute,
        columns=columns,
        features=vectors(seen, "feature"),
        logits=vectors(seen, "logits"),
        originals=vectors(unedited, "feature")[own],
        reference=_reference(work.read("reference"), work.settings.outputs, card.feature_width, card.classes),
        timings={name: timings.column(name).to_numpy() for name in timings.column_names},
        bootstrap=bootstrap_of(experiment),
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


KIND = Kind("scores", recipe, cut, score_shard, "scores", methods=True, shown=True, tables=("scores",))
