"""Spread: how far scorers' logits differ from one unedited image to another, which is the unit of a matched change.

The benchmark of StyleSpace (Wu et al., CVPR 2021) measures a change in standard deviations of the logit over generated
images. Ours are the first `n_spread` images of the quality reference; every image's 70 logits are kept, by scorer A
(which strengths are searched by) and scorer B (which reports), so that no shard's cut enters a standard deviation.

Not every attribute has such a unit: `pipeline.statistics.units` says which are left out.

The same images say, for rate curves, where scorer B cuts a continuous attribute in two (at its median), and how near
recognizer B sees two different persons.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.attributes import LIST_VERSION
from pipeline.chain.latents import id_range, latents_stage, read_w
from pipeline.domains import base
from pipeline.domains.base import DomainCard
from pipeline.domains.microbatches import by_microbatch
from pipeline.execution.shards import Progress, run_stage
from pipeline.settings.experiment import BATCH
from pipeline.settings.settings import Settings
from pipeline.statistics.units import LARGEST_LOGIT, Units, label_cuts, logits_of
from pipeline.storage.stages import Manifest, ShardRecord, Stage, cut_ids, write_shard
from pipeline.tables.parquet import read_stage, vectors, write_table
from pipeline.tables.schemas import SPREAD

if TYPE_CHECKING:
    from torch import Tensor

VERSION = 1


@dataclass(frozen=True)
class SpreadShard:
    """Reference latents with ids `first` to `stop` - 1."""

    name: str
    first: int
    stop: int


@dataclass(frozen=True)
class Spread:
    """Standard deviations (35,) float64 of the logits of scorer A and B; NaN for what has no usable one."""

    a: np.ndarray
    b: np.ndarray


@dataclass(frozen=True)
class Limits:
    """Where judges draw lines, by unedited images.

    cuts (35,) float32: the logit by scorer B over which an attribute's label is true, as `label_cuts`. persons (N, D)
    float32: recognizer B's embeddings.
    """

    cuts: np.ndarray
    persons: np.ndarray

    def acceptance_distance(self, false_accept_rate: float) -> float:
        """The distance within which recognizer B accepts that share of all pairs of different images."""
        cosine = self.persons.astype(np.float64) @ self.persons.astype(np.float64).T
        return float(np.quantile(1 - cosine[np.triu_indices(len(cosine), 1)], false_accept_rate))


def spread_stage(settings: Settings, card: DomainCard) -> Stage:
    """The logits of unedited images by both scorers."""
    parameters = {
        "attribute_list": LIST_VERSION,
        "n_spread": settings.experiment.n_spread,
        "largest_logit": LARGEST_LOGIT,
        "batch": BATCH,
        **settings.experiment.rendering,
    }
    weights = {role: card.weights[role] for role in ("generator", "scorer_a", "scorer_b", "recognizer_b")}
    return Stage("spread", VERSION, parameters, weights, (latents_stage(settings, card, "reference"),))


def run_spread(settings: Settings) -> Manifest:
    """Publish the spread, whose reference latents must be published. Raises as `shards.run_stage`."""
    stage = spread_stage(settings, base.describe(settings.domain))
    first, _ = id_range(settings, "reference")
    cuts = cut_ids("spread", first, settings.experiment.n_spread, settings.machine.shard_size)
    shards = [SpreadShard(cut.name, cut.first, cut.stop) for cut in cuts]
    units = [shard.stop - shard.first for shard in shards]
    return run_stage(stage, settings, spread_shard, shards, units=units, unit="images")


def read_spread(settings: Settings) -> Spread:
    """The standard deviations. Raises StageError if they are not published, CorruptShardError."""
    table = read_stage(spread_stage(settings, base.describe(settings.domain)), settings.outputs, SPREAD)
    return Spread(*(Units.of(vectors(table, name)).deviations for name in ("logits_a", "logits_b")))


def read_units(settings: Settings) -> dict[str, Units]:
    """Of `scorer_a` and `scorer_b`. Raises StageError if they are not published, CorruptShardError."""
    table = read_stage(spread_stage(settings, base.describe(settings.domain)), settings.outputs, SPREAD)
    return {f"scorer_{name}": Units.of(vectors(table, f"logits_{name}")) for name in ("a", "b")}


def read_limits(settings: Settings) -> Limits:
    """Where judges draw lines. Raises StageError if the spread is not published, CorruptShardError."""
    table = read_stage(spread_stage(settings, base.describe(settings.domain)), settings.outputs, SPREAD)
    cuts = label_cuts(vectors(table, "logits_b"))
    return Limits(cuts, np.stack(table.column("identity_b").to_numpy(zero_copy_only=False)))


def spread_shard(settings: Settings, shard: SpreadShard, progress: Progress) -> ShardRecord:
    """Generate, judge and write one shard; runs on a worker."""
    import torch

    started = time.perf_counter()
    domain = base.load(settings.domain, settings.machine.device, settings.experiment.precision)
    ids, w = read_w(settings, "reference", shard.first, shard.stop)
    parts: list[tuple[np.ndarray, ...]] = []
    with torch.inference_mode():
        for start in range(0, len(ids), BATCH):
            ws = domain.generator.mapping.broadcast(torch.from_numpy(w[start : start + BATCH]).to(domain.device))

            def see(lot: slice, ws: Tensor = ws) -> tuple[np.ndarray, ...]:
                images = domain.generator.synthesis(ws[lot]).clamp(-1.0, 1.0)
                logits = (logits_of(scorer(images)).cpu().numpy() for scorer in (domain.scorer_a, domain.scorer_b))
                return *logits, domain.recognizer_b(images).cpu().numpy()

            parts += by_microbatch(domain, see, len(ws))
            progress(min(start + BATCH, len(ids)), len(ids), "")
    logits_a, logits_b, persons = (np.concatenate(found) for found in zip(*parts, strict=True))
    columns: dict[str, Any] = {"latent_id": ids, "logits_a": logits_a, "logits_b": logits_b}
    columns["identity_b"] = list(persons)
    folder = spread_stage(settings, domain.card).folder(settings.outputs)
    seconds = time.perf_counter() - started
    return write_shard(folder, shard.name, lambda path: write_table(columns, SPREAD, path), seconds=seconds)
