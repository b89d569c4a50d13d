"""What edits at matched change are worth: the scores of the protocol `matched-change-1`, and the re-scoring matrix.

The matrix says how far, with its sign, each of the 35 attributes moved by scorer B where the edited one moved by a
level by scorer A: the re-scoring of InterFaceGAN (Shen et al., CVPR 2020) at an equal change, in standard deviations of
the logit. Every entry is a mean over the faces that reached the level, with an interval from a bootstrap over them; an
entry that no face reached is null and stays.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.attributes import NAMES, index_of
from pipeline.chain.matched.search import DIRECTIONS
from pipeline.chain.score_rows import bootstrap_of, score_row
from pipeline.chain.work import Kind, Part, Recipe, Work
from pipeline.domains.base import DomainCard, network_name
from pipeline.execution.jobs import Progress
from pipeline.metrics.base import ALL, MATCHED, Judgement, MatchedSet, Metric, get, names
from pipeline.settings.settings import Settings
from pipeline.statistics.bootstrap import Bootstrap
from pipeline.storage.stages import ShardRecord
from pipeline.tables import schemas

VERSION = 2
FILES = ("scores.parquet", "rescoring.parquet")
REACH = "unreached_share"  # the one score that is of all changes, not of those that were reached
ENOUGH = 0.5  # with less than this share reached, what was reached does not speak for the method


def recipe(settings: Settings, card: DomainCard, method: str) -> Recipe:
    """The scores and the matrix of a method at matched change."""
    experiment = settings.experiment
    parameters = {
        "method": method,
        "protocol": MATCHED,
        "metrics": {name: get(name).version for name in names(MATCHED)},
        "seed": experiment.seed,
        "bootstrap_samples": experiment.bootstrap_samples,
        "confidence": experiment.confidence,
    }
    return Recipe(VERSION, parameters, (), (("matched", method),))


def cut(settings: Settings, method: str) -> list[Part]:
    """All in one piece. Work is counted in scores: edits are summed once, and resampled for each score."""
    experiment = settings.experiment
    sets = (len(experiment.attributes) + 1) * len(experiment.matched_levels)
    return [Part(f"rescoring of {method}", sets * len(names(MATCHED)))]


def rescoring_shard(work: Work, part: Part, progress: Progress) -> list[ShardRecord]:
    """Compute and write the scores and the matrix; runs on a worker."""
    started = time.perf_counter()
    table = work.table("matched", work.name, schemas.MATCHED)
    experiment, bootstrap = work.experiment, bootstrap_of(work.experiment)
    attributes = (*experiment.attributes, ALL)
    scores: list[dict[str, Any]] = []
    for done, attribute in enumerate(attributes):
        progress(done, len(attributes) + 1, attribute)
        for level in experiment.matched_levels:
            scores += level_scores(work.card, matched_set(table, work.name, attribute, level, bootstrap))
    rows = list(matrix(table, work.name, experiment.attributes, experiment.matched_levels, bootstrap))
    network = network_name(work.card, "scorer_b")
    tables = (
        pa.Table.from_pylist(scores, schema=schemas.STAGE_SCORES),
        pa.Table.from_pylist([row | {"network": network} for row in rows], schema=schemas.RESCORING),
    )
    kinds = (schemas.STAGE_SCORES, schemas.RESCORING)
    return [work.write(*each, started) for each in zip(FILES, tables, kinds, strict=True)]


def matched_set(table: pa.Table, method: str, attribute: str, level: float, bootstrap: Bootstrap) -> MatchedSet:
    """The edits of a method's `matched` table at one level, for an attribute or for "all"."""
    chosen = _level(table, level)
    if attribute != ALL:
        chosen = chosen & (table.column("attribute").to_numpy() == attribute)
    reached = table.column("reached").to_numpy()
    there = table.filter(pa.array(chosen & reached))
    columns = {name: there.column(name).to_numpy() for name in there.column_names}
    return MatchedSet(
        method=method,
        attribute=attribute,
        columns=columns,
        bootstrap=bootstrap,
        level=level,
        changes=changes_of(there),
        targets=np.array([index_of(name) for name in columns["attribute"]], dtype=np.intp),
        all_faces=table.column("face_id").to_numpy()[chosen],
        all_reached=reached[chosen],
    )


def changes_of(table: pa.Table) -> np.ndarray:
    """The 35 signed changes (N, 35) of rows of `matched`; NaN where nothing was measured."""
    return np.stack([table.column(name).to_numpy() for name in schemas.CHANGE_COLUMNS], axis=1)


def level_scores(card: DomainCard, edits: MatchedSet) -> Iterator[dict[str, Any]]:
    """Rows of STAGE_SCORES of one level; without any edit that reached it, the share that did not alone."""
    for metric in (get(name) for name in names(MATCHED)):
        for judgement in metric.score(edits):
            yield score_row(card, edits, metric, _flagged(edits, metric, judgement), MATCHED, level=edits.level)


def _flagged(edits: MatchedSet, metric: Metric, judgement: Judgement) -> Judgement:
    """The judgement, marked where it speaks for the lesser part of the changes alone."""
    share = float(edits.all_reached.mean())
    if metric.name == REACH or share >= ENOUGH:
        return judgement
    reason = f"fewer than {ENOUGH:.0%} of the changes were reached"
    return replace(judgement, flag="; ".join(filter(None, [judgement.flag, reason])))


def matrix(
    table: pa.Table, method: str, attributes: tuple[str, ...], levels: tuple[float, ...], bootstrap: Bootstrap
) -> Iterator[dict[str, Any]]:
    """Rows of RESCORING, without the network's name, from a method's `matched` table."""
    reached = table.column("reached").to_numpy()
    attribute_of, direction_of = (table.column(name).to_numpy() for name in ("attribute", "direction"))
    faces, changes = table.column("face_id").to_numpy(), changes_of(table).astype(np.float64)
    for attribute in attributes:
        for direction in DIRECTIONS:
            for level in levels:
                own = reached & (attribute_of == attribute) & (direction_of == direction) & _level(table, level)
                cell = {"method": method, "attribute": attribute, "direction": direction, "level": level}
                for scored, estimate in zip(NAMES, bootstrap.means(changes[own], faces[own]), strict=True):
                    yield cell | {
                        "scored_attribute": scored,
                        "change": estimate.value if np.isfinite(estimate.value) else None,
                        "ci_low": estimate.low,
                        "ci_high": estimate.high,
                        "n_faces": estimate.n_faces,
                    }


def _level(table: pa.Table, level: float) -> np.ndarray:
    """Which rows are of that level, (N,) bool."""
    return table.column("level").to_numpy() == level


KIND = Kind(
    "rescoring",
    recipe,
    cut,
    rescoring_shard,
    "scores",
    methods=True,
    shown=True,
    tables=("rescoring", "scores"),
    files=lambda part: FILES,
)
