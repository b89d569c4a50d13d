"""Seconds of single edits, alone and with synthesis."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from pipeline.chain.grid.shards import MethodShard, write_columns
from pipeline.chain.labels import labels_stage
from pipeline.chain.training import load_method, read_faces, train_stage
from pipeline.chain.views import (
    strength_vectors,
    synthesise,
)
from pipeline.domains import base
from pipeline.domains.base import DomainCard
from pipeline.execution.shards import Progress, run_stage
from pipeline.settings.settings import Settings
from pipeline.storage.stages import Manifest, ShardRecord, Stage
from pipeline.tables import schemas

if TYPE_CHECKING:
    from pipeline.domains.base import Domain

VERSION = 1
WARM_UP = 3  # edits before the timed ones


def timing_stage(settings: Settings, card: DomainCard, method: str) -> Stage:
    """Seconds of single edits. Which machine measured them stands in the manifest, not in the fingerprint."""
    parameters = {"method": method, "n_timings": settings.experiment.n_timings, "warm_up": WARM_UP}
    upstream = (train_stage(settings, card, method), labels_stage(settings, card, "faces"))
    return Stage("timing", VERSION, parameters, {"generator": card.weights["generator"]}, upstream, label=method)


def run_timing(settings: Settings, method: str) -> Manifest:
    """Publish the seconds per edit of a trained method. Raises as `shards.run_stage`."""
    stage = timing_stage(settings, base.describe(settings.domain), method)
    shards = [MethodShard("timings.parquet", method)]
    return run_stage(stage, settings, timing_shard, shards, units=[settings.experiment.n_timings], unit="edits")


def timing_shard(settings: Settings, shard: MethodShard, progress: Progress) -> ShardRecord:
    """Time single edits of the first face, after a few that are not counted."""
    import torch

    started = time.perf_counter()
    domain = base.load(settings.domain, settings.machine.device, settings.experiment.precision)
    method = load_method(settings, shard.method)
    _, faces = read_faces(settings, domain, 0, 1)
    strengths = strength_vectors(settings.experiment.attributes[0], faces.ws.new_ones(1))
    edit, both = [], []
    with torch.inference_mode():
        for repetition in range(WARM_UP + settings.experiment.n_timings):
            begin = _clock(domain)
            edited = method.edit_faces(faces, strengths)
            middle = _clock(domain)
            synthesise(domain, edited)
            end = _clock(domain)
            edit.append(middle - begin)
            both.append(end - begin)
            progress(repetition + 1, WARM_UP + settings.experiment.n_timings, "")
    columns = {
        "method": [shard.method] * settings.experiment.n_timings,
        "repetition": np.arange(settings.experiment.n_timings, dtype=np.int32),
        "seconds_per_edit": np.array(edit[WARM_UP:]),
        "seconds_per_edit_and_synthesis": np.array(both[WARM_UP:]),
    }
    folder = timing_stage(settings, domain.card, shard.method).folder(settings.outputs)
    return write_columns(folder, shard.name, columns, schemas.TIMINGS, time.perf_counter() - started)


def _clock(domain: Domain) -> float:
    """Seconds, once the device has done what it was given."""
    if domain.device.type == "cuda":
        import torch

        torch.cuda.synchronize(domain.device)
    return time.perf_counter()
