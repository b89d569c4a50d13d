"""The statistics of a run: plain forms and ours in one run, and the scores of one method at the sizes of profile full.

    python benchmarks/scoring.py

Every row of the first table checks first that both forms give the same answer. Both are timed in turns, by the
processor time of this process on one thread, and the best of the rounds counts, so that another load on the machine
favours neither. The second table computes whole stages, reading and writing included, from tables of random numbers.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from cleanfid import fid as cleanfid

from pipeline.chain.links import Chain
from pipeline.domains import base
from pipeline.methods import registry
from pipeline.metrics.base import RateSet
from pipeline.metrics.curves import area, estimate
from pipeline.metrics.kid import kernel_distance
from pipeline.metrics.kid_same_codes import paired_sums
from pipeline.settings.settings import load_settings
from pipeline.statistics.bootstrap import Bootstrap, face_rows, sums_by_face
from pipeline.statistics.false_accepts import acceptance_distance
from pipeline.storage.stages import ShardRecord, building, write_shard
from pipeline.tables import schemas
from pipeline.tables.parquet import table_name, write_table

ROUNDS = 3
METHOD = "noop"
METHODS = 14
RNG = np.random.default_rng(0)


def main() -> None:
    """Measure, and print two tables."""
    argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0]).parse_args()
    torch.set_num_threads(1)
    print(f"one thread, processor time, best of {ROUNDS}, NumPy {np.__version__}")
    print(f"{'what':78}{'plain, s':>10}{'ours, s':>10}{'ratio':>8}")
    for row in (false_accepts, rate_curve, matrix_cell, kid, same_codes):
        what, plain, ours = row()
        print(f"{what:78}{plain:10.3f}{ours:10.3f}{plain / ours:8.1f}", flush=True)
    print(f"\n{'stage of one method, profile full':50}{'s':>8}{f'of {METHODS}, min':>14}")
    with tempfile.TemporaryDirectory() as folder:
        for name, seconds in stages(Path(folder)).items():
            print(f"{name:50}{seconds:8.2f}{seconds * METHODS / 60:14.2f}", flush=True)


def best(*works: Callable[[], object]) -> list[float]:
    """Seconds of each, in turns, the best round of each."""
    shortest = [float("inf")] * len(works)
    for _ in range(ROUNDS):
        for index, work in enumerate(works):
            start = time.process_time()
            work()
            shortest[index] = min(shortest[index], time.process_time() - start)
    return shortest


# Plain forms


def false_accepts() -> tuple[str, float, float]:
    """The distance of a rate of false accepts: the quantile of all pairs, and block by block."""
    persons = RNG.normal(size=(5000, 64)).astype(np.float32)
    persons /= np.linalg.norm(persons, axis=1, keepdims=True)

    def plain() -> float:
        cosine = persons.astype(np.float64) @ persons.astype(np.float64).T
        return float(np.quantile(1 - cosine[np.triu_indices(len(cosine), 1)], 0.001))

    def ours() -> float:
        return acceptance_distance(persons, 0.001)

    np.testing.assert_allclose(ours(), plain(), atol=1e-12)
    return "distance of false accepts, 5,000 images (was: in every shard of rates)", *best(plain, ours)


def rate_curve() -> tuple[str, float, float]:
    """The area under a rate curve and its interval: resample by resample, and all at once."""
    faces, index = (axis.ravel() for axis in np.indices((8 * 1000, 10)))
    flipped = RNG.random(len(faces)) < (index + 1) / 12
    columns = {"face_id": faces % 1000, "strength_index": index, "flipped": flipped, "preserved": RNG.random(80_000)}
    edits = RateSet(method=METHOD, attribute="all", columns=columns)

    def plain() -> tuple[float | None, float | None]:
        sums = {}
        for name in ("flipped", "preserved"):
            values = np.zeros((len(edits), 10))
            values[np.arange(len(edits)), index] = columns[name]
            sums[name] = np.zeros((1000, 10))
            np.add.at(sums[name], face_rows(edits.faces)[1], values)
        images = sums_by_face(np.ones(len(edits)), edits.faces) / 10

        def reading(counts: np.ndarray) -> float:
            n, x, y = counts @ images, [0.0], [1.0]
            rates = (counts @ sums[name] / n for name in ("flipped", "preserved"))
            for rate, kept in zip(*(rate.tolist() for rate in rates), strict=True):
                if rate > x[-1]:
                    x.append(rate)
                    y.append(kept)
            return float(np.trapezoid(y, x))

        resampled = np.array([reading(counts) for counts in edits.bootstrap.counts(1000)])
        return edits.bootstrap.interval(reading(np.ones(1000)), resampled, 1000)

    def ours() -> tuple[float | None, float | None]:
        found = estimate(edits, "preserved", area)
        return found.low, found.high

    np.testing.assert_allclose(np.array(ours(), float), np.array(plain(), float), rtol=1e-9)
    return "a rate curve of 80,000 edits of 1,000 faces, 1,000 resamples", *best(plain, ours)


def matrix_cell() -> tuple[str, float, float]:
    """A row of the re-scoring matrix: attribute by attribute, and in one product."""
    faces, values, bootstrap = np.arange(450), RNG.normal(size=(450, 35)), Bootstrap()

    def plain() -> list[float | None]:
        lows: list[float | None] = []
        for column in range(35):
            sums, sizes = sums_by_face(values[:, column], faces), sums_by_face(np.ones(450), faces)
            counts = bootstrap.counts(450)
            lows.append(bootstrap.interval(sums.sum() / 450, (counts @ sums) / (counts @ sizes), 450)[0])
        return lows

    def ours() -> list[float | None]:
        return [one.low for one in bootstrap.means(values, faces)]

    np.testing.assert_allclose(np.array(ours(), float), np.array(plain(), float), rtol=1e-9)
    return "35 means of 450 faces, 1,000 resamples (of 64 cells of the matrix)", *best(plain, ours)


def vectors(images: int, width: int = 128) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Perception vectors of the edits of 50 faces, of each face unedited, and the faces."""
    faces = np.arange(images) % 50
    unedited = RNG.normal(size=(50, width)).astype(np.float32)[faces]
    return unedited + np.float32(0.3) * RNG.normal(size=(images, width)).astype(np.float32), unedited, faces


