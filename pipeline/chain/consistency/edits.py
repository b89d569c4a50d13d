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
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.attributes import NAMES, index_of
from pipeline.chain.face_blocks import FaceBlock, blocks, cut_faces, read_by_edits
from pipeline.chain.inputs import Spread, load_method, read_faces, read_range, read_spread
from pipeline.chain.views import displacement, synthesise
from pipeline.chain.work import Kind, Recipe, Work
from pipeline.domains.base import DomainCard
from pipeline.domains.microbatches import by_microbatch
from pipeline.execution.jobs import Progress
from pipeline.settings.settings import Settings
from pipeline.statistics.bootstrap import keyed_rng
from pipeline.statistics.units import logits_of
from pipeline.storage.stages import ShardRecord
from pipeline.tables.schemas import CONSISTENCY

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.domains.base import Domain
    from pipeline.methods.interface import Faces, Method

VERSION = 4
ROLES_READ = ("generator", "scorer_a", "scorer_b", "recognizer_b", "perception")
SHARD_FACES = 16  # at most so many make one shard


def recipe(settings: Settings, card: DomainCard, method: str) -> Recipe:
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
    return Recipe(VERSION, parameters, (*ROLES_READ, *own), read_by_edits(settings, method, "rates"))


def cut(settings: Settings, method: str) -> list[FaceBlock]:
    """Blocks of faces, of all attributes."""
    return blocks("consistency", cut_faces(settings.experiment.n_consistency_faces, SHARD_FACES))


def consistency_shard(work: Work, block: FaceBlock, progress: Progress) -> ShardRecord:
    """Edit, judge and write one block of faces; runs on a worker."""
    import torch

    started = time.perf_counter()
    domain, method = work.domain(), load_method(work)
    names, spread = work.experiment.attributes, read_spread(work)
    ranges = {name: read_range(work, name) for name in names}
    ends = {name: (limits["low"], limits["high"]) for name, limits in ranges.items()}
    with torch.inference_mode():
        ids, faces = read_faces(work, domain, block.first, block.stop, "rates")
        triples = [triple_of(work.experiment.seed, int(face), names) for face in ids]
        strengths = strengths_of(triples, faces.values.cpu().numpy(), ends, work.experiment.consistency_share)
        columns = reorder(domain, method, faces, triples, strengths, spread, progress)
    columns |= {
        "method": [work.name] * len(ids),
        "face_id": ids,
        "attributes": [list(triple) for triple in triples],
        "strengths": strengths.tolist(),
        "carried": [", ".join(method.carries) or None] * len(ids),
    }
    return work.write(block.name, columns, CONSISTENCY, started)


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
    alike = domain.separation
    sigma = torch.from_numpy(spread.b).to(faces.ws)  # NaN, and in no mean, for an attribute without a usable spread
    own = torch.tensor([[index_of(name) for name in triple] for triple in triples], device=faces.ws.device)
    apart = list(itertools.combinations(range(len(orders)), 2)) or [(0, 0)]  # of one attribute there is one order

    def mean(values: list[Tensor]) -> Tensor:
        return torch.stack(values).mean(dim=0)

    def see(rows: slice) -> dict[str, Tensor]:
        images = [synthesise(domain, ws[rows]) for ws in (*finals, at_once, undone, faces.ws)]
        seen = [(image, domain.perceive(image)[2]) for image in images]
        start, shown = images.pop(), seen.pop()
        logits = [
            (logits_of(domain.scorer_b(image)) / sigma).gather(1, own[rows]) for image in images[: len(orders) + 1]
        ]
        scores = torch.stack(logits[:-1])
        person = (domain.recognizer_b(images[-1]) * domain.recognizer_b(start)).sum(dim=1)
        return {
            "order_score_spread": scores.std(dim=0, correction=0).nanmean(dim=1),
            "order_lpips": mean([alike(seen[a], seen[b]) for a, b in apart]),
            "at_once_score_difference": (logits[-1] - scores.mean(dim=0)).abs().nanmean(dim=1),
            "at_once_lpips": mean([alike(seen[-2], other) for other in seen[: len(orders)]]),
            "undo_identity_recognizer_b": (1 - person).clamp(min=0.0),
            "undo_lpips": alike(seen[-1], shown),
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
    read = by_microbatch(domain, lambda rows: domain.scorer_a(synthesise(domain, after.ws[rows])), len(after.ws))
    return replace(after, values=torch.where(unknown, torch.cat(read).to(after.values), after.values))


KIND = Kind("consistency", recipe, cut, consistency_shard, "faces", methods=True, shown=True, tables=("consistency",))
