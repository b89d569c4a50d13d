"""Blocks of faces: how a protocol with faces of its own cuts its edits into shards, and computes one.

Matched change, rate curves and consistency are alike in this: a calibrated method edits blocks of faces, whose limits
the protocol fixes, so that batches, and every bit, are the same on any number of workers; each block is one table.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from pipeline.chain.calibration import range_stage
from pipeline.chain.labels import labels_stage
from pipeline.chain.spread import spread_stage
from pipeline.chain.training import load_method, read_faces, train_stage
from pipeline.domains import base
from pipeline.domains.base import DomainCard
from pipeline.settings.settings import Settings
from pipeline.storage.stages import ShardRecord, Stage, write_shard
from pipeline.tables.parquet import write_table

if TYPE_CHECKING:
    from pipeline.domains.base import Domain
    from pipeline.methods.interface import Faces, Method

Edit = Callable[["Domain", "Method", np.ndarray, "Faces"], dict[str, Any]]


@dataclass(frozen=True)
class FaceBlock:
    """Edits by one method of the faces `first` to `stop` - 1, counted from 0; of one attribute, or ("") of several."""

    name: str
    method: str
    first: int
    stop: int
    attribute: str = ""

    @property
    def count(self) -> int:
        """How many faces it has."""
        return self.stop - self.first


def cut_faces(n_faces: int, size: int) -> list[tuple[int, int]]:
    """Faces 0 to n_faces - 1 in blocks [first, stop) of `size`, the last maybe shorter."""
    return [(first, min(first + size, n_faces)) for first in range(0, n_faces, size)]


def blocks(kind: str, method: str, n_faces: int, size: int, attributes: Sequence[str] = ("",)) -> list[FaceBlock]:
    """The blocks of one stage of a kind, attribute by attribute."""
    return [
        FaceBlock(
            f"{'-'.join(filter(None, (kind, attribute)))}-{first:06d}-{stop:06d}.parquet",
            method,
            first,
            stop,
            attribute,
        )
        for attribute in attributes
        for first, stop in cut_faces(n_faces, size)
    ]


def upstream(settings: Settings, card: DomainCard, method: str, which: str) -> tuple[Stage, ...]:
    """What the edits of a calibrated method on one of `labels.SETS` rest on."""
    ranges = (range_stage(settings, card, method, attribute) for attribute in settings.experiment.attributes)
    own = (spread_stage(settings, card), labels_stage(settings, card, which), train_stage(settings, card, method))
    return *own, *ranges


def write_block(
    settings: Settings, stage: Stage, block: FaceBlock, which: str, schema: pa.Schema, edit: Edit
) -> ShardRecord:
    """Load, edit and write one block of the faces of one of `labels.SETS`; runs on a worker.

    `edit(domain, method, ids, faces)` gives the columns of the table.
    """
    import torch

    started = time.perf_counter()
    domain = base.load(settings.domain, settings.machine.device, settings.experiment.precision)
    method = load_method(settings, block.method)
    with torch.inference_mode():
        ids, faces = read_faces(settings, domain, block.first, block.stop, which)
        columns = edit(domain, method, ids, faces)
    seconds = time.perf_counter() - started
    folder = stage.folder(settings.outputs)
    return write_shard(folder, block.name, lambda path: write_table(columns, schema, path), seconds=seconds)
