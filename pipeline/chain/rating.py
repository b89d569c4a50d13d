"""The stage of the scores of two protocols of few scores: rate curves and consistency."""

from __future__ import annotations

import time
from typing import Any

import pyarrow as pa

from pipeline.chain.consistency.scores import consistency_scores
from pipeline.chain.curves.scores import curve_scores
from pipeline.chain.score_rows import bootstrap_of
from pipeline.chain.work import Kind, Part, Recipe, Work
from pipeline.domains.base import DomainCard
from pipeline.execution.jobs import Progress
from pipeline.metrics.base import ALL, CONSISTENCY, RATES, get, names
from pipeline.metrics.curves import AT
from pipeline.settings.settings import Settings
from pipeline.storage.stages import ShardRecord
from pipeline.tables import schemas

VERSION = 2


def recipe(settings: Settings, card: DomainCard, method: str) -> Recipe:
    """The scores of a method's rate curves and of its consistency."""
    experiment = settings.experiment
    parameters = {
        "method": method,
        "protocols": [RATES, CONSISTENCY],
        "metrics": {name: get(name).version for protocol in (RATES, CONSISTENCY) for name in names(protocol)},
        "at": list(AT),
        "seed": experiment.seed,
        "bootstrap_samples": experiment.bootstrap_samples,
        "confidence": experiment.confidence,
    }
    return Recipe(VERSION, parameters, (), (("rates", method), ("consistency", method)))


def cut(settings: Settings, method: str) -> list[Part]:
    """All in one piece. Work is counted in scores: images are summed once, and resampled for each score."""
    curves = (len(settings.experiment.attributes) + 1) * len(names(RATES))
    return [Part("scores.parquet", curves + len(names(CONSISTENCY)))]


def rating_shard(work: Work, part: Part, progress: Progress) -> ShardRecord:
    """Compute and write the scores; runs on a worker."""
    started = time.perf_counter()
    bootstrap = bootstrap_of(work.experiment)
    attributes = (*work.experiment.attributes, ALL)
    table = work.table("rates", work.name, schemas.RATES)
    rows: list[dict[str, Any]] = []
    for done, attribute in enumerate(attributes):
        progress(done, len(attributes), attribute)
        rows += curve_scores(work.card, table, work.name, attribute, bootstrap)
    table = work.table("consistency", work.name, schemas.CONSISTENCY)
    rows += consistency_scores(work.card, table, work.name, bootstrap)
    scores = pa.Table.from_pylist(rows, schema=schemas.STAGE_SCORES)
    return work.write(part.name, scores, schemas.STAGE_SCORES, started)


KIND = Kind("rating", recipe, cut, rating_shard, "scores", methods=True, shown=True, tables=("scores",))
