"""A run made of numbers drawn at random, in the tables' own schemas: what the report's tests publish and print.

Tables cannot be changed, so that a process draws each once.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image, ImageDraw

from pipeline.attributes import EVALUATED, NAMES, index_of
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
from pipeline.tables.schemas import (
    CHANGE_COLUMNS,
    CONSISTENCY,
    EDITS,
    MATCHED,
    PUBLISHED,
    RANGES,
    RATES,
    RESCORING,
    RUNS,
    SCORES,
    VALUE_COLUMNS,
)
from stylegan.sampling import BLOCK
from tests.builders import experiments

METHODS = ("interfacegan", "l2l", "random", "noop")
CAPS = {"interfacegan": 1.1, "l2l": 0.9, "random": 1.4, "noop": 0.0}
UNITS = {"l2l": "difference of the attribute's value", "noop": "nothing"}
LEVELS = (0.5, 1.0, 1.5, 2.0)
DATE = datetime(2026, 11, 20, 3, 15, tzinfo=UTC)


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


def strengths(method: str, n_steps: int) -> np.ndarray:
    """The steps of a method's range."""
    return np.linspace(-CAPS.get(method, 1.0), CAPS.get(method, 1.0), n_steps)


@cache
def edits(methods: tuple[str, ...] = METHODS, n_faces: int = 6, n_steps: int = 5, seed: int = 0) -> pa.Table:
    """EDITS whose identity distance grows with the square of the strength, at a pace of the method's own."""
    rng = np.random.default_rng(seed)
    columns: dict[str, list[Any]] = {name: [] for name in EDITS.names}
    for place, method in enumerate(methods):
        for attribute in EVALUATED:
            pace = rng.uniform(0.2, 0.6) * (0 if method == "noop" else 1)
            effect = rng.uniform(0.2, 0.5) * {"noop": 0, "random": 0.15}.get(method, 1)
            for face in range(n_faces):
                start = rng.uniform(0.2, 0.8)
                for step, strength in enumerate(strengths(method, n_steps)):
                    values = np.clip(rng.uniform(0, 1, len(VALUE_COLUMNS)), 0, 1)
                    values[index_of(attribute)] = np.clip(start + effect * strength, 0, 1)
                    identity = pace * strength**2 * (0.7 + 0.1 * place)
                    found = abs(strength) < 1 or rng.uniform() > 0.1
                    row = {
                        "method": method,
                        "attribute": attribute,
                        "face_id": 256000 + face,
                        "step": step,
                        "strength": float(strength),
                        "displacement": abs(float(strength)),
                        "detected": bool(found),
                        "probability": 0.99 if found else 0.0,
                        "box_left": 4.0,
                        "box_top": 4.0,
                        "box_right": 60.0,
                        "box_bottom": 60.0,
                        "start_value": start,
                        "identity_mtcnn": identity,
                        "identity_recognizer_a": 0.8 * identity,
                        "identity_recognizer_b": 1.2 * identity,
                        "true_identity_distance": 0.9 * identity,
                        "true_identity_error": 0.3,
                        "lpips": 0.5 * identity,
                        "ssim": 1 - 0.5 * identity,
                        "local_share": 0.6 if identity and attribute not in ("pitch", "yaw") else None,
                        "parts_area": 0.3 if identity and attribute not in ("pitch", "yaw") else None,
                        **dict(zip(VALUE_COLUMNS, map(float, values), strict=True)),
                    }
                    for name, value in row.items():
                        columns[name].append(value)
    return pa.table(columns, schema=EDITS)


@cache
def ranges(methods: tuple[str, ...] = METHODS, n_faces: int = 6) -> pa.Table:
    """RANGES of those edits."""
    rows = []
    for method in methods:
        for attribute in EVALUATED:
            reach = CAPS.get(method, 1.0)
            set_by = {"noop": "none", "random": "cap"}.get(method, "detector")
            rows.append(
                {
                    "method": method,
                    "attribute": attribute,
                    "unit": UNITS.get(method, "mean distance of two random w"),
                    "low": -reach,
                    "high": reach,
                    "low_set_by": set_by,
                    "high_set_by": "plateau" if attribute == "yaw" and set_by == "detector" else set_by,
                    "cap": 1.5,
                    "found_share": 0.95,
                    "n_faces": n_faces,
                    "face_ids": list(range(256000, 256000 + n_faces)),
                    "face_low": [-reach] * n_faces,
                    "face_high": [reach] * n_faces,
                    "value_bounded": method == "l2l",
                }
            )
    return pa.Table.from_pylist(rows, schema=RANGES)


