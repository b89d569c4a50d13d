"""Pictures of a few edits of every attribute, for the page."""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from pipeline.attributes import NAMES, index_of
from pipeline.chain.grid.edits import edits_stage
from pipeline.chain.grid.shards import MethodShard, write_columns
from pipeline.chain.training import load_method, read_faces
from pipeline.chain.views import (
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
from pipeline.tables.parquet import read_stage

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.domains.base import Domain
    from pipeline.methods.interface import Faces, Method

VERSION = 1
FACES = 4
STEPS = 9


def gallery_stage(settings: Settings, card: DomainCard, method: str) -> Stage:
    """Pictures of a few faces at a few steps, per attribute."""
    parameters = {"faces": FACES, "steps": STEPS}
    return Stage("gallery", VERSION, parameters, {}, (edits_stage(settings, card, method),), label=method)


def run_gallery(settings: Settings, method: str) -> Manifest:
    """Publish the pictures of a method, whose edits must be published. Raises as `shards.run_stage`."""
    stage = gallery_stage(settings, base.describe(settings.domain), method)
    shards = [MethodShard(f"gallery-{name}.parquet", method, name) for name in settings.experiment.attributes]
    return run_stage(stage, settings, gallery_shard, shards, unit="strips")


def read_gallery(settings: Settings, method: str) -> pa.Table:
    """The pictures of a method as `schemas.GALLERY`, by attribute, face and step. Raises as `parquet.read_stage`."""
    stage = gallery_stage(settings, base.describe(settings.domain), method)
    return read_stage(stage, settings.outputs, schemas.GALLERY)


def gallery_shard(settings: Settings, shard: MethodShard, progress: Progress) -> ShardRecord:
    """Generate again, as pictures, a few edits of an attribute."""
    started = time.perf_counter()
    domain = base.load(settings.domain, settings.machine.device, settings.experiment.precision)
    ids, faces = read_faces(settings, domain, 0, min(FACES, settings.experiment.n_faces))
    edits = _gallery_rows(settings, domain.card, shard, ids, gallery_steps(settings.experiment.n_steps))
    columns = {name: edits.column(name) for name in ("method", "attribute", "face_id", "step", "strength", "detected")}
    columns["value"] = edits.column(schemas.value_column(NAMES[index_of(shard.attribute)]))
    rows = np.searchsorted(ids, edits.column("face_id").to_numpy())
    columns["png"] = _pictures(domain, load_method(settings, shard.method), shard.attribute, faces[rows], edits)
    folder = gallery_stage(settings, domain.card, shard.method).folder(settings.outputs)
    return write_columns(folder, shard.name, columns, schemas.GALLERY, time.perf_counter() - started)


def _pictures(domain: Domain, method: Method, attribute: str, faces: Faces, edits: pa.Table) -> list[bytes]:
    """The edits of the rows as PNG, of one face each."""
    import torch

    from pipeline.images import to_pil

    strength = torch.tensor(edits.column("strength").to_pylist()).to(faces.ws)
    pictures: list[bytes] = []
    with torch.inference_mode():
        for start in range(0, len(strength), BATCH):
            rows = slice(start, start + BATCH)
            edited = method.edit_faces(faces[rows], strength_vectors(attribute, strength[rows]))

            def see(lot: slice, edited: Tensor = edited) -> list[bytes]:
                return [_png(to_pil(image)) for image in synthesise(domain, edited[lot])]

            pictures += [picture for found in by_microbatch(domain, see, len(edited)) for picture in found]
    return pictures


def gallery_steps(n_steps: int) -> list[int]:
    """At most STEPS of the steps 0 to n_steps - 1, evenly spread, both ends included."""
    return sorted({round(step) for step in np.linspace(0, n_steps - 1, min(STEPS, n_steps)).tolist()})


def _gallery_rows(
    settings: Settings, card: DomainCard, shard: MethodShard, face_ids: np.ndarray, steps: list[int]
) -> pa.Table:
    """The rows of the edits table that are drawn, by face and step."""
    value = schemas.value_column(NAMES[index_of(shard.attribute)])
    names = ["method", "attribute", "face_id", "step", "strength", "detected", value]
    table = read_stage(edits_stage(settings, card, shard.method), settings.outputs, schemas.EDITS, names)
    attribute, face, step = (table.column(name).to_numpy() for name in ("attribute", "face_id", "step"))
    chosen = table.filter(pa.array((attribute == shard.attribute) & np.isin(face, face_ids) & np.isin(step, steps)))
    return chosen.sort_by([("face_id", "ascending"), ("step", "ascending")])


def _png(picture: Any) -> bytes:
    data = io.BytesIO()
    picture.save(data, format="PNG", compress_level=9)
    return data.getvalue()
