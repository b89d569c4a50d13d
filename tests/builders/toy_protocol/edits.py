"""The stage of the protocol: the farthest edit of each face, from the edits of the grid."""

from __future__ import annotations

import time

from pipeline.chain.work import Kind, Part, Recipe, Work
from pipeline.domains.base import DomainCard
from pipeline.execution.jobs import Progress
from pipeline.settings.settings import Settings
from pipeline.storage.stages import ShardRecord
from pipeline.tables.schemas import EDITS
from tests.builders.toy_protocol.columns import FARTHEST

VERSION = 1


def recipe(settings: Settings, card: DomainCard, method: str) -> Recipe:
    """The farthest edit of each face, of a method."""
    return Recipe(VERSION, {"method": method}, (), (("edits", method),))


def cut(settings: Settings, method: str) -> list[Part]:
    """All in one piece."""
    return [Part("farthest.parquet", settings.experiment.n_faces)]


def farthest_shard(work: Work, part: Part, progress: Progress) -> ShardRecord:
    """Read the edits, write one row for each face."""
    started = time.perf_counter()
    edits = work.table("edits", work.name, EDITS, ["method", "face_id", "displacement"])
    rows = edits.group_by(["method", "face_id"]).aggregate([("displacement", "max")]).sort_by("face_id")
    columns = dict(zip(FARTHEST.names, (rows.column(name) for name in rows.column_names), strict=True))
    return work.write(part.name, columns, FARTHEST, started)


KIND = Kind("farthest", recipe, cut, farthest_shard, "faces", methods=True, shown=True, tables=("farthest",))
