"""What the perception net sees in unedited images: of the quality reference, and of the faces that are edited."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from pipeline.chain.inputs import read_w
from pipeline.chain.sets import id_range
from pipeline.chain.views import see_latents, synthesise
from pipeline.chain.work import Kind, Recipe, Work
from pipeline.domains.base import DomainCard
from pipeline.execution.jobs import Progress
from pipeline.settings.experiment import BATCH
from pipeline.settings.settings import Settings
from pipeline.storage.stages import IdRange, ShardRecord, cut_ids
from pipeline.tables import schemas

if TYPE_CHECKING:
    from torch import Tensor

VERSION = 1
SETS = ("reference", "faces")  # of the quality reference, and of the faces that are edited


def recipe(settings: Settings, card: DomainCard, which: str) -> Recipe:
    """Perception vectors and logits of the unedited images of a set of latents."""
    parameters = {"batch": BATCH, **settings.experiment.rendering}
    label = "" if which == "reference" else which
    return Recipe(VERSION, parameters, ("generator", "perception"), (("latents", which),), label)


def cut(settings: Settings, which: str) -> list[IdRange]:
    """Runs of ids."""
    return cut_ids("features", *id_range(settings, which), settings.machine.shard_size)


def reference_shard(work: Work, ids: IdRange, progress: Progress) -> ShardRecord:
    """Generate unedited images of the latents and write what the perception net makes of them; runs on a worker."""
    started = time.perf_counter()
    domain = work.domain()
    found, w = read_w(work, work.name, ids.first, ids.stop)

    def see(ws: Tensor) -> tuple[np.ndarray, ...]:
        return tuple(seen.float().cpu().numpy() for seen in domain.perception.both(synthesise(domain, ws)))

    features, logits = see_latents(domain, w, see, progress)
    columns = {
        "attribute": [""] * len(found),
        "face_id": found,
        "step": np.zeros(len(found), np.int32),
        "feature": features,
        "logits": logits,
    }
    schema = schemas.features(work.card.feature_width, work.card.classes)
    return work.write(ids.name, columns, schema, started)


KIND = Kind("reference", recipe, cut, reference_shard, sets=SETS)
