"""Labels: every latent's image, scorer A's 35 values of it, and whether the detector finds a face.

Images are made and judged in batches of BATCH consecutive ids, cut at multiples of BATCH from the set's first
id, on every machine, each in micro-batches that fit into memory (`microbatches.py`); no image is stored.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.attributes import LIST_VERSION, NAMES
from pipeline.chain.latents import id_range, latents_stage, read_w
from pipeline.domains import base
from pipeline.domains.base import DomainCard
from pipeline.domains.microbatches import by_microbatch
from pipeline.errors import UnknownNameError
from pipeline.execution.shards import Progress, run_stage
from pipeline.settings.experiment import BATCH
from pipeline.settings.settings import Settings
from pipeline.storage.stages import Manifest, ShardRecord, Stage, cut_ids, write_shard
from pipeline.tables.parquet import read_stage, value_columns, values_of, write_table
from pipeline.tables.schemas import LABELS, VALUE_COLUMNS

if TYPE_CHECKING:
    from pipeline.domains.base import Domain

VERSION = 1
SETS = ("train", "faces", "matched", "rates")


@dataclass(frozen=True)
class LabelShard:
    """Ids first to stop - 1 of one labelled set."""

    which: str
    name: str
    first: int
    stop: int


def labels_stage(settings: Settings, card: DomainCard, which: str) -> Stage:
    """The stage of the labels of one of SETS. Raises UnknownNameError."""
    if which not in SETS:
        raise UnknownNameError("labelled set", which, SETS)
    roles = ("generator", "scorer_a", "detector")
    parameters = {
        "attribute_list": LIST_VERSION,
        "batch": BATCH,
        "detection_threshold": settings.experiment.detection_threshold,
        **settings.experiment.rendering,
    }
    weights = {role: card.weights[role] for role in roles}
    return Stage("labels", VERSION, parameters, weights, (latents_stage(settings, card, which),), label=which)


def run_labels(settings: Settings, which: str) -> Manifest:
    """Publish the labels of one set, whose latents must be published. Raises as `shards.run_stage`."""
    stage = labels_stage(settings, base.describe(settings.domain), which)
    cuts = cut_ids("labels", *id_range(settings, which), settings.machine.shard_size)
    shards = [LabelShard(which, cut.name, cut.first, cut.stop) for cut in cuts]
    units = [shard.stop - shard.first for shard in shards]
    return run_stage(stage, settings, label_shard, shards, units=units, unit="images")


def read_values(settings: Settings, which: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ids (N,) int64, scorer A's values (N, 35) in [0, 1] and face probability (N,), both float32.

    Raises StageError if the labels are not published, CorruptShardError naming a file that differs.
    """
    stage = labels_stage(settings, base.describe(settings.domain), which)
    table = read_stage(stage, settings.outputs, LABELS, ["latent_id", *VALUE_COLUMNS, "face_probability"])
    return (
        table.column("latent_id").to_numpy(),
        values_of(table),
        table.column("face_probability").to_numpy(),
    )


def label_shard(settings: Settings, shard: LabelShard, progress: Progress) -> ShardRecord:
    """Generate, judge and write one shard; runs on a worker."""
    started = time.perf_counter()
    domain = base.load(settings.domain, settings.machine.device, settings.experiment.precision)
    ids, w = read_w(settings, shard.which, shard.first, shard.stop)
    values = np.empty((len(ids), len(NAMES)), np.float32)
    probability = np.empty(len(ids), np.float32)
    for start in range(0, len(ids), BATCH):
        batch = slice(start, min(start + BATCH, len(ids)))
        values[batch], probability[batch] = label_images(domain, w[batch], settings.experiment.detection_threshold)
        progress(batch.stop, len(ids), "")
    stage = labels_stage(settings, base.describe(settings.domain), shard.which)
    columns = {"latent_id": ids, **value_columns(values), "face_probability": probability}
    return write_shard(
        stage.folder(settings.outputs),
        shard.name,
        lambda path: write_table(columns, LABELS, path),
        {"first": shard.first, "stop": shard.stop},
        seconds=time.perf_counter() - started,
    )


def label_images(domain: Domain, w: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Scorer A's values (N, 35) and the face probability (N,) of G(w), w (N, 512) float32.

    The probability is 0 where the detector finds no face that is at least as probable as the threshold.
    """
    import torch

    def see(rows: slice) -> tuple[np.ndarray, np.ndarray]:
        ws = domain.generator.mapping.broadcast(torch.from_numpy(w[rows]).to(domain.device))
        images = domain.generator.synthesis(ws)
        values = domain.scorer_a(images)
        detection = domain.detector.detect(images, threshold=threshold)
        probability = torch.where(detection.found, detection.probability, 0.0)
        return values.float().cpu().numpy(), probability.float().cpu().numpy()

    with torch.inference_mode():
        values, probability = zip(*by_microbatch(domain, see, len(w)), strict=True)
    return np.concatenate(values), np.concatenate(probability)
