"""Edits: generated and measured in one pass; unedited images for quality; the timing; the pictures of the page.

No image goes through disk to be scored: while a batch is on the device, the detector, scorer B, both recognizers,
MTCNN's features, LPIPS, SSIM, the perception net and, where the truth is known, the truth reader look at it. Shards are
blocks of faces of one attribute whose limits depend on the protocol alone, so that batches, and every bit, are the
same on any number of workers.
"""

from __future__ import annotations

import io
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from pipeline.attributes import NAMES, index_of
from pipeline.chain.calibration import range_stage, read_range
from pipeline.chain.labels import labels_stage
from pipeline.chain.latents import id_range, latents_stage, read_w
from pipeline.chain.training import load_method, read_faces, train_stage
from pipeline.chain.views import (
    JUDGES,
    JUDGES_OF_SOME,
    View,
    compare,
    displacement,
    local_change,
    look,
    look_at_codes,
    strength_vectors,
    synthesise,
)
from pipeline.domains import base
from pipeline.domains.base import DomainCard
from pipeline.domains.microbatches import lots_of
from pipeline.execution.shards import Progress, run_stage
from pipeline.settings.settings import BATCH, Settings
from pipeline.storage.stages import Manifest, ShardRecord, Stage, cut_ids, write_shard
from pipeline.tables import schemas
from pipeline.tables.parquet import read_stage, value_columns, write_table

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.domains.base import Domain
    from pipeline.methods.base import Faces, Method

VERSION = 1
EDITS_VERSION = 4
SHARD_IMAGES = 512  # about so many images make one shard of edits
GALLERY_FACES = 4
GALLERY_STEPS = 9
LOCAL = {"local_share", "parts_area"}  # null where nothing changed
WARM_UP = 3  # edits before the timed ones


@dataclass(frozen=True)
class EditShard:
    """The edits of one attribute by one method on the faces `first` to `stop` - 1, counted from 0."""

    name: str
    features: str
    method: str
    attribute: str
    first: int
    stop: int


@dataclass(frozen=True)
class ReferenceShard:
    """The latents of a set with ids `first` to `stop` - 1."""

    name: str
    which: str
    first: int
    stop: int


@dataclass(frozen=True)
class MethodShard:
    """What is done once per method, or per method and attribute."""

    name: str
    method: str
    attribute: str = ""


# Stages


def edits_stage(settings: Settings, card: DomainCard, method: str) -> Stage:
    """The measured edits of a method, over every attribute of the protocol."""
    protocol = settings.protocol
    parameters = {
        "method": method,
        "attributes": list(protocol.attributes),
        "n_steps": protocol.n_steps,
        "detection_threshold": protocol.detection_threshold,
        "batch": BATCH,
        "shard_images": SHARD_IMAGES,
    }
    ranges = tuple(range_stage(settings, card, method, attribute) for attribute in protocol.attributes)
    judges = (*JUDGES, *(role for role in JUDGES_OF_SOME if role in card.weights))
    weights = {role: card.weights[role] for role in judges}
    upstream = (labels_stage(settings, card, "faces"), train_stage(settings, card, method), *ranges)
    return Stage("edits", EDITS_VERSION, parameters, weights, upstream, label=method)


def reference_stage(settings: Settings, card: DomainCard, which: str = "reference") -> Stage:
    """Perception vectors and logits of unedited images: of the reference latents, or of the faces that are edited."""
    weights = {role: card.weights[role] for role in ("generator", "perception")}
    parameters = {"batch": BATCH, **settings.protocol.rendering}
    label = "" if which == "reference" else which
    return Stage("reference", VERSION, parameters, weights, (latents_stage(settings, card, which),), label=label)


def timing_stage(settings: Settings, card: DomainCard, method: str) -> Stage:
    """Seconds of single edits. Which machine measured them stands in the manifest, not in the fingerprint."""
    parameters = {"method": method, "n_timings": settings.protocol.n_timings, "warm_up": WARM_UP}
    upstream = (train_stage(settings, card, method), labels_stage(settings, card, "faces"))
    return Stage("timing", VERSION, parameters, {"generator": card.weights["generator"]}, upstream, label=method)


def gallery_stage(settings: Settings, card: DomainCard, method: str) -> Stage:
    """Pictures of a few faces at a few steps, per attribute."""
    parameters = {"faces": GALLERY_FACES, "steps": GALLERY_STEPS}
    return Stage("gallery", VERSION, parameters, {}, (edits_stage(settings, card, method),), label=method)


# Runs