def score(method: str, attribute: str, metric: str, value: float, **more: Any) -> dict[str, Any]:
    """One row of SCORES without run_id and run_date, with an interval of +-10 %."""
    row = {
        "domain": "synthface",
        "profile": "smoke",
        "protocol": "l2l-2022",
        "method": method,
        "method_version": 1,
        "attribute": attribute,
        "metric": metric,
        "network": "none",
        "value": value,
        "ci_low": value - 0.1 * abs(value),
        "ci_high": value + 0.1 * abs(value),
        "n_faces": 6,
        "n_images": 30,
        "better": "lower",
        "unit": "1",
        "flag": None,
    }
    return row | more


def score_rows(method: str, seed: int = 0) -> list[dict[str, Any]]:
    """Every score of a method, at random."""
    rng = np.random.default_rng([seed, METHODS.index(method) if method in METHODS else 9])
    rows = []
    few = "FID from 240 images in 512 dimensions: at least 1,024 are needed"
    for attribute in (*EVALUATED, "all"):
        zero = 0.0 if method == "noop" else 1.0
        for network in ("mtcnn-onet256", "recognizer_a", "recognizer_b"):
            flag = "in the training loss of l2l" if network == "recognizer_a" and method == "l2l" else None
            value = zero * rng.uniform(0.1, 0.7)
            more = {"network": network, "flag": flag, "unit": "cosine distance"}
            rows.append(score(method, attribute, "identity_distance", value, **more))
        rows.append(score(method, attribute, "lpips", zero * rng.uniform(0.1, 0.4), network="perception"))
        rows.append(score(method, attribute, "ssim", 1 - zero * rng.uniform(0.1, 0.4), better="higher"))
        more = {"network": "scorer_b", "better": "higher"}
        rows.append(score(method, attribute, "attribute_change", zero * rng.uniform(0.1, 0.4), **more))
        rows.append(score(method, attribute, "detected_share", 1 - zero * rng.uniform(0, 0.1), better="neither"))
    more = {"network": "perception", "n_images": 240}
    rows.append(score(method, "all", "fid", rng.uniform(20, 50), flag=few, **more))
    rows.append(score(method, "all", "kid", rng.uniform(0.005, 0.02), **more))
    rows.append(score(method, "all", "inception_score", rng.uniform(2, 3), better="higher", **more))
    rows.append(score(method, "all", "inception_score_spread", rng.uniform(0.02, 0.1), better="neither", **more))
    rows.append(score(method, "all", "inception_score_difference", rng.uniform(0.02, 0.3), **more))
    rows.append(score(method, "all", "seconds_per_edit", rng.uniform(0.0001, 0.001), unit="s", n_faces=1))
    rows.append(score(method, "all", "seconds_per_edit_and_synthesis", rng.uniform(0.01, 0.02), unit="s", n_faces=1))
    return rows


def matched_score_rows(method: str, seed: int = 0) -> list[dict[str, Any]]:
    """Every score of a method at matched change, at random; the no-op reaches nothing."""
    rng = np.random.default_rng([seed, 5, METHODS.index(method) if method in METHODS else 9])
    rows = []
    for attribute in (*EVALUATED, "all"):
        for level in LEVELS:
            more: dict[str, Any] = {"protocol": "matched-change-1", "level": level, "n_faces": 4, "n_images": 8}
            missed = 1.0 if method == "noop" else rng.uniform(0, 0.4)
            rows.append(score(method, attribute, "unreached_share", missed, network="scorer_a", **more))
            if method == "noop":
                continue
            judged = more | {"network": "scorer_b", "flag": "fewer than 10 faces"}
            for metric, size in (("attribute_dependency_mean", 0.3), ("attribute_dependency_max", 1.2)):
                rows.append(score(method, attribute, metric, level * rng.uniform(0.5, 1) * size, **judged))
            told = level * rng.uniform(0.8, 1.1)
            rows.append(score(method, attribute, "attribute_change_reported", told, **(judged | {"better": "neither"})))
            rows.append(
                score(method, attribute, "identity_distance", level * 0.1, **(more | {"network": "recognizer_b"}))
            )
    return rows


def rated_score_rows(method: str, seed: int = 0) -> list[dict[str, Any]]:
    """Every score of a method's rate curves and of its consistency, at random; the no-op flips nothing."""
    rng = np.random.default_rng([seed, 7, METHODS.index(method) if method in METHODS else 9])
    rows, still = [], method == "noop"
    for attribute in (*EVALUATED, "all"):
        more: dict[str, Any] = {"protocol": "rates-1", "n_faces": 6, "n_images": 60, "better": "higher"}
        for metric, judge in (("preservation_area", "scorer_b"), ("acceptance_area", "recognizer_b")):
            value = 0.0 if still else rng.uniform(0.3, 0.9)
            rows.append(score(method, attribute, metric, value, **(more | {"network": judge})))
        for metric, judge in (("preservation_rate", "scorer_b"), ("acceptance_rate", "recognizer_b")):
            for level in (0.5, 0.75, 0.9):
                found = float("nan") if still else rng.uniform(0.4, 1.0)
                flag = {"flag": "the target-change rate is not reached"} if still else {}
                rows.append(
                    score(method, attribute, metric, found, **(more | {"network": judge, "level": level} | flag))
                )
    for metric in ("consistency_displacement", "order_score_spread", "undo_displacement"):
        value = 0.0 if still else rng.uniform(0.01, 0.4)
        rows.append(
            score(method, "all", metric, value, network="none", protocol="consistency-1", n_faces=3, n_images=3)
        )
    return rows


