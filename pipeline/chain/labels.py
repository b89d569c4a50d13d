"""Labels: every latent's image, scorer A's 35 values of it, and whether the detector finds a face.

Images are made and judged in batches of BATCH consecutive ids, cut at multiples of BATCH from the set's first
id, on every machine, each in micro-batches that fit into memory (`microbatches.py`); no image is stored.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from pipeline.attributes import LIST_VERSION, NAMES
from pipeline.chain.inputs import read_w
from pipeline.chain.sets import LABELLED, id_range
from pipeline.chain.work import Kind, Recipe, Work
from pipeline.domains.base import DomainCard
from pipeline.domains.microbatches import by_microbatch, generate
from pipeline.errors import UnknownNameError
from pipeline.execution.jobs import Progress
from pipeline.settings.experiment import BATCH
from pipeline.settings.settings import Settings
from pipeline.storage.stages import IdRange, ShardRecord, cut_ids
from pipeline.tables.parquet import value_columns
from pipeline.tables.schemas import LABELS

if TYPE_CHECKING:
    from pipeline.domains.base import Domain

VERSION = 1


def recipe(settings: Settings, card: DomainCard, which: str) -> Recipe:
    """The labels of one of LABELLED. Raises UnknownNameError."""
    if which not in LABELLED:
        raise UnknownNameError("labelled set", which, LABELLED)
    parameters = {
        "attribute_list": LIST_VERSION,
        "batch": BATCH,
        "detection_threshold": settings.experiment.detection_threshold,
        **settings.experiment.rendering,
    }
    return Recipe(VERSION, parameters, ("generator", "scorer_a", "detector"), (("latents", which),))


def cut(settings: Settings, which: str) -> list[IdRange]:
    """Runs of ids."""
    return cut_ids("labels", *id_range(settings, which), settings.machine.shard_size)


def label_shard(work: Work, ids: IdRange, progress: Progress) -> ShardRecord:
    """Generate, judge and write one shard; runs on a worker."""
    started = time.perf_counter()
    domain = work.domain()
    found, w = read_w(work, work.name, ids.first, ids.stop)
    values = np.empty((len(w), len(NAMES)), np.float32)
    probability = np.empty(len(w), np.float32)
    for start in range(0, len(w), BATCH):
        batch = slice(start, min(start + BATCH, len(w)))
        values[batch], probability[batch] = label_images(domain, w[batch], work.experiment.detection_threshold)
        progress(batch.stop, len(w), "")
    columns = {"latent_id": found, **value_columns(values), "face_probability": probability}
    return work.write(ids.name, columns, LABELS, started, ids.limits)


def label_images(domain: Domain, w: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Scorer A's values (N, 35) and the face probability (N,) of G(w), w (N, 512) float32.

    The probability is 0 where the detector finds no face that is at least as probable as the threshold.
    """
    import torch

    def see(rows: slice) -> tuple[np.ndarray, np.ndarray]:
        ws = domain.generator.mapping.broadcast(torch.from_numpy(w[rows]).to(domain.device))
        images = generate(domain, ws)
        values = domain.scorer_a(images)
        detection = domain.detector.detect(images, threshold=threshold)
        probability = torch.where(detection.found, detection.probability, 0.0)
        return values.float().cpu().numpy(), probability.float().cpu().numpy()

    with torch.inference_mode():
        values, probability = zip(*by_microbatch(domain, see, len(w)), strict=True)
    return np.concatenate(values), np.concatenate(probability)


KIND = Kind("labels", recipe, cut, label_shard, sets=LABELLED)
