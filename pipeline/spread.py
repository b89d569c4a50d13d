"""Spread: how far scorers' logits differ from one unedited image to another, which is the unit of a matched change.

The benchmark of StyleSpace (Wu et al., CVPR 2021) measures a change in standard deviations of the logit over generated
images. Ours are the first `n_spread` images of the quality reference; every image's 70 logits are kept, by scorer A
(which strengths are searched by) and scorer B (which reports), so that no shard's cut enters a standard deviation.

The same images say, for rate curves, where scorer B cuts a continuous attribute in two (at its median), and how near
recognizer B sees two different persons.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.attributes import ATTRIBUTES, LIST_VERSION
from pipeline.compute import Progress, run_stage
from pipeline.config import Settings, batch_of
from pipeline.domains import base
from pipeline.domains.base import DomainCard
from pipeline.latents import id_range, latents_stage, read_w
from pipeline.schemas import SPREAD
from pipeline.stages import Manifest, ShardRecord, Stage, cut_ids, write_shard
from pipeline.tables import read_stage, vectors, write_table

if TYPE_CHECKING:
    from torch import Tensor

VERSION = 1
LARGEST_LOGIT = 7.0  # beyond, a value is 0 or 1 to three digits, and its logit is noise
SMALLEST_SIGMA = 1e-3  # an attribute whose logit spreads less does not vary here: changes of it have no unit


@dataclass(frozen=True)
class SpreadShard:
    """Reference latents with ids `first` to `stop` - 1."""

    name: str
    first: int
    stop: int


@dataclass(frozen=True)
class Spread:
    """Standard deviations (35,) float64 of the logits of scorer A and B; NaN for what does not vary."""

    a: np.ndarray
    b: np.ndarray


@dataclass(frozen=True)
class Limits:
    """Where judges draw lines, by unedited images.

    cuts (35,) float32: the logit by scorer B over which an attribute's label is true: 0 for a binary one, the median
    for a continuous one. persons (N, D) float32: recognizer B's embeddings.
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
        "n_spread": settings.protocol.n_spread,
        "largest_logit": LARGEST_LOGIT,
        "batch": batch_of(card.resolution),
    }
    weights = {role: card.weights[role] for role in ("generator", "scorer_a", "scorer_b", "recognizer_b")}
    return Stage("spread", VERSION, parameters, weights, (latents_stage(settings, card, "reference"),))


def run_spread(settings: Settings) -> Manifest:
    """Publish the spread, whose reference latents must be published. Raises as `compute.run_stage`."""
    stage = spread_stage(settings, base.describe(settings.domain))
    first, _ = id_range(settings, "reference")
    cuts = cut_ids("spread", first, settings.protocol.n_spread, settings.machine.shard_size)
    shards = [SpreadShard(cut.name, cut.first, cut.stop) for cut in cuts]
    units = [shard.stop - shard.first for shard in shards]
    return run_stage(stage, settings, spread_shard, shards, units=units, unit="images")


def read_spread(settings: Settings) -> Spread:
    """The standard deviations. Raises StageError if they are not published, CorruptShardError."""
    table = read_stage(spread_stage(settings, base.describe(settings.domain)), settings.outputs, SPREAD)
    return Spread(*(_deviations(vectors(table, name)) for name in ("logits_a", "logits_b")))


def read_limits(settings: Settings) -> Limits:
    """Where judges draw lines. Raises StageError if the spread is not published, CorruptShardError."""
    table = read_stage(spread_stage(settings, base.describe(settings.domain)), settings.outputs, SPREAD)
    binary = np.array([attribute.kind == "binary" for attribute in ATTRIBUTES])
    cuts = np.where(binary, 0.0, np.median(vectors(table, "logits_b"), axis=0)).astype(np.float32)
    return Limits(cuts, np.stack(table.column("identity_b").to_numpy(zero_copy_only=False)))


def logits_of(values: Tensor) -> Tensor:
    """Logits (N, 35) of a scorer's values in [0, 1], cut at +-LARGEST_LOGIT; float32."""
    return values.float().logit().clamp(-LARGEST_LOGIT, LARGEST_LOGIT)


def spread_shard(settings: Settings, shard: SpreadShard, progress: Progress) -> ShardRecord:
    """Generate, judge and write one shard; runs on a worker."""
    import torch

    started = time.perf_counter()
    domain = base.load(settings.domain, settings.machine.device)
    ids, w = read_w(settings, "reference", shard.first, shard.stop)
    found: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    persons: list[np.ndarray] = []
    size = batch_of(domain.card.resolution)
    with torch.inference_mode():
        for start in range(0, len(ids), size):
            ws = domain.generator.mapping.broadcast(torch.from_numpy(w[start : start + size]).to(domain.device))
            images = domain.generator.synthesis(ws).clamp(-1.0, 1.0)
            for kept, scorer in zip(found, (domain.scorer_a, domain.scorer_b), strict=True):
                kept.append(logits_of(scorer(images)).cpu().numpy())
            persons += list(domain.recognizer_b(images).cpu().numpy())
            progress(min(start + size, len(ids)), len(ids), "")
    columns: dict[str, Any] = {"latent_id": ids, "identity_b": persons}
    columns |= {"logits_a": np.concatenate(found[0]), "logits_b": np.concatenate(found[1])}
    folder = spread_stage(settings, domain.card).folder(settings.outputs)
    seconds = time.perf_counter() - started
    return write_shard(folder, shard.name, lambda path: write_table(columns, SPREAD, path), seconds=seconds)


def _deviations(logits: np.ndarray) -> np.ndarray:
    sigma = logits.astype(np.float64).std(axis=0)
    return np.where(sigma < SMALLEST_SIGMA, np.nan, sigma)