def run_edits(settings: Settings, method: str) -> Manifest:
    """Publish the edits of a calibrated method. Raises as `shards.run_stage`."""
    stage = edits_stage(settings, base.describe(settings.domain), method)
    shards = [
        _edit_shard(method, attribute, int(block[0]), int(block[-1]) + 1)
        for attribute in settings.protocol.attributes
        for block in face_blocks(settings.protocol.n_faces, settings.protocol.n_steps)
    ]
    units = [(shard.stop - shard.first) * settings.protocol.n_steps for shard in shards]
    return run_stage(
        stage, settings, edit_shard, shards, units=units, unit="images", files=lambda s: (s.name, s.features)
    )


def run_reference(settings: Settings, which: str = "reference") -> Manifest:
    """Publish what the perception net sees in a published set of latents. Raises as `shards.run_stage`."""
    stage = reference_stage(settings, base.describe(settings.domain), which)
    cuts = cut_ids("features", *id_range(settings, which), settings.machine.shard_size)
    shards = [ReferenceShard(cut.name, which, cut.first, cut.stop) for cut in cuts]
    units = [shard.stop - shard.first for shard in shards]
    return run_stage(stage, settings, reference_shard, shards, units=units, unit="images")


def run_timing(settings: Settings, method: str) -> Manifest:
    """Publish the seconds per edit of a trained method. Raises as `shards.run_stage`."""
    stage = timing_stage(settings, base.describe(settings.domain), method)
    shards = [MethodShard("timings.parquet", method)]
    return run_stage(stage, settings, timing_shard, shards, units=[settings.protocol.n_timings], unit="edits")


def run_gallery(settings: Settings, method: str) -> Manifest:
    """Publish the pictures of a method, whose edits must be published. Raises as `shards.run_stage`."""
    stage = gallery_stage(settings, base.describe(settings.domain), method)
    shards = [MethodShard(f"gallery-{name}.parquet", method, name) for name in settings.protocol.attributes]
    return run_stage(stage, settings, gallery_shard, shards, unit="strips")


def read_gallery(settings: Settings, method: str) -> pa.Table:
    """The pictures of a method as `schemas.GALLERY`, by attribute, face and step. Raises as `parquet.read_stage`."""
    stage = gallery_stage(settings, base.describe(settings.domain), method)
    return read_stage(stage, settings.outputs, schemas.GALLERY)


def face_blocks(n_faces: int, n_steps: int) -> list[np.ndarray]:
    """Faces 0 to n_faces - 1 in nearly equal blocks of about SHARD_IMAGES images."""
    blocks = max(1, min(n_faces, round(n_faces * n_steps / SHARD_IMAGES)))
    return [block for block in np.array_split(np.arange(n_faces), blocks) if len(block)]


def _edit_shard(method: str, attribute: str, first: int, stop: int) -> EditShard:
    faces = f"{attribute}-{first:06d}-{stop:06d}.parquet"
    return EditShard(f"edits-{faces}", f"features-{faces}", method, attribute, first, stop)


# On a worker


def edit_shard(settings: Settings, shard: EditShard, progress: Progress) -> list[ShardRecord]:
    """Edit, generate, measure and write one block of faces: two files."""
    import torch

    started = time.perf_counter()
    domain = base.load(settings.domain, settings.machine.device, settings.protocol.precision)
    method = load_method(settings, shard.method)
    with torch.inference_mode():
        columns = measure(settings, domain, method, shard, progress)
    folder = edits_stage(settings, domain.card, shard.method).folder(settings.outputs)
    vectors = schemas.features(domain.card.feature_width, domain.card.classes)
    own = {name: columns[name] for name in schemas.EDITS.names if name in columns}
    seconds = time.perf_counter() - started
    return [
        _write(folder, shard.name, own, schemas.EDITS, seconds),
        _write(folder, shard.features, {name: columns[name] for name in vectors.names}, vectors, seconds),
    ]


def measure(settings: Settings, domain: Domain, method: Method, shard: EditShard, progress: Progress) -> dict[str, Any]:
    """Columns of `edits` and `features` of a block of faces, by face and step."""
    import torch

    threshold, steps = settings.protocol.detection_threshold, settings.protocol.n_steps
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
            columns = _own_columns(edited) | compare(domain, edited, before)
            columns["displacement"] = displacement(domain, edited_ws[lot], faces.ws[own[lot]])
            if within is not None:
                columns |= local_change(edited.images, before.images, within[own[lot]])
            return columns

        parts += lots_of(domain, see, len(own))
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


