"""Consistency: three attributes edited one after another in every order, all at once, and one edited and undone.

Abdal et al., "StyleFlow: Attribute-conditioned Exploration of StyleGAN-Generated Images using Conditional Continuous
Normalizing Flows", TOG 2021, section 5 (edit consistency under changed orders), and the cycle of Khodadadeh et al.,
"Latent to Latent", WACV 2022. Every face gets one triple of the protocol's attributes, drawn by (seed, face), and for
each a strength of `consistency_share` of the end of the method's calibrated range on the side where the face has room:
up where scorer A's value is below one half, else down. An edit starts from the faces that the last one answered, and
from what their method carries: `interfacegan_z` the edited z, `styleflow` the values that it was asked for, as its
authors do. Values that the method does not carry are read again by scorer A off the image that the last edit made.
Adding a vector to w commutes and undoes exactly, so these numbers tell nonlinear methods apart; a method that hardly
edits is consistent too, so how far the edits went stands beside them.

Shards are blocks of faces whose limits are fixed, so that every bit is the same on any number of workers.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.attributes import NAMES, index_of
from pipeline.chain.calibration import read_range
from pipeline.chain.face_blocks import FaceBlock, blocks, upstream, write_block
from pipeline.chain.spread import Spread, read_spread
from pipeline.chain.views import displacement, synthesise
from pipeline.domains import base
from pipeline.domains.base import DomainCard
from pipeline.domains.microbatches import by_microbatch
from pipeline.execution.shards import Progress, run_stage
from pipeline.settings.settings import Settings
from pipeline.statistics.bootstrap import keyed_rng
from pipeline.statistics.units import logits_of
from pipeline.storage.stages import Manifest, ShardRecord, Stage
from pipeline.tables.schemas import CONSISTENCY

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.domains.base import Domain
    from pipeline.methods.interface import Faces, Method

VERSION = 3
ROLES_READ = ("generator", "scorer_a", "scorer_b", "recognizer_b", "perception")
SHARD_FACES = 16  # at most so many make one shard


def consistency_stage(settings: Settings, card: DomainCard, method: str) -> Stage:
    """A method's edits in every order, at once, and undone."""
    experiment = settings.experiment
    parameters = {
        "method": method,
        "attributes": list(experiment.attributes),
        "n_faces": experiment.n_consistency_faces,
        "share": experiment.consistency_share,
        "seed": experiment.seed,
        "shard_faces": SHARD_FACES,
    }
    own = ("lpips",) if "lpips" in card.weights else ()
    weights = {role: card.weights[role] for role in (*ROLES_READ, *own)}
    return Stage("consistency", VERSION, parameters, weights, upstream(settings, card, method, "rates"), label=method)


def run_consistency(settings: Settings, method: str) -> Manifest:
    """Publish a calibrated method's edits in every order. Raises as `shards.run_stage`."""
    shards = blocks("consistency", method, settings.experiment.n_consistency_faces, SHARD_FACES)
    stage = consistency_stage(settings, base.describe(settings.domain), method)
    units = [shard.count for shard in shards]
    return run_stage(stage, settings, consistency_shard, shards, units=units, unit="faces")


def consistency_shard(settings: Settings, block: FaceBlock, progress: Progress) -> ShardRecord:
    """Edit, judge and write one block of faces; runs on a worker."""
    stage = consistency_stage(settings, base.describe(settings.domain), block.method)
    names, share = settings.experiment.attributes, settings.experiment.consistency_share
    ranges = {name: read_range(settings, block.method, name) for name in names}
    ends = {name: (limits["low"], limits["high"]) for name, limits in ranges.items()}
    spread = read_spread(settings)

    def edit(domain: Domain, method: Method, ids: np.ndarray, faces: Faces) -> dict[str, Any]:
        triples = [triple_of(settings.experiment.seed, int(face), names) for face in ids]
        strengths = strengths_of(triples, faces.values.cpu().numpy(), ends, share)
        return reorder(domain, method, faces, triples, strengths, spread, progress) | {
            "method": [block.method] * len(ids),
            "face_id": ids,
            "attributes": [list(triple) for triple in triples],
            "strengths": strengths.tolist(),
            "carried": [", ".join(method.carries) or None] * len(ids),
        }

    return write_block(settings, stage, block, "rates", CONSISTENCY, edit)


def triple_of(seed: int, face: int, names: tuple[str, ...]) -> tuple[str, ...]:
    """Three different attributes of `names` (all, if there are fewer), by (seed, face) alone."""
    chosen = keyed_rng(seed, "triple", str(face)).permutation(len(names))[:3]
    return tuple(names[place] for place in sorted(chosen.tolist()))


