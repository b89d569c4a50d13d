"""Reading of labels of any kind, and a summary of a set of labels."""

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
    """The labels in a file or folder of a kind in KINDS. Raises UnknownNameError, LabelsError."""
    if kind not in KINDS:
        raise UnknownNameError("kind of labels", kind, KINDS)
    return KINDS[kind](images, labels)


def open_headers(labels: Labels, images: Path) -> Labels:
    """The labels with a picture that can be opened; only headers are read. The others are noted as unreadable."""
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
    """Counts, split, the marginal of each attribute and everything left out, as JSON."""
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
    """Per attribute: labels known and missing, their mean, standard deviation and share above one half."""
    rows: list[dict[str, Any]] = []
    for index, attribute in enumerate(ATTRIBUTES):
        column = values[:, index].astype(np.float64)
        known = column[~np.isnan(column)]
        row: dict[str, Any] = {"attribute": attribute.name, "known": len(known), "missing": len(column) - len(known)}
        for key, statistic in (("mean", np.mean), ("sd", np.std), ("above_half", lambda x: np.mean(x > 0.5))):
            row[key] = round(float(statistic(known)), 4) if len(known) else None
        rows.append(row)
    return rows


def write_report(labels: Labels, folder: Path) -> Path:
    """Write everything left out, by reason, to `folder`/labels.json; returns its path. Raises LabelsError."""
    report = {"kind": labels.kind, "files": labels.files, "faces": len(labels), "left_out": labels.problems.found}
    path = folder / REPORT
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise LabelsError(f"Cannot write {path}: {error.strerror}. Make room, or choose another --folder.") from error
    return path