def kid() -> tuple[str, float, float]:
    """KID of 100 subsets of 1,000 of the images of one attribute: clean-fid's, and ours."""
    features, reference = vectors(2050)[0], RNG.normal(size=(16_400, 128)).astype(np.float32)

    def plain() -> float:
        np.random.seed(1)
        return float(cleanfid.kernel_distance(reference, features, num_subsets=100, max_subset_size=1000))

    def ours() -> float:
        return kernel_distance(features, reference, subsets=100, subset_size=1000, seed=1)

    np.testing.assert_allclose(ours(), plain(), atol=1e-6)
    return "KID, 100 subsets of 1,000 of 2,050 images, clean-fid's and ours", *best(plain, ours)


def same_codes() -> tuple[str, float, float]:
    """Sums of the kernel between faces for kid_same_codes: of every two images, and ours."""
    edited, unedited, faces = vectors(4100)

    def plain() -> np.ndarray:
        def between(first: np.ndarray, second: np.ndarray) -> np.ndarray:
            first, second = first.astype(np.float64), second.astype(np.float64)
            rows = [(first[faces == face] @ second.T / 128 + 1) ** 3 for face in range(50)]
            return np.stack([sums_by_face(row.sum(axis=0), faces) for row in rows])

        crossed = between(edited, unedited)
        return between(edited, edited) + between(unedited, unedited) - crossed - crossed.T

    def ours() -> np.ndarray:
        return paired_sums(edited, unedited, faces)

    np.testing.assert_allclose(ours(), plain(), rtol=1e-7)
    return "KID to the same codes, 4,100 images of 50 faces", *best(plain, ours)


# Whole stages