@cache
def rates(methods: tuple[str, ...] = METHODS, n_faces: int = 4, seed: int = 0) -> pa.Table:
    """RATES whose labels flip at the strengths over one half; noop's never do."""
    rows = [
        {
            "method": method,
            "attribute": attribute,
            "face_id": 256000 + face,
            "strength_index": index,
            "strength": index / 4,
            "label": False,
            "displacement": index / 8,
            "detected": True,
            "flipped": index > 2 and method != "noop",
            "preserved": 1 - index / 20,
            "identity_recognizer_b": index / 10,
            "largest_accepted_distance": 0.25,
            "accepted": index <= 2,
        }
        for method in methods
        for attribute in EVALUATED
        for face in range(n_faces)
        for index in range(1, 5)
    ]
    return pa.Table.from_pylist(rows, schema=RATES)


@cache
def consistency(methods: tuple[str, ...] = METHODS, n_faces: int = 3, seed: int = 0) -> pa.Table:
    """CONSISTENCY at random."""
    rng = np.random.default_rng([seed, 8])
    known = {"method", "face_id", "attributes", "strengths", "carried"}
    rows = [
        {
            "method": method,
            "carried": "values" if method == "l2l" else None,
            "face_id": 256000 + face,
            "attributes": ["age", "beard", "yaw"],
            "strengths": [1.0, 2.0, 3.0],
        }
        | {name: float(rng.uniform(0, 0.3)) for name in CONSISTENCY.names if name not in known}
        for method in methods
        for face in range(n_faces)
    ]
    return pa.Table.from_pylist(rows, schema=CONSISTENCY)


@cache
def matched(methods: tuple[str, ...] = METHODS, n_faces: int = 4, seed: int = 0) -> pa.Table:
    """MATCHED whose edits move their own attribute by the level and the others at random; noop's reach nothing."""
    rng = np.random.default_rng([seed, 6])
    rows: list[dict[str, Any]] = []
    for method in methods:
        for attribute in EVALUATED:
            for face in range(n_faces):
                for direction in (1, -1):
                    for level in LEVELS:
                        reached = method != "noop"
                        row: dict[str, Any] = {
                            "method": method,
                            "attribute": attribute,
                            "face_id": 256000 + face,
                            "direction": direction,
                            "level": level,
                            "reached": reached,
                            "unreached": None if reached else "weak",
                            "tolerance": 0.05,
                        }
                        if reached:
                            changes = rng.normal(0, 0.2, len(NAMES))
                            changes[index_of(attribute)] = direction * level
                            own = {"strength": 0.3 * direction * level, "displacement": 0.3 * level, "detected": True}
                            own |= {"change_a": direction * level, "change_b": direction * level}
                            own |= dict.fromkeys(("identity_mtcnn", "identity_recognizer_b", "lpips"), 0.1 * level)
                            row |= own | dict(zip(CHANGE_COLUMNS, map(float, changes), strict=True))
                        rows.append(row)
    return pa.Table.from_pylist(rows, schema=MATCHED)


@cache
def rescoring(methods: tuple[str, ...] = METHODS, seed: int = 0) -> pa.Table:
    """RESCORING: the edited attribute moves by the level, the one after it by half of that, no other."""
    rows = []
    for method in methods:
        for attribute in EVALUATED:
            for direction in (1, -1):
                for level in LEVELS:
                    for column, scored in enumerate(NAMES):
                        beside = column - index_of(attribute)
                        change = direction * level * {0: 1.0, 1: 0.5}.get(beside, 0.0)
                        none = method == "noop"
                        rows.append(
                            {
                                "method": method,
                                "attribute": attribute,
                                "direction": direction,
                                "level": level,
                                "scored_attribute": scored,
                                "network": "scorer_b",
                                "change": None if none else change,
                                "ci_low": None if none else change - 0.1,
                                "ci_high": None if none else change + 0.1,
                                "n_faces": 0 if none else 4,
                            }
                        )
    return pa.Table.from_pylist(rows, schema=RESCORING)


@cache
def scores(run_id: str = "20261120T031500Z-1a2b3c4d", methods: tuple[str, ...] = METHODS, seed: int = 0) -> pa.Table:
    """SCORES of a run."""
    of_all = (score_rows, matched_score_rows, rated_score_rows)
    found = [row for rows_of in of_all for method in methods for row in rows_of(method, seed)]
    rows = [{"run_id": run_id, "run_date": DATE, **row} for row in found]
    return pa.Table.from_pylist(rows, schema=SCORES)


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
