"""Pictures of a few edits of every attribute, for the page."""

from __future__ import annotations

import io
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from pipeline.attributes import NAMES, index_of
from pipeline.chain.editor import Editor
from pipeline.chain.inputs import load_method, read_faces, read_values
from pipeline.chain.views import see_batches, synthesise
from pipeline.chain.work import Kind, Part, Recipe, Work
from pipeline.domains.base import Domain, DomainCard
from pipeline.execution.jobs import Progress
from pipeline.methods.interface import Faces, Method
from pipeline.settings.settings import Settings
from pipeline.storage.stages import ShardRecord
from pipeline.tables.schemas import EDITS, GALLERY, UNEDITED, value_column

if TYPE_CHECKING:
    from torch import Tensor

VERSION = 2
FACES = 4
STEPS = 9
COLUMNS = ("face_id", "step", "strength", "detected")  # as the edits table has them
LARGEST = 256  # pixels of a side of a picture; at 1024 px they took longer to compress than to generate


def recipe(settings: Settings, card: DomainCard, method: str) -> Recipe:
    """Pictures of a few faces at a few steps, per attribute."""
    return Recipe(VERSION, {"faces": FACES, "steps": STEPS}, (), (("edits", method),))


def cut(settings: Settings, method: str) -> list[Part]:
    """A strip of each attribute."""
    return [Part(f"gallery-{name}.parquet", 1, name) for name in settings.experiment.attributes]


def gallery_shard(work: Work, part: Part, progress: Progress) -> ShardRecord:
    """Generate again, as pictures, a few edits of an attribute; runs on a worker."""
    started = time.perf_counter()
    domain, method = work.domain(), load_method(work)
    ids, faces = read_faces(work, domain, 0, min(FACES, work.experiment.n_faces))
    edits = _gallery_rows(work, part.attribute, ids)
    columns = {name: edits.column(name).to_pylist() for name in COLUMNS}
    columns["value"] = edits.column(value_column(NAMES[index_of(part.attribute)])).to_pylist()
    rows = np.searchsorted(ids, edits.column("face_id").to_numpy())
    editor = Editor(domain, method, faces, part.attribute)
    columns["png"] = _pictures(editor, np.array(columns["strength"]), rows)
    columns["regions"] = [None] * len(rows)
    starts = dict(zip(columns["face_id"], edits.column("start_value").to_pylist(), strict=True))
    for name, values in _unedited(work, domain, method, faces, ids, starts).items():
        columns[name] += values
    columns["method"], columns["attribute"] = ([name] * len(columns["png"]) for name in (work.name, part.attribute))
    return work.write(part.name, columns, GALLERY, started)


def _unedited(
    work: Work, domain: Domain, method: Method, faces: Faces, ids: np.ndarray, starts: Mapping[int, float]
) -> dict[str, list[Any]]:
    """The columns of the unedited faces, with the method's regions over them, where it has any.

    starts: face id -> the attribute on the unedited face, by scorer B.
    """
    import torch

    from pipeline.methods.contrastive.llf_masks import paint_masks

    def see(ws: Tensor, rows: slice) -> list[tuple[bytes, bytes | None]]:
        images, regions = synthesise(domain, ws[rows]), method.region_maps(domain.generator, ws[rows])
        plain = [_png(image) for image in reduced(images)]
        if regions is None:
            return [(picture, None) for picture in plain]
        painted = [_png(image) for image in reduced(paint_masks(images, regions))]
        return list(zip(plain, painted, strict=True))

    _, _, probability = read_values(work, "faces")
    with torch.inference_mode():
        seen = see_batches(domain, len(ids), lambda rows: faces.ws[rows], see)
    pictures = [pair for found in seen for pair in found]
    return {
        "face_id": ids.tolist(),
        "step": [UNEDITED] * len(ids),
        "strength": [0.0] * len(ids),
        "value": [starts[face] for face in ids.tolist()],
        "detected": [bool(found > 0) for found in probability[: len(ids)]],
        "png": [plain for plain, _ in pictures],
        "regions": [painted for _, painted in pictures],
    }


def _pictures(editor: Editor, strengths: np.ndarray, faces: np.ndarray) -> list[bytes]:
    """The edits (M) of the faces at `faces` (M,) as PNG, of at most LARGEST pixels on a side."""
    import torch

    def make(rows: slice) -> Tensor:
        return editor.edit(strengths[rows], faces[rows])

    def see(ws: Tensor, rows: slice) -> list[bytes]:
        return [_png(image) for image in reduced(synthesise(editor.domain, ws[rows]))]

    with torch.inference_mode():
        return [picture for found in see_batches(editor.domain, len(faces), make, see) for picture in found]


def reduced(images: Tensor) -> Tensor:
    """Images (N, 3, H, H) at LARGEST pixels; smaller ones as they are."""
    from pipeline.images import resize

    return images if images.shape[-1] <= LARGEST else resize(images, LARGEST).clamp(-1.0, 1.0)


def gallery_steps(n_steps: int) -> list[int]:
    """At most STEPS of the steps 0 to n_steps - 1, evenly spread, both ends included."""
    return sorted({round(step) for step in np.linspace(0, n_steps - 1, min(STEPS, n_steps)).tolist()})


def _gallery_rows(work: Work, attribute: str, face_ids: np.ndarray) -> pa.Table:
    """The rows of the edits table that are drawn, by face and step."""
    names = ["attribute", *COLUMNS, "start_value"]
    table = work.table("edits", work.name, EDITS, [*names, value_column(NAMES[index_of(attribute)])])
    edited, face, step = (table.column(name).to_numpy() for name in ("attribute", "face_id", "step"))
    steps = gallery_steps(work.experiment.n_steps)
    chosen = table.filter(pa.array((edited == attribute) & np.isin(face, face_ids) & np.isin(step, steps)))
    return chosen.sort_by([("face_id", "ascending"), ("step", "ascending")])


def _png(image: Tensor) -> bytes:
    from pipeline.images import to_pil

    data = io.BytesIO()
    to_pil(image).save(data, format="PNG", compress_level=9)
    return data.getvalue()


KIND = Kind("gallery", recipe, cut, gallery_shard, "strips", methods=True, shown=True)