def reference_shard(settings: Settings, shard: ReferenceShard, progress: Progress) -> ShardRecord:
    """Generate unedited images of the latents and write what the perception net makes of them."""
    import torch

    started = time.perf_counter()
    domain = base.load(settings.domain, settings.machine.device, settings.protocol.precision)
    ids, w = read_w(settings, shard.which, shard.first, shard.stop)
    parts: list[tuple[np.ndarray, ...]] = []
    with torch.inference_mode():
        for start in range(0, len(ids), BATCH):
            ws = domain.generator.mapping.broadcast(torch.from_numpy(w[start : start + BATCH]).to(domain.device))

            def see(lot: slice, ws: Tensor = ws) -> tuple[np.ndarray, ...]:
                return tuple(
                    found.float().cpu().numpy() for found in domain.perception.both(synthesise(domain, ws[lot]))
                )

            parts += lots_of(domain, see, len(ws))
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
    return _write(folder, shard.name, columns, schema, time.perf_counter() - started)


def timing_shard(settings: Settings, shard: MethodShard, progress: Progress) -> ShardRecord:
    """Time single edits of the first face, after a few that are not counted."""
    import torch

    started = time.perf_counter()
    domain = base.load(settings.domain, settings.machine.device, settings.protocol.precision)
    method = load_method(settings, shard.method)
    _, faces = read_faces(settings, domain, 0, 1)
    strengths = strength_vectors(settings.protocol.attributes[0], faces.ws.new_ones(1))
    edit, both = [], []
    with torch.inference_mode():
        for repetition in range(WARM_UP + settings.protocol.n_timings):
            begin = _clock(domain)
            edited = method.edit_faces(faces, strengths)
            middle = _clock(domain)
            synthesise(domain, edited)
            end = _clock(domain)
            edit.append(middle - begin)
            both.append(end - begin)
            progress(repetition + 1, WARM_UP + settings.protocol.n_timings, "")
    columns = {
        "method": [shard.method] * settings.protocol.n_timings,
        "repetition": np.arange(settings.protocol.n_timings, dtype=np.int32),
        "seconds_per_edit": np.array(edit[WARM_UP:]),
        "seconds_per_edit_and_synthesis": np.array(both[WARM_UP:]),
    }
    folder = timing_stage(settings, domain.card, shard.method).folder(settings.outputs)
    return _write(folder, shard.name, columns, schemas.TIMINGS, time.perf_counter() - started)


def gallery_shard(settings: Settings, shard: MethodShard, progress: Progress) -> ShardRecord:
    """Generate again, as pictures, a few edits of an attribute."""
    started = time.perf_counter()
    domain = base.load(settings.domain, settings.machine.device, settings.protocol.precision)
    ids, faces = read_faces(settings, domain, 0, min(GALLERY_FACES, settings.protocol.n_faces))
    edits = _gallery_rows(settings, domain.card, shard, ids, gallery_steps(settings.protocol.n_steps))
    columns = {name: edits.column(name) for name in ("method", "attribute", "face_id", "step", "strength", "detected")}
    columns["value"] = edits.column(schemas.value_column(NAMES[index_of(shard.attribute)]))
    rows = np.searchsorted(ids, edits.column("face_id").to_numpy())
    columns["png"] = _pictures(domain, load_method(settings, shard.method), shard.attribute, faces[rows], edits)
    folder = gallery_stage(settings, domain.card, shard.method).folder(settings.outputs)
    return _write(folder, shard.name, columns, schemas.GALLERY, time.perf_counter() - started)


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

            pictures += [picture for found in lots_of(domain, see, len(edited)) for picture in found]
    return pictures


def gallery_steps(n_steps: int) -> list[int]:
    """At most GALLERY_STEPS of the steps 0 to n_steps - 1, evenly spread, both ends included."""
    return sorted({round(step) for step in np.linspace(0, n_steps - 1, min(GALLERY_STEPS, n_steps)).tolist()})


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


def _clock(domain: Domain) -> float:
    """Seconds, once the device has done what it was given."""
    if domain.device.type == "cuda":
        import torch

        torch.cuda.synchronize(domain.device)
    return time.perf_counter()


def _png(picture: Any) -> bytes:
    data = io.BytesIO()
    picture.save(data, format="PNG", compress_level=9)
    return data.getvalue()


def _write(folder: Any, name: str, columns: dict[str, Any], schema: pa.Schema, seconds: float) -> ShardRecord:
    return write_shard(folder, name, lambda path: write_table(columns, schema, path), seconds=seconds)
