"""Published nights of chosen scores and faces: what the comparison of nights reads, without pages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.nights.history import Night
from pipeline.nights.notes import Note
from pipeline.storage.fingerprint import digest
from pipeline.tables.schemas import FACE_SCORES, SCORES
from tests.builders import random_run, random_scores

FIRST = datetime(2026, 11, 1, tzinfo=UTC)
METRICS = ("identity_distance", "lpips")
NETWORK = "recognizer_b"


def values_of(seed: int, n_faces: int = 16) -> np.ndarray:
    """Means of each metric (rows) over each face, at random."""
    return np.random.default_rng(seed).uniform(0.2, 0.6, (len(METRICS), n_faces))


def publish(
    outputs: Path,
    day: int,
    methods: Mapping[str, np.ndarray],
    *,
    versions: Mapping[str, int] | None = None,
    stage: Mapping[str, Any] | None = None,
    **manifest: Any,
) -> Night:
    """Night `day` (from 0): methods with their means by metric and face; every method has one stage, `scores`."""
    date = FIRST + timedelta(days=day)
    fingerprints = {name: digest([name, values.tolist()]) for name, values in methods.items()}
    run_id = f"{date:%Y%m%dT%H%M%SZ}-{digest([fingerprints, manifest])[:8]}"
    scores, faces = [], []
    for method, values in methods.items():
        for metric, row in zip(METRICS, values, strict=True):
            half = 2 * row.std() / len(row) ** 0.5
            more = {"network": NETWORK, "ci_low": row.mean() - half, "ci_high": row.mean() + half}
            more |= {"n_faces": len(row), "n_images": len(row), "method_version": (versions or {}).get(method, 1)}
            for attribute in ("age", "all"):
                line = random_scores.score(method, attribute, metric, float(row.mean()), **more)
                scores.append({"run_id": run_id, "run_date": date, **line})
            names = {"protocol": "l2l-2022", "method": method, "attribute": "age", "metric": metric, "network": NETWORK}
            faces += [{**names, "face_id": face, "value": float(value), "n": 1} for face, value in enumerate(row)]
    lines = [
        {"stage": "scores", "title": f"scores {name}", "group": name, "version": 1, "fingerprint": fingerprint}
        | {"started": f"{date:%Y-%m-%d}T03:00:00+00:00", **(stage or {})}
        for name, fingerprint in fingerprints.items()
    ]
    facts: dict[str, Any] = {
        "settings": random_run.settings().as_json() | {"methods": {name: {} for name in methods}},
        "weights": {"generator": "ab" * 32, "scorer_b": "cd" * 32},
        "packages": {"numpy": "2.4.0", "torch": "2.11.0"},
        "stages": lines,
    } | manifest
    encoded = {name: json.dumps(value) for name, value in facts.items()}
    tables = {
        "scores": pa.Table.from_pylist(scores, schema=SCORES),
        "face_scores": pa.Table.from_pylist(faces, schema=FACE_SCORES),
        "runs": random_run.runs(run_id, **encoded),
    }
    folder = random_run.publish_folder(outputs, run_id, tables)
    record = json.loads((folder / "manifest.json").read_text())
    record |= {"night": f"{date:%Y-%m-%d}", "domain": "synthface", "profile": "smoke", **facts}
    record |= {"inputs": {fingerprint: digest(fingerprint) for fingerprint in fingerprints.values()}}
    (folder / "manifest.json").write_text(json.dumps(record))
    return Night(folder, record)


def note(night: Night, comparison: Mapping[str, Any]) -> Note:
    """The note of a night whose comparison is known."""
    return Note(night.date, night.folder.name, comparison=dict(comparison))
