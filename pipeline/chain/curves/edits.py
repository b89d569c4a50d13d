"""Edits for rate curves: each face is edited towards the other side of its label, up to the method's largest strength.

Yao et al., "A Latent Transformer for Disentangled Face Editing in Images and Videos", ICCV 2021, section 4. A label is
what scorer B says: a binary attribute's is its value over one half, a continuous one's over its median over unedited
images (`pipeline.chain.spread`). A label flips, or is lost, where the logit is beyond that line by more than
LOGIT_NOISE: by less, a scorer's answers differ for one image in two batches. The largest strength is the end of the
method's calibrated range on the side that raises the attribute for a face below the label, on the other side for a face
above. What becomes of the edits is in `pipeline/metrics/curves.py`.

A face counts as accepted where recognizer B's distance to the unedited image is at most the threshold at which, of all
pairs of different unedited images, a share of `false_accept_rate` would be accepted.

Shards are blocks of faces of one attribute, whose limits are fixed, so that batches, and every bit, are the same on any
number of workers.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.attributes import NAMES
from pipeline.chain.editor import Editor
from pipeline.chain.face_blocks import FaceBlock, blocks, cut_faces, read_by_edits
from pipeline.chain.inputs import Thresholds, load_method, read_faces, read_range, read_thresholds
from pipeline.chain.views import displacement, synthesise
from pipeline.chain.work import Kind, Recipe, Work
from pipeline.domains.base import DomainCard
from pipeline.domains.microbatches import by_microbatch
from pipeline.execution.jobs import Progress
from pipeline.settings.experiment import BATCH
from pipeline.settings.settings import Settings
from pipeline.statistics.units import LOGIT_NOISE, logits_of
from pipeline.storage.stages import ShardRecord, Stage
from pipeline.tables.schemas import RATES

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.domains.base import Domain
    from pipeline.methods.interface import Faces, Method

VERSION = 2
ROLES_READ = ("generator", "scorer_b", "recognizer_b", "detector")
SHARD_FACES = 50  # at most so many make one shard of an attribute
KEPT_BLOCKS = 400  # whose unedited faces stay judged in a process: 8 MB of 20,000 faces


@dataclass(frozen=True)
class CurveRequest:
    """What a block of edits needs to know: the ends of the method's range, and the protocol's numbers."""

    attribute: str
    low: float
    high: float
    strengths: int
    threshold: float


def recipe(settings: Settings, card: DomainCard, method: str) -> Recipe:
    """The edits of a method for its rate curves, over every attribute of the protocol."""
    experiment = settings.experiment
    parameters = {
        "method": method,
        "attributes": list(experiment.attributes),
        "strengths": experiment.rate_strengths,
        "false_accept_rate": experiment.false_accept_rate,
        "detection_threshold": experiment.detection_threshold,
        "batch": BATCH,
        "shard_faces": SHARD_FACES,
    }
    return Recipe(VERSION, parameters, ROLES_READ, read_by_edits(settings, method, "rates"))


def cut(settings: Settings, method: str) -> list[FaceBlock]:
    """Blocks of faces, attribute by attribute."""
    experiment = settings.experiment
    cuts = cut_faces(experiment.n_rate_faces, SHARD_FACES)
    return blocks("rates", cuts, experiment.attributes, experiment.rate_strengths)


def rates_shard(work: Work, block: FaceBlock, progress: Progress) -> ShardRecord:
    """Edit, judge and write one block of faces; runs on a worker."""
    import torch

    started = time.perf_counter()
    domain, method = work.domain(), load_method(work)
    experiment, ends = work.experiment, read_range(work, block.attribute)
    request = CurveRequest(
        block.attribute,
        ends["low"],
        ends["high"],
        experiment.rate_strengths,
        experiment.detection_threshold,
    )
    with torch.inference_mode():
        ids, faces = read_faces(work, domain, block.first, block.stop, "rates")
        before = judged_unedited(Unedited.of(work, block))
        columns = edit_across_label(domain, method, ids, faces, before, request, read_thresholds(work), progress)
    return work.write(block.name, columns, RATES, started)


def edit_across_label(
    domain: Domain,
    method: Method,
    ids: np.ndarray,
    faces: Faces,
    before: tuple[Tensor, Tensor],
    request: CurveRequest,
    limits: Thresholds,
    progress: Progress,
) -> dict[str, Any]:
    """Columns of `rates` of some faces, by face and strength; ids (N,); `before` as `judged_unedited`."""
    import torch

    editor = Editor(domain, method, faces, request.attribute)
    column, cuts = editor.column, torch.from_numpy(limits.cuts)
    unedited_logits, persons = before
    labels = unedited_logits > cuts
    end = torch.where(labels[:, column], request.low, request.high).double()
    face = torch.arange(len(ids)).repeat_interleave(request.strengths)
    index = torch.arange(1, request.strengths + 1).repeat(len(ids))
    strength = end[face] * index / request.strengths
    others = [place for place in range(len(NAMES)) if place != column]
    parts: list[dict[str, Tensor]] = []
    for start in range(0, len(face), BATCH):
        rows = slice(start, start + BATCH)
        own = face[rows]
        edited_ws = editor.edit(strength[rows].numpy(), own.numpy())
        judged = _judged(domain, edited_ws, request.threshold)
        logits, person, found = (torch.cat([part[place] for part in judged]) for place in range(3))
        distance = (1 - (person * persons[own]).sum(dim=1)).clamp(min=0.0)
        same = kept(labels[own], logits, cuts)
        parts.append(
            {
                "displacement": displacement(domain, edited_ws, faces.ws[own.to(domain.device)]).cpu(),
                "detected": found,
                "flipped": ~same[:, column] & found,
                "preserved": same[:, others].float().mean(dim=1) * found,
                "identity_recognizer_b": distance,
                "accepted": (distance <= limits.distance) & found,
            }
        )
        progress(min(start + BATCH, len(face)), len(face), "")
    columns: dict[str, Any] = {name: torch.cat([part[name] for part in parts]).numpy() for name in parts[0]}
    return columns | {
        "method": [method.name] * len(face),
        "attribute": [request.attribute] * len(face),
        "face_id": ids[face.numpy()],
        "strength_index": index.numpy().astype(np.int32),
        "strength": strength.numpy(),
        "label": labels[face, column].numpy(),
        "largest_accepted_distance": np.full(len(face), limits.distance),
    }


@dataclass(frozen=True)
class Unedited:
    """The faces `first` to `stop` - 1 as they are, by the stages that name their codes and their judges."""

    stages: tuple[Stage, Stage]
    outputs: Path
    device: str
    first: int
    stop: int
    work: Work = field(compare=False, repr=False)

    @classmethod
    def of(cls, work: Work, block: FaceBlock) -> Unedited:
        """The faces of a block; equal for all methods and attributes of a run."""
        stages, settings = (work.read("latents", "rates"), work.read("spread")), work.settings
        return cls(stages, settings.outputs, settings.machine.device, block.first, block.stop, work)


@lru_cache(maxsize=KEPT_BLOCKS)
def judged_unedited(faces: Unedited) -> tuple[Tensor, Tensor]:
    """Logits (N, 35) by scorer B and embeddings (N, D) by recognizer B of faces, judged once per process."""
    import torch

    domain = faces.work.domain()
    _, known = read_faces(faces.work, domain, faces.first, faces.stop, "rates")
    starts = range(0, len(known.ws), BATCH)
    judged = [part for start in starts for part in _judged(domain, known.ws[start : start + BATCH])]
    logits, persons = (torch.cat([part[place] for part in judged]) for place in range(2))
    return logits, persons


def kept(labels: Tensor, logits: Tensor, cuts: Tensor) -> Tensor:
    """Which labels (N, 35) faces of these logits (N, 35) still have: all that are not clearly beyond the cut (35,)."""
    beyond: Tensor = (cuts - logits).where(labels, logits - cuts) > LOGIT_NOISE
    return ~beyond


def _judged(domain: Domain, ws: Tensor, threshold: float | None = None) -> list[tuple[Tensor, ...]]:
    """Of each micro-batch, on the CPU: logits (N, 35) by scorer B, embeddings (N, D) by recognizer B; with a threshold
    also whether a face is found (N,).
    """

    def see(rows: slice) -> tuple[Tensor, ...]:
        images = synthesise(domain, ws[rows])
        judged = (logits_of(domain.scorer_b(images)).cpu(), domain.recognizer_b(images).cpu())
        if threshold is None:
            return judged
        return *judged, domain.detector.detect(images, threshold=threshold).found.cpu()

    return by_microbatch(domain, see, len(ws))


KIND = Kind("rates", recipe, cut, rates_shard, methods=True, shown=True, tables=("rates",))
