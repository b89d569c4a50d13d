"""The pictures of one face, edited by one method for one attribute, with their scores.

The scores are published rows of `edits`. The pictures are the gallery's, where it has the face; else the trained method
makes them again, as the run did.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from pipeline.attributes import NAMES, index_of
from pipeline.chain.editor import Editor
from pipeline.chain.grid.gallery import gallery_steps
from pipeline.chain.views import see_batches, synthesise
from pipeline.errors import StageError
from pipeline.showing.trained_run import TrainedRun
from pipeline.tables.parquet import read_table
from pipeline.tables.schemas import GALLERY, value_column

COLUMNS = ("method", "attribute", "face_id", "step", "strength", "detected", "start_value", "identity_recognizer_b")


@dataclass(frozen=True)
class EditedFace:
    """One edited picture and its scores.

    value, start_value: the attribute in [0, 1], by scorer B, on this picture and on the unedited one. identity: cosine
    distance to the unedited picture by recognizer B. detected: the detector finds a face.
    """

    picture: Image.Image
    strength: float
    value: float
    start_value: float
    identity: float
    detected: bool


@dataclass(frozen=True)
class EditedRow:
    """The edits of one face by one method, from the smallest strength to the largest; `unit` is the strength's.

    `again`: they were made again from the trained method.
    """

    method: str
    unit: str
    again: bool
    edits: tuple[EditedFace, ...]


def row_of(run: TrainedRun, method: str, attribute: str, face: int, *, all_steps: bool = False) -> EditedRow:
    """The edits of a face of the run at the gallery's steps, or at `all_steps` of the grid.

    Raises UnknownNameError for a method or attribute that the run does not have, ConfigError for a face beyond its
    faces, and as `TrainedRun` where pictures must be made again and cannot be.
    """
    run.check_method(method)
    name = run.attribute(attribute)
    scores = _scores(run, method, name, run.face_id(face))
    steps = list(range(run.record.n_steps)) if all_steps else gallery_steps(run.record.n_steps)
    scores = [scores[step] for step in steps]
    stored = _stored(run, method, name, run.face_id(face))
    again = not set(steps) <= set(stored)
    pictures = _made_again(run, method, name, face, scores) if again else [stored[step] for step in steps]
    edits = tuple(_edited_face(*pair, name) for pair in zip(pictures, scores, strict=True))
    return EditedRow(method, _unit(run, method, name), again, edits)


def _scores(run: TrainedRun, method: str, attribute: str, face_id: int) -> list[dict[str, Any]]:
    """The face's rows of `edits`, by step."""
    columns = [*COLUMNS, value_column(NAMES[index_of(attribute)])]
    rows = _only(run.table("edits", columns), method=method, attribute=attribute, face_id=face_id)
    found: list[dict[str, Any]] = rows.sort_by("step").to_pylist()
    if len(found) != run.record.n_steps:
        raise StageError(
            f"Run {run.record.run_id} has {len(found)} edits by {method} of {attribute} of face {face_id}, expected "
            f"{run.record.n_steps}."
        )
    return found


def _stored(run: TrainedRun, method: str, attribute: str, face_id: int) -> dict[int, Image.Image]:
    """The gallery's pictures of the face, by step; none where the gallery was removed."""
    if run.stage_folder("gallery", method) is None:
        return {}
    files = run.stage_files("gallery", method, [f"gallery-{attribute}.parquet"])
    rows = _only(read_table(files, GALLERY), attribute=attribute, face_id=face_id)
    return {row["step"]: Image.open(io.BytesIO(row["png"])) for row in rows.to_pylist()}


def _made_again(
    run: TrainedRun, method: str, attribute: str, face: int, scores: list[dict[str, Any]]
) -> list[Image.Image]:
    """The pictures at the strengths of these rows, by the trained method."""
    import torch

    from pipeline.images import to_pil

    domain, strengths = run.domain(), np.array([row["strength"] for row in scores])
    with torch.inference_mode():
        editor = Editor(domain, run.method(method), run.face(face), attribute)
        pictures = see_batches(
            domain,
            len(strengths),
            lambda rows: editor.edit(strengths[rows], np.zeros(len(strengths[rows]), int)),
            lambda ws, rows: [to_pil(image) for image in synthesise(domain, ws[rows])],
        )
    return [picture for batch in pictures for picture in batch]


def _edited_face(picture: Image.Image, row: dict[str, Any], attribute: str) -> EditedFace:
    return EditedFace(
        picture,
        strength=row["strength"],
        value=row[value_column(NAMES[index_of(attribute)])],
        start_value=row["start_value"],
        identity=row["identity_recognizer_b"],
        detected=row["detected"],
    )


def _unit(run: TrainedRun, method: str, attribute: str) -> str:
    """What a strength of 1 means."""
    ranges = run.table("ranges", ["method", "attribute", "unit"])
    return str(_only(ranges, method=method, attribute=attribute).column("unit")[0])


def _only(table: pa.Table, **values: Any) -> pa.Table:
    """The rows with these values in these columns."""
    for name, value in values.items():
        table = table.filter(pc.equal(table.column(name), value))
    return table
