"""A run made of numbers drawn at random, in the tables' own schemas: what the report's tests publish and print."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL import Image, ImageDraw

from pipeline.attributes import EVALUATED
from pipeline.domains.base import DomainCard
from pipeline.report.by_face import face_scores
from pipeline.report.contents import ShownEdit, Strip
from pipeline.report.judges import judge_errors, judges_table
from pipeline.report.method_differences import difference_tables
from pipeline.report.pictures import row_of_tiles, tile_of
from pipeline.settings.machine import ONE_WORKER
from pipeline.settings.settings import Settings
from pipeline.statistics.bootstrap import Bootstrap
from pipeline.storage.files import file_sha256
from pipeline.tables.parquet import write_table
from pipeline.tables.schemas import PUBLISHED, RUNS
from stylegan.sampling import BLOCK
from tests.builders import experiments
from tests.builders.random_edits import METHODS, consistency, edits, matched, ranges, rates, rescoring, strengths
from tests.builders.random_scores import DATE, scores


def settings(outputs: Any = "outputs", *, profile: str = "smoke", methods: tuple[str, ...] = METHODS) -> Settings:
    """Settings of a tiny run."""
    experiment = experiments.experiment(
        profile=profile,
        seed=7,
        attributes=tuple(EVALUATED),
        n_latents=2048,
        n_faces=6,
        n_steps=5,
        n_reference=1024,
        n_timings=5,
        bisections=5,
        bootstrap_samples=100,
        kid_subsets=10,
        kid_subset_size=100,
        inception_score_splits=10,
        first_face_id=BLOCK * 1000,
        first_reference_id=BLOCK * 2000,
        n_spread=512,
        n_matched_faces=4,
        comparison_samples=200,
    )
    return Settings("synthface", experiment, tuple((name, ()) for name in methods), ONE_WORKER, outputs, "luigi.cfg")


def runs(run_id: str = "20261120T031500Z-1a2b3c4d", **more: Any) -> pa.Table:
    """RUNS of a run; `more` takes the place of columns."""
    stages = [
        {
            "stage": name,
            "group": group,
            "title": f"{name} {group}".strip(),
            "fingerprint": f"{place:064x}",
            "rows": 1000 * place,
            "wall_seconds": 1.3**place,
            "work_seconds": 2 * 1.3**place,
            "started": f"2026-11-20T03:{min(place, 3):02d}:00+00:00",
            "learned": {"final_loss": 0.125} if name == "train" else {},
            "reused_from": "20261119T031500Z-99999999" if place < 2 else None,
        }
        for place, (name, group) in enumerate(
            [("latents", "train"), ("labels", "train"), ("train", "l2l"), *[("range", "l2l")] * 8, ("edits", "l2l")]
        )
    ]
    row: dict[str, Any] = {
        "run_id": run_id,
        "run_date": DATE,
        "domain": "synthface",
        "profile": "smoke",
        "status": "complete",
        "fingerprint": "1a2b3c4d" * 8,
        "settings": json.dumps(settings().as_json()),
        "weights": json.dumps({"generator": "ab" * 32, "scorer_b": "cd" * 32}),
        "packages": json.dumps({"numpy": "2.4.0", "torch": "2.11.0"}),
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "machine": json.dumps({"processor": "A processor", "cores": 2, "memory_gib": 8.0, "device": "cpu"}),
        "stages": json.dumps(stages),
        "n_latents": 2048,
        "n_faces": 6,
        "n_steps": 5,
        "edits_per_method": 240,
    }
    return pa.Table.from_pylist([row | more], schema=RUNS)


def tables(
    run_id: str = "20261120T031500Z-1a2b3c4d", seed: int = 0, methods: tuple[str, ...] = METHODS
) -> dict[str, pa.Table]:
    """The tables of a run that was published before `differences`, `ranks` and their like."""
    return {
        "scores": scores(run_id, methods, seed=seed),
        "ranges": ranges(methods),
        "edits": edits(methods, seed=seed),
        "matched": matched(methods, seed=seed),
        "rescoring": rescoring(methods, seed=seed),
        "rates": rates(methods, seed=seed),
        "consistency": consistency(methods, seed=seed),
        "runs": runs(run_id),
    }


NETWORKS = {
    "scorer_a": "scorer_a",
    "scorer_b": "scorer_b",
    "recognizer_a": "recognizer_a",
    "recognizer_b": "recognizer_b",
    "perception": "perception",
    "reader": "reader",
    "detector": "detector",
    "mtcnn": "mtcnn-onet256",
}
CARD = DomainCard("synthface", "Numbers at random.", 64, 8, 4, {}, NETWORKS)
MEASURED = {
    "scorer_a": {},
    "scorer_b": {"natural": {"age": {"r2": 0.84, "auc": 0.9}, "smile": {"r2": 0.5}}, "n_natural": 4000},
    "generator": {"r2_scorer_b": {"smile": 0.75, "age": 0.91, "blur": -0.2}, "n": 1000},
    "recognizer_b": {"auc": 0.96, "equal_error_rate": 0.1, "n_pairs": 500},
    "reader": {"error_of_the_distance": 0.3, "held_out_people": {"n_persons": 40}},
}


@cache
def judges(seed: int = 0) -> pa.Table:
    """What is known of the networks, with the role of each."""
    return judges_table(CARD, MEASURED, edits(seed=seed).to_pandas())


def whole(
    run_id: str = "20261120T031500Z-1a2b3c4d", seed: int = 0, samples: int = 200, methods: tuple[str, ...] = METHODS
) -> dict[str, pa.Table]:
    """All published tables of a run, those that publication computes from the edits by the code that computes them."""
    return {**tables(run_id, seed, methods), **_computed(run_id, seed, samples, methods)}


@cache
def _computed(run_id: str, seed: int, samples: int, methods: tuple[str, ...]) -> Mapping[str, pa.Table]:
    """What publication computes from the edits."""
    given = tables(run_id, seed, methods)
    means = face_scores(given["edits"], CARD)
    known = judges(seed)
    compared = difference_tables(
        means.to_pandas(),
        given["scores"].to_pandas(),
        frozenset({"random", "noop"}),
        Bootstrap(samples, 0.95, 7),
        judge_errors(known.to_pandas()),
    )
    return {**compared, "judges": known, "face_scores": means}


@cache
def strips(methods: tuple[str, ...] = METHODS, n_faces: int = 2, n_pictures: int = 5) -> tuple[Strip, ...]:
    """Drawn faces whose mouth follows the strength."""
    found = []
    for method in methods:
        edits = tuple(
            ShownEdit(step, float(strength), 0.5 + 0.3 * float(strength), bool(strength < 1.2))
            for step, strength in enumerate(strengths(method, n_pictures))
        )
        for face in range(n_faces):
            row = row_of_tiles([tile_of(face_png(edit.strength, face)) for edit in edits])
            unedited = row_of_tiles([tile_of(face_png(0.0, face))])
            found += [Strip(method, attribute, 256000 + face, edits, row, 64, unedited, 0.5) for attribute in EVALUATED]
    return tuple(found)


def face_png(smile: float, face: int) -> bytes:
    """A drawn face of 64 px, as PNG."""
    image = Image.new("RGB", (64, 64), (180, 200, 220))
    pen = ImageDraw.Draw(image)
    pen.ellipse((10, 4, 54, 62), fill=(230 - 30 * face, 180 - 20 * face, 150))
    for x in (24, 40):
        pen.ellipse((x - 3, 24, x + 3, 30), fill=(40, 40, 60))
    pen.line([(22, 46 - 4 * smile), (32, 46 + 4 * smile), (42, 46 - 4 * smile)], fill=(150, 40, 50), width=3)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def publish_folder(outputs: Path, run_id: str, published: dict[str, pa.Table]) -> Path:
    """Lay down a published run as readers find it: its tables and their manifest."""
    folder = outputs / "reports" / f"run_id={run_id}"
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in published.items():
        write_table(table, PUBLISHED[name], folder / f"{name}.parquet")
    sign_folder(folder)
    return folder


def sign_folder(folder: Path) -> None:
    """Write the manifest of the tables as they lie in the folder of a published run."""
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": file_sha256(path)} for path in folder.glob("*.parquet")
    }
    run_id = folder.name.removeprefix("run_id=")
    (folder / "manifest.json").write_text(json.dumps({"run_id": run_id, "files": files, "stages": []}))