def stages(outputs: Path) -> dict[str, float]:
    """Processor seconds of the stages of scores of one method, from tables of random numbers under `outputs`."""
    settings = load_settings(
        domain="synthface",
        profile="full",
        methods=(METHOD,),
        known_methods=registry.names(),
        known_domains=base.names(),
        overrides={"latentbench.outputs": str(outputs), "machine.executor": "inline"},
    )
    chain = Chain(settings)
    for (kind, *names), tables in random_tables(chain).items():
        with building(chain.stage(kind, *names), settings) as builder:
            builder.publish([written(builder.folder, *table) for table in tables])
    seconds = {}
    for kind in ("scores", "rescoring", "rating"):
        start = time.process_time()
        chain.run(kind, METHOD)
        seconds[kind] = time.process_time() - start
    return seconds


def random_tables(chain: Chain) -> dict[tuple[str, ...], list[tuple[pa.Schema, dict[str, Any]]]]:
    """What the stages of scores read, by kind and names of the stage: schemas, and the columns that are not drawn."""
    experiment = chain.settings.experiment
    vectors_of = schemas.features(chain.card.feature_width, chain.card.classes)
    first = experiment.first_face_id
    face, attribute, step = grid(experiment.n_faces, experiment.attributes, range(experiment.n_steps))
    edits = {"face_id": first + face, "attribute": attribute, "step": step, "method": [METHOD] * len(face)}
    seen, unedited, _ = vectors(len(face), chain.card.feature_width)
    face, attribute, index = grid(experiment.n_rate_faces, experiment.attributes, range(experiment.rate_strengths))
    rates = {"face_id": first + face, "attribute": attribute, "strength_index": index + 1}
    rates["flipped"] = RNG.random(len(face)) < (index + 1) / (experiment.rate_strengths + 2)
    changes = [(way, level) for way in (1, -1) for level in experiment.matched_levels]
    face, attribute, place = grid(experiment.n_matched_faces, experiment.attributes, range(len(changes)))
    way, level = np.array(changes)[place].T
    matched = {"face_id": first + face, "attribute": attribute, "direction": way.astype(np.int32), "level": level}
    every_face = np.arange(experiment.n_faces)
    alone = {"face_id": first + every_face, "feature": unedited[every_face]}
    return {
        ("edits", METHOD): [(schemas.EDITS, edits), (vectors_of, edits | {"feature": seen})],
        ("reference", "reference"): [(vectors_of, {"face_id": np.arange(experiment.n_reference)})],
        ("reference", "faces"): [(vectors_of, alone)],
        ("timing", METHOD): [(schemas.TIMINGS, {"repetition": np.arange(experiment.n_timings)})],
        ("matched", METHOD): [(schemas.MATCHED, matched)],
        ("rates", METHOD): [(schemas.RATES, rates)],
        ("consistency", METHOD): [(schemas.CONSISTENCY, {"face_id": np.arange(experiment.n_consistency_faces)})],
    }


def grid(faces: int, attributes: tuple[str, ...], steps: range) -> tuple[np.ndarray, ...]:
    """Face, attribute and step of every edit; the face changes fastest, as in `vectors`."""
    attribute, step, face = (axis.ravel() for axis in np.indices((len(attributes), len(steps), faces)))
    return face, np.array(attributes)[attribute], step


def written(folder: Path, schema: pa.Schema, columns: dict[str, Any]) -> ShardRecord:
    """A file of a stage: the columns that are given, and the others drawn."""
    count = len(columns.get("face_id", columns.get("repetition", ())))
    drawn = {field.name: columns.get(field.name, random_column(field, count)) for field in schema}
    table = {name: values for name, values in drawn.items() if values is not None}
    return write_shard(folder, f"{table_name(schema)}-all.parquet", lambda path: write_table(table, schema, path))


def random_column(field: pa.Field, count: int) -> Any:
    """Numbers in [0, 1] or normal vectors; nine of ten flags are true, words are empty, or null where they may be."""
    kind = field.type
    if pa.types.is_fixed_size_list(kind):
        return RNG.normal(size=(count, kind.list_size)).astype(np.float32)
    if pa.types.is_boolean(kind):
        return RNG.random(count) < 0.9
    if pa.types.is_floating(kind):
        return RNG.random(count)
    if pa.types.is_integer(kind):
        return np.zeros(count, np.int64)
    if pa.types.is_list(kind):
        return [[]] * count
    return None if field.nullable else [""] * count


if __name__ == "__main__":
    main()