def strengths_of(
    triples: list[tuple[str, ...]], values: np.ndarray, ends: dict[str, tuple[float, float]], share: float
) -> np.ndarray:
    """Strengths (N, 3) of each face's attributes; values (N, 35) by scorer A."""
    found = [
        [share * ends[name][1 if value[index_of(name)] < 0.5 else 0] for name in triple]
        for triple, value in zip(triples, values, strict=True)
    ]
    return np.array(found, dtype=np.float64)


def reorder(
    domain: Domain,
    method: Method,
    faces: Faces,
    triples: list[tuple[str, ...]],
    strengths: np.ndarray,
    spread: Spread,
    progress: Progress,
) -> dict[str, Any]:
    """Columns of `consistency` of some faces: what the order, doing all at once, and undoing change."""
    import torch

    count, width = len(faces.ws), strengths.shape[1]
    vectors = torch.zeros(width, count, len(NAMES), device=faces.ws.device)
    for place in range(width):
        columns = torch.tensor([index_of(triple[place]) for triple in triples])
        vectors[place, torch.arange(count), columns] = torch.from_numpy(strengths[:, place]).to(vectors)
    orders = tuple(itertools.permutations(range(width)))
    made: dict[tuple[int, ...], Faces] = {(): faces}
    steps = sorted({order[:length] for order in orders for length in range(1, width + 1)}, key=lambda s: (len(s), s))
    for done, step in enumerate(steps):
        made[step] = edited(domain, method, made[step[:-1]], vectors[step[-1]])
        progress(done, len(steps) + 2, "")
    finals = [made[order].ws for order in orders]
    at_once = method.edited(faces, vectors.sum(dim=0)).ws
    undone = edited(domain, method, made[(0,)], -vectors[0]).ws
    alike = domain.perceptual_distance
    sigma = torch.from_numpy(spread.b).to(faces.ws)  # NaN, and in no mean, for an attribute without a usable spread
    own = torch.tensor([[index_of(name) for name in triple] for triple in triples], device=faces.ws.device)
    apart = list(itertools.combinations(range(len(orders)), 2)) or [(0, 0)]  # of one attribute there is one order

    def mean(values: list[Tensor]) -> Tensor:
        return torch.stack(values).mean(dim=0)

    def see(lot: slice) -> dict[str, Tensor]:
        images = [synthesise(domain, ws[lot]) for ws in (*finals, at_once, undone, faces.ws)]
        start = images.pop()
        logits = [
            (logits_of(domain.scorer_b(image)) / sigma).gather(1, own[lot]) for image in images[: len(orders) + 1]
        ]
        scores = torch.stack(logits[:-1])
        person = (domain.recognizer_b(images[-1]) * domain.recognizer_b(start)).sum(dim=1)
        return {
            "order_score_spread": scores.std(dim=0, correction=0).nanmean(dim=1),
            "order_lpips": mean([alike(images[a], images[b]) for a, b in apart]),
            "at_once_score_difference": (logits[-1] - scores.mean(dim=0)).abs().nanmean(dim=1),
            "at_once_lpips": mean([alike(images[-2], image) for image in images[: len(orders)]]),
            "undo_identity_recognizer_b": (1 - person).clamp(min=0.0),
            "undo_lpips": alike(images[-1], start),
        }

    parts = by_microbatch(domain, see, count)
    progress(1, 1, "")
    columns_of = {name: torch.cat([part[name] for part in parts]) for name in parts[0]} | {
        "displacement": mean([displacement(domain, ws, faces.ws) for ws in finals]),
        "order_displacement": mean([displacement(domain, finals[a], finals[b]) for a, b in apart]),
        "at_once_displacement": mean([displacement(domain, at_once, ws) for ws in finals]),
        "undo_displacement": displacement(domain, undone, faces.ws),
    }
    return {name: values.float().cpu().numpy() for name, values in columns_of.items()}


def edited(domain: Domain, method: Method, faces: Faces, vectors: Tensor) -> Faces:
    """The faces after an edit of strengths (N, 35); scorer A reads off their images the values that nobody knows."""
    import torch

    after = method.edited(faces, vectors)
    unknown = after.values.isnan()
    if not unknown.any():
        return after
    read = by_microbatch(domain, lambda lot: domain.scorer_a(synthesise(domain, after.ws[lot])), len(after.ws))
    return replace(after, values=torch.where(unknown, torch.cat(read).to(after.values), after.values))
