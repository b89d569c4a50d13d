"""The kinds of labels by name, and what a set of them holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.attributes import ATTRIBUTES
from pipeline.errors import LabelsError, PhotoError, UnknownNameError
from pipeline.pictures import opened
from pipeline.progress import Display
from pipeline.scorer_training.celeba import read_celeba
from pipeline.scorer_training.ffhq import read_ffhq
from pipeline.scorer_training.folders import FORMATS
from pipeline.scorer_training.labels import UNREADABLE, Labels
from pipeline.scorer_training.split import TRAINING, VALIDATION, rule
from pipeline.scorer_training.table import read_table
from pipeline.storage.files import replacing

KINDS = {"ffhq": read_ffhq, "celeba": read_celeba, "table": read_table}
REPORT = "labels.json"


def read_labels(kind: str, images: Path, labels: Path) -> Labels:
    """The labels of a kind of KINDS. Raises UnknownNameError, LabelsError."""
    if kind not in KINDS:
        raise UnknownNameError("kind of labels", kind, KINDS)
    return KINDS[kind](images, labels)


def open_headers(labels: Labels, images: Path) -> Labels:
    """The labels whose picture can be opened; its header is read, no pixel. The others are noted as unreadable."""
    keep = np.ones(len(labels), dtype=bool)
    with Display("opening pictures", len(labels), "pictures") as display:
        for row, picture in enumerate(labels.pictures):
            try:
                with opened(images / picture, FORMATS):
                    pass
            except PhotoError as error:
                labels.problems.note(UNREADABLE, picture, str(error))
                keep[row] = False
            display.update(row + 1)
    return labels if keep.all() else labels.only(keep)


def facts(labels: Labels, parts: np.ndarray, share: float) -> dict[str, Any]:
    """Counts, split, every attribute's marginal and everything that was left out, for people and programs."""
    return {
        "kind": labels.kind,
        "files": labels.files,
        "labels_sha256": labels.digest(),
        "faces": len(labels),
        "groups": len(set(labels.groups)),
        "grouped_by": labels.grouped_by,
        "training": int((parts == TRAINING).sum()),
        "validation": int((parts == VALIDATION).sum()),
        "split": rule(labels, share),
        "attributes": marginals(labels.values),
        "left_out": labels.problems.found,
    }


def marginals(values: np.ndarray) -> list[dict[str, Any]]:
    """Of each of the 35: labels known and missing, their mean, standard deviation and share above one half."""
    rows: list[dict[str, Any]] = []
    for index, attribute in enumerate(ATTRIBUTES):
        column = values[:, index].astype(np.float64)
        known = column[~np.isnan(column)]
        row: dict[str, Any] = {"attribute": attribute.name, "known": len(known), "missing": len(column) - len(known)}
        for key, of in (("mean", np.mean), ("sd", np.std), ("above_half", lambda found: np.mean(found > 0.5))):
            row[key] = round(float(of(known)), 4) if len(known) else None
        rows.append(row)
    return rows


def write_report(labels: Labels, folder: Path) -> Path:
    """Name everything that was left out, by reason, in `folder`/labels.json; answers its path. Raises LabelsError."""
    report = {"kind": labels.kind, "files": labels.files, "faces": len(labels), "left_out": labels.problems.found}
    path = folder / REPORT
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise LabelsError(f"Cannot write {path}: {error.strerror}. Make room, or choose another --folder.") from error
    return path
