"""Edits on the grid over calibrated ranges, generated and measured in one pass.

No image goes through disk to be scored: while a batch is on the device, the detector, scorer B, both recognizers,
MTCNN's features, LPIPS, SSIM, the perception net and, where the truth is known, the truth reader look at it. Shards are
blocks of faces of one attribute whose limits depend on the protocol alone, so that batches, and every bit, are the
same on any number of workers.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from pipeline.attributes import NAMES
from pipeline.chain.editor import Editor
from pipeline.chain.face_blocks import FaceBlock, blocks, ranges
from pipeline.chain.inputs import load_method, read_faces, read_range
from pipeline.chain.views import (
    VIEW_ROLES,
    VIEW_ROLES_OF_SOME,
    View,
    compare_views,
    displacement,
    joined,
    local_change,
    look,
    look_at_codes,
    see_batches,
    synthesise,
)
from pipeline.chain.work import Kind, Recipe, Work
from pipeline.domains.base import DomainCard
from pipeline.execution.jobs import Progress
from pipeline.settings.experiment import BATCH
from pipeline.settings.settings import Settings
from pipeline.storage.stages import ShardRecord
from pipeline.tables import schemas
from pipeline.tables.parquet import value_columns

if TYPE_CHECKING:
    from torch import Tensor

VERSION = 5
SHARD_IMAGES = 512  # about so many images make one shard of edits
LOCAL = {"local_share", "parts_area"}  # null where nothing changed


def recipe(settings: Settings, card: DomainCard, method: str) -> Recipe:
    """The measured edits of a method, over every attribute of the experiment."""
    experiment = settings.experiment
    parameters = {
        "method": method,
        "attributes": list(experiment.attributes),
        "n_steps": experiment.n_steps,
        "detection_threshold": experiment.detection_threshold,
        "batch": BATCH,
        "shard_images": SHARD_IMAGES,
    }
    judges = (*VIEW_ROLES, *(role for role in VIEW_ROLES_OF_SOME if role in card.weights))
    reads = (("labels", "faces"), ("train", method), *ranges(settings, method))
    return Recipe(VERSION, parameters, judges, reads)


def cut(settings: Settings, method: str) -> list[FaceBlock]:
    """Blocks of faces, attribute by attribute."""
    experiment = settings.experiment
    cuts = [(int(block[0]), int(block[-1]) + 1) for block in face_blocks(experiment.n_faces, experiment.n_steps)]
    return blocks("edits", cuts, experiment.attributes, experiment.n_steps)


def files(block: FaceBlock) -> tuple[str, str]:
    """A block's measures, and what the perception net saw of its images."""
    return block.name, f"features{block.name.removeprefix('edits')}"


def face_blocks(n_faces: int, n_steps: int) -> list[np.ndarray]:
    """Faces 0 to n_faces - 1 in nearly equal blocks of about SHARD_IMAGES images."""
    blocks = max(1, min(n_faces, round(n_faces * n_steps / SHARD_IMAGES)))
    return [block for block in np.array_split(np.arange(n_faces), blocks) if len(block)]


def edit_shard(work: Work, block: FaceBlock, progress: Progress) -> list[ShardRecord]:
    """Edit, generate, measure and write one block of faces: two files; runs on a worker."""
    import torch

    started = time.perf_counter()
    with torch.inference_mode():
        columns = measure(work, block, progress)
    vectors = schemas.features(work.card.feature_width, work.card.classes)
    tables = [{name: columns[name] for name in schema.names if name in columns} for schema in (schemas.EDITS, vectors)]
    return [
        work.write(name, table, schema, started)
        for name, table, schema in zip(files(block), tables, (schemas.EDITS, vectors), strict=True)
    ]


def measure(work: Work, block: FaceBlock, progress: Progress) -> dict[str, Any]:
    """Columns of `edits` and `features` of a block of faces, by face and step."""
    domain, method = work.domain(), load_method(work)
    ids, faces = read_faces(work, domain, block.first, block.stop)
    limits, steps = read_range(work, block.attribute), work.experiment.n_steps
    editor = Editor(domain, method, faces, block.attribute)
    face = np.arange(len(ids)).repeat(steps)
    step = np.tile(np.arange(steps), len(ids))
    strengths = np.linspace(limits["low"], limits["high"], steps)[step]
    unedited = look_at_codes(domain, faces.ws, work.experiment.detection_threshold)
    columns: dict[str, Any] = joined(_measured(work, editor, unedited, strengths, face, progress))
    columns.update(value_columns(columns.pop("values")))
    for name in LOCAL & columns.keys():
        columns[name] = pa.array(columns[name], mask=np.isnan(columns[name]))
    return columns | {
        "method": [work.name] * len(face),
        "attribute": [block.attribute] * len(face),
        "face_id": ids[face],
        "step": step.astype(np.int32),
        "strength": strengths,
        "start_value": unedited.values[:, editor.column].cpu().numpy()[face],
    }


def _measured(
    work: Work, editor: Editor, unedited: View, strengths: np.ndarray, face: np.ndarray, progress: Progress
) -> list[dict[str, Tensor]]:
    """What the judges see in the edits (M) of the faces at `face` (M,), a micro-batch at a time."""
    import torch

    domain, ws = editor.domain, editor.faces.ws
    within = domain.parts(ws[:, 0], NAMES[editor.column]) if domain.parts else None

    def make(rows: slice) -> tuple[Tensor, Tensor]:
        return editor.edit(strengths[rows], face[rows]), torch.from_numpy(face[rows]).to(domain.device)

    def see(batch: tuple[Tensor, Tensor], rows: slice) -> dict[str, Tensor]:
        edited_ws, own = (part[rows] for part in batch)
        edited = look(domain, synthesise(domain, edited_ws), work.experiment.detection_threshold)
        before = unedited[own]
        columns = _own_columns(edited) | compare_views(domain, edited, before)
        columns["displacement"] = displacement(domain, edited_ws, ws[own])
        if within is not None:
            columns |= local_change(edited.images, before.images, within[own])
        return columns

    return see_batches(domain, len(face), make, see, progress)


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


KIND = Kind("edits", recipe, cut, edit_shard, methods=True, shown=True, tables=("edits",), files=files)
