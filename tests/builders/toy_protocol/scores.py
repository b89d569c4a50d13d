"""The scores of the protocol."""

from __future__ import annotations

import time

import pyarrow as pa

from pipeline.chain.score_rows import bootstrap_of, score_row
from pipeline.chain.work import Kind, Part, Recipe, Work
from pipeline.domains.base import DomainCard
from pipeline.execution.jobs import Progress
from pipeline.metrics.base import ALL, Measured, get, names
from pipeline.settings.settings import Settings
from pipeline.storage.stages import ShardRecord
from pipeline.tables.schemas import STAGE_SCORES
from tests.builders.toy_protocol.columns import FARTHEST
from tests.builders.toy_protocol.metric import PROTOCOL


def recipe(settings: Settings, card: DomainCard, method: str) -> Recipe:
    """Every score of a method by the protocol."""
    versions = {name: get(name).version for name in names(PROTOCOL)}
    return Recipe(1, {"method": method, "metrics": versions}, (), (("farthest", method),))


def cut(settings: Settings, method: str) -> list[Part]:
    """All in one piece."""
    return [Part("scores.parquet", settings.experiment.n_faces)]


def score_shard(work: Work, part: Part, progress: Progress) -> ShardRecord:
    """Score the table by every metric of the protocol."""
    started = time.perf_counter()
    table = work.table("farthest", work.name, FARTHEST)
    columns = {name: table.column(name).to_numpy() for name in table.column_names}
    edits = Measured(method=work.name, attribute=ALL, columns=columns, bootstrap=bootstrap_of(work.experiment))
    rows = [
        score_row(work.card, edits, metric, judgement, PROTOCOL)
        for metric in map(get, names(PROTOCOL))
        for judgement in metric.score(edits)
    ]
    return work.write(part.name, pa.Table.from_pylist(rows, schema=STAGE_SCORES), STAGE_SCORES, started)


KIND = Kind("farthest_scores", recipe, cut, score_shard, "faces", methods=True, shown=True, tables=("scores",))
