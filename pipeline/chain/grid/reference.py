"""What the perception net sees in unedited images: of the quality reference, and of the faces that are edited."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.chain.grid.shards import write_columns
from pipeline.chain.latents import id_range, latents_stage, read_w
from pipeline.chain.views import (
    synthesise,
)
from pipeline.domains import base
from pipeline.domains.base import DomainCard
from pipeline.domains.microbatches import by_microbatch
from pipeline.execution.shards import Progress, run_stage
from pipeline.settings.experiment import BATCH
from pipeline.settings.settings import Settings
from pipeline.storage.stages import Manifest, ShardRecord, Stage, cut_ids
from pipeline.tables import schemas

if TYPE_CHECKING:
    from torch import Tensor


VERSION = 1


@dataclass(frozen=True)
class ReferenceShard:
    """The latents of a set with ids `first` to `stop` - 1."""

    name: str
    which: str
    first: int
    stop: int


def reference_stage(settings: Settings, card: DomainCard, which: str = "reference") -> Stage:
    """Perception vectors and logits of unedited images: of the reference latents, or of the faces that are edited."""
    weights = {role: card.weights[role] for role in ("generator", "perception")}
    parameters = {"batch": BATCH, **settings.experiment.rendering}
    label = "" if which == "reference" else which
    return Stage("reference", VERSION, parameters, weights, (latents_stage(settings, card, which),), label=label)


def run_reference(settings: Settings, which: str = "reference") -> Manifest:
    """Publish what the perception net sees in a published set of latents. Raises as `shards.run_stage`."""
    stage = reference_stage(settings, base.describe(settings.domain), which)
    cuts = cut_ids("features", *id_range(settings, which), settings.machine.shard_size)
    shards = [ReferenceShard(cut.name, which, cut.first, cut.stop) for cut in cuts]
    units = [shard.stop - shard.first for shard in shards]
    return run_stage(stage, settings, reference_shard, shards, units=units, unit="images")


def reference_shard(settings: Settings, shard: ReferenceShard, progress: Progress) -> ShardRecord:
    """Generate unedited images of the latents and write what the perception net makes of them."""
    import torch

    started = time.perf_counter()
    domain = base.load(settings.domain, settings.machine.device, settings.experiment.precision)
    ids, w = read_w(settings, shard.which, shard.first, shard.stop)
    parts: list[tuple[np.ndarray, ...]] = []
    with torch.inference_mode():
        for start in range(0, len(ids), BATCH):
            ws = domain.generator.mapping.broadcast(torch.from_numpy(w[start : start + BATCH]).to(domain.device))

            def see(lot: slice, ws: Tensor = ws) -> tuple[np.ndarray, ...]:
                return tuple(
                    found.float().cpu().numpy() for found in domain.perception.both(synthesise(domain, ws[lot]))
                )

            parts += by_microbatch(domain, see, len(ws))
            progress(min(start + BATCH, len(ids)), len(ids), "")
    features, logits = (np.concatenate(found) for found in zip(*parts, strict=True))
    columns = {
        "attribute": [""] * len(ids),
        "face_id": ids,
        "step": np.zeros(len(ids), np.int32),
        "feature": features,
        "logits": logits,
    }
    folder = reference_stage(settings, domain.card, shard.which).folder(settings.outputs)
    schema = schemas.features(domain.card.feature_width, domain.card.classes)
    return write_columns(folder, shard.name, columns, schema, time.perf_counter() - started)
