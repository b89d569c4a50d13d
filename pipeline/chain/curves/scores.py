"""What edits for rate curves, and edits in every order, are worth: the scores of `rates-1` and `consistency-1`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipeline.chain.consistency.edits import consistency_stage
from pipeline.chain.curves.edits import rates_stage
from pipeline.chain.grid.scores import score_row
from pipeline.domains import base
from pipeline.domains.base import DomainCard
from pipeline.execution.shards import Progress, run_stage
from pipeline.metrics.base import ALL, CONSISTENCY, RATES, Measured, RateSet, get, names
from pipeline.metrics.curves import AT
from pipeline.settings.settings import Settings
from pipeline.statistics.bootstrap import Bootstrap
from pipeline.storage.stages import Manifest, ShardRecord, Stage, write_shard
from pipeline.tables import schemas
from pipeline.tables.parquet import read_stage, write_table

VERSION = 2


@dataclass(frozen=True)
class RatingShard:
    """All that is scored here of one method."""

    name: str
    method: str


def rating_stage(settings: Settings, card: DomainCard, method: str) -> Stage:
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
    upstream = (rates_stage(settings, card, method), consistency_stage(settings, card, method))
    return Stage("rating", VERSION, parameters, {}, upstream, label=method)


def run_rating(settings: Settings, method: str) -> Manifest:
    """Publish those scores of a method, whose edits must be published. Raises as `shards.run_stage`."""
    stage = rating_stage(settings, base.describe(settings.domain), method)
    shards = [RatingShard("scores.parquet", method)]
    return run_stage(stage, settings, rating_shard, shards, units=[settings.experiment.rated_per_method], unit="images")


def rating_shard(settings: Settings, shard: RatingShard, progress: Progress) -> ShardRecord:
    """Compute and write the scores; runs on a worker."""
    started = time.perf_counter()
    card, experiment = base.describe(settings.domain), settings.experiment
    table = read_stage(rates_stage(settings, card, shard.method), settings.outputs, schemas.RATES)
    bootstrap = Bootstrap(experiment.bootstrap_samples, experiment.confidence, experiment.seed)
    attributes = (*experiment.attributes, ALL)
    rows: list[dict[str, Any]] = []
    for done, attribute in enumerate(attributes):
        progress(done, len(attributes), attribute)
        rows += curve_scores(card, table, shard.method, attribute, bootstrap)
    table = read_stage(consistency_stage(settings, card, shard.method), settings.outputs, schemas.CONSISTENCY)
    rows += consistency_scores(card, table, shard.method, bootstrap)
    scores = pa.Table.from_pylist(rows, schema=schemas.STAGE_SCORES)
    folder = rating_stage(settings, card, shard.method).folder(settings.outputs)
    seconds = time.perf_counter() - started
    return write_shard(
        folder, shard.name, lambda path: write_table(scores, schemas.STAGE_SCORES, path), seconds=seconds
    )


def curve_scores(
    card: DomainCard, table: pa.Table, method: str, attribute: str, bootstrap: Bootstrap
) -> Iterator[dict[str, Any]]:
    """Rows of STAGE_SCORES of a method's `rates` table, for an attribute or for "all"."""
    own = table if attribute == ALL else table.filter(pa.compute.equal(table.column("attribute"), attribute))
    columns = {name: own.column(name).to_numpy() for name in own.column_names}
    for level in (None, *AT):
        edits = RateSet(method=method, attribute=attribute, columns=columns, bootstrap=bootstrap, level=level)
        for metric in (get(name) for name in names(RATES)):
            for judgement in metric.score(edits):
                yield score_row(card, edits, metric, judgement, RATES, level=level)


def consistency_scores(
    card: DomainCard, table: pa.Table, method: str, bootstrap: Bootstrap
) -> Iterator[dict[str, Any]]:
    """Rows of STAGE_SCORES of a method's `consistency` table, over all attributes."""
    columns = {name: table.column(name).to_numpy() for name in table.column_names}
    edits = Measured(method=method, attribute=ALL, columns=columns, bootstrap=bootstrap)
    for metric in (get(name) for name in names(CONSISTENCY)):
        for judgement in metric.score(edits):
            yield score_row(card, edits, metric, judgement, CONSISTENCY)
