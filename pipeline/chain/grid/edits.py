"""Edits on the grid over calibrated ranges, generated and measured in one pass.

No image goes through disk to be scored: while a batch is on the device, the detector, scorer B, both recognizers,
MTCNN's features, LPIPS, SSIM, the perception net and, where the truth is known, the truth reader look at it. Shards are
blocks of faces of one attribute whose limits depend on the protocol alone, so that batches, and every bit, are the
same on any number of workers.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from pipeline.attributes import NAMES, index_of
from pipeline.chain.calibration import range_stage, read_range
from pipeline.chain.grid.shards import write_columns
from pipeline.chain.labels import labels_stage
from pipeline.chain.training import load_method, read_faces, train_stage
from pipeline.chain.views import (
    VIEW_ROLES,
    VIEW_ROLES_OF_SOME,
    View,
    compare_views,
    displacement,
    local_change,
    look,
    look_at_codes,
    strength_vectors,
    synthesise,
)
from pipeline.domains import base
from pipeline.domains.base import DomainCard
from pipeline.domains.microbatches import by_microbatch
from pipeline.execution.shards import Progress, run_stage
from pipeline.settings.experiment import BATCH
from pipeline.settings.settings import Settings
from pipeline.storage.stages import Manifest, ShardRecord, Stage
from pipeline.tables import schemas
from pipeline.tables.parquet import value_columns

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.domains.base import Domain
    from pipeline.methods.interface import Method

VERSION = 4
SHARD_IMAGES = 512  # about so many images make one shard of edits
LOCAL = {"local_share", "parts_area"}  # null where nothing changed


@dataclass(frozen=True)
class EditShard:
    """The edits of one attribute by one method on the faces `first` to `stop` - 1, counted from 0."""

    name: str
    features: str
    method: str
    attribute: str
    first: int
    stop: int


def edits_stage(settings: Settings, card: DomainCard, method: str) -> Stage:
    """The measured edits of a method, over every attribute of the protocol."""
    experiment = settings.experiment
    parameters = {
        "method": method,
        "attributes": list(experiment.attributes),
        "n_steps": experiment.n_steps,
        "detection_threshold": experiment.detection_threshold,
        "batch": BATCH,
        "shard_images": SHARD_IMAGES,
    }
    ranges = tuple(range_stage(settings, card, method, attribute) for attribute in experiment.attributes)
    judges = (*VIEW_ROLES, *(role for role in VIEW_ROLES_OF_SOME if role in card.weights))
    weights = {role: card.weights[role] for role in judges}
    upstream = (labels_stage(settings, card, "faces"), train_stage(settings, card, method), *ranges)
    return Stage("edits", VERSION, parameters, weights, upstream, label=method)


def run_edits(settings: Settings, method: str) -> Manifest:
    """Publish the edits of a calibrated method. Raises as `shards.run_stage`."""
    stage = edits_stage(settings, base.describe(settings.domain), method)
    shards = [
        _edit_shard(method, attribute, int(block[0]), int(block[-1]) + 1)
        for attribute in settings.experiment.attributes
        for block in face_blocks(settings.experiment.n_faces, settings.experiment.n_steps)
    ]
    units = [(shard.stop - shard.first) * settings.experiment.n_steps for shard in shards]
    return run_stage(
        stage, settings, edit_shard, shards, units=units, unit="images", files=lambda s: (s.name, s.features)
    )


def face_blocks(n_faces: int, n_steps: int) -> list[np.ndarray]:
    """Faces 0 to n_faces - 1 in nearly equal blocks of about SHARD_IMAGES images."""
    blocks = max(1, min(n_faces, round(n_faces * n_steps / SHARD_IMAGES)))
    return [block for block in np.array_split(np.arange(n_faces), blocks) if len(block)]


def _edit_shard(method: str, attribute: str, first: int, stop: int) -> EditShard:
    faces = f"{attribute}-{first:06d}-{stop:06d}.parquet"
    return EditShard(f"edits-{faces}", f"features-{faces}", method, attribute, first, stop)


def edit_shard(settings: Settings, shard: EditShard, progress: Progress) -> list[ShardRecord]:
    """Edit, generate, measure and write one block of faces: two files."""
    import torch

    started = time.perf_counter()
    domain = base.load(settings.domain, settings.machine.device, settings.experiment.precision)
    method = load_method(settings, shard.method)
    with torch.inference_mode():
        columns = measure(settings, domain, method, shard, progress)
    folder = edits_stage(settings, domain.card, shard.method).folder(settings.outputs)
    vectors = schemas.features(domain.card.feature_width, domain.card.classes)
    own = {name: columns[name] for name in schemas.EDITS.names if name in columns}
    seconds = time.perf_counter() - started
    return [
        write_columns(folder, shard.name, own, schemas.EDITS, seconds),
        write_columns(folder, shard.features, {name: columns[name] for name in vectors.names}, vectors, seconds),
    ]


def measure(settings: Settings, domain: Domain, method: Method, shard: EditShard, progress: Progress) -> dict[str, Any]:
    """Columns of `edits` and `features` of a block of faces, by face and step."""
    import torch

    threshold, steps = settings.experiment.detection_threshold, settings.experiment.n_steps
    ids, faces = read_faces(settings, domain, shard.first, shard.stop)
    limits = read_range(settings, shard.method, shard.attribute)
    strengths = np.linspace(limits["low"], limits["high"], steps)
    unedited = look_at_codes(domain, faces.ws, threshold)
    within = domain.parts(faces.ws[:, 0], NAMES[index_of(shard.attribute)]) if domain.parts else None
    face = torch.arange(len(ids)).repeat_interleave(steps)
    step = torch.arange(steps).repeat(len(ids))
    parts: list[dict[str, Tensor]] = []
    for start in range(0, len(face), BATCH):
        rows = slice(start, start + BATCH)
        own = face[rows].to(domain.device)
        strength = torch.from_numpy(strengths)[step[rows]].to(faces.ws)
        edited_ws = method.edit_faces(faces[own], strength_vectors(shard.attribute, strength))

        def see(lot: slice, own: Tensor = own, edited_ws: Tensor = edited_ws) -> dict[str, Tensor]:
            edited, before = look(domain, synthesise(domain, edited_ws[lot]), threshold), unedited[own[lot]]
            columns = _own_columns(edited) | compare_views(domain, edited, before)
            columns["displacement"] = displacement(domain, edited_ws[lot], faces.ws[own[lot]])
            if within is not None:
                columns |= local_change(edited.images, before.images, within[own[lot]])
            return columns

        parts += by_microbatch(domain, see, len(own))
        progress(min(start + BATCH, len(face)), len(face), "")
    columns: dict[str, Any] = {name: torch.cat([part[name] for part in parts]).cpu().numpy() for name in parts[0]}
    columns.update(value_columns(columns.pop("values")))
    for name in LOCAL & columns.keys():
        columns[name] = pa.array(columns[name], mask=np.isnan(columns[name]))
    start_values = unedited.values[:, index_of(shard.attribute)].cpu().numpy()
    return columns | {
        "method": [shard.method] * len(face),
        "attribute": [shard.attribute] * len(face),
        "face_id": ids[face.numpy()],
        "step": step.numpy().astype(np.int32),
        "strength": strengths[step.numpy()],
        "start_value": start_values[face.numpy()],
    }


def _own_columns(view: View) -> dict[str, Tensor]:
    """Columns that an image has without the unedited one; `values`, `feature` and `logits` are (N, ...)."""
    left, top, right, bottom = view.box.unbind(dim=1)
    return {
        "detected": view.found,
        "probability": view.probability,
        "box_left": left,
        "box_top": top,
        "box_right": right,
        "box_bottom": bottom,
        "values": view.values,
        "feature": view.features,
        "logits": view.logits,
    }
