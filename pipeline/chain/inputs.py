"""What a stage reads of those upstream: latents, labels, faces, trained methods, ranges, and units of change.

Every reader takes the `Work` of the stage that reads, which must name in its recipe what is read here; it raises
StageError for what is not published, and CorruptShardError naming a file that differs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from pipeline.chain.sets import id_range, is_inverted, z_of
from pipeline.chain.work import Work
from pipeline.methods import registry
from pipeline.methods.interface import Faces, Method
from pipeline.statistics.false_accepts import acceptance_distance
from pipeline.statistics.units import Units, label_cuts
from pipeline.storage.stages import Stage, check_shard, shards_of
from pipeline.tables.parquet import read_stage, read_table, table_shards, values_of, vectors
from pipeline.tables.schemas import LABELS, LATENTS, RANGES, SPREAD, VALUE_COLUMNS, W_DIM

if TYPE_CHECKING:
    from pipeline.domains.base import Domain


@dataclass(frozen=True)
class Spread:
    """Standard deviations (35,) float64 of the logits of scorer A and B; NaN for what has no usable one."""

    a: np.ndarray
    b: np.ndarray


@dataclass(frozen=True)
class Thresholds:
    """Where judges draw lines, by unedited images.

    cuts (35,) float32: the logit by scorer B over which an attribute's label is true, as `label_cuts`. distance: up to
    which recognizer B accepts the same person, as `acceptance_distance`.
    """

    cuts: np.ndarray
    distance: float


def read_w(work: Work, which: str, first: int | None = None, stop: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """ids (N,) int64 and w (N, 512) float32 of a set of latents, or of its ids from `first` to `stop` - 1.

    Only files that hold such ids are read, each checked; beside the result no more than one is in memory.
    """
    start, count = id_range(work.settings, which)
    low, high = start if first is None else max(first, start), start + count if stop is None else stop
    ids = np.arange(low, min(high, start + count), dtype=np.int64)
    w = np.empty((len(ids), W_DIM), np.float32)
    for path, record in table_shards(work.read("latents", which), work.settings.outputs, LATENTS):
        begin, end = max(low, record.extra["first"]), min(high, record.extra["stop"])
        if begin >= end:
            continue
        check_shard(path, record)
        found = vectors(read_table(path, LATENTS, ["w"]), "w")
        offset = record.extra["first"]
        w[begin - low : end - low] = found[begin - offset : end - offset]
    return ids, w


def read_values(work: Work, which: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of a labelled set: ids (N,) int64, scorer A's values (N, 35) in [0, 1], face probability (N,), both float32."""
    table = work.table("labels", which, LABELS, ["latent_id", *VALUE_COLUMNS, "face_probability"])
    return (
        table.column("latent_id").to_numpy(),
        values_of(table),
        table.column("face_probability").to_numpy(),
    )


def read_faces(
    work: Work, domain: Domain, first: int = 0, stop: int | None = None, which: str = "faces"
) -> tuple[np.ndarray, Faces]:
    """Ids (N,) of the faces `first` to `stop` - 1 of a set, counted from 0, and all that a method may know of them.

    `which` is "faces", those of the grid over ranges, "matched", those edited to a matched change, or "rates", those of
    the rate curves.
    """
    import torch

    start, count = id_range(work.settings, which)
    stop = count if stop is None else stop
    ids, w = read_w(work, which, start + first, start + stop)
    _, values, _ = read_values(work, which)
    z = None
    if not is_inverted(work.settings, which):
        z = torch.from_numpy(z_of(work.settings, which, np.arange(first, stop))).to(domain.device)
    faces = Faces(
        ws=domain.generator.mapping.broadcast(torch.from_numpy(w).to(domain.device)),
        values=torch.from_numpy(values[first:stop]).to(domain.device),
        z=z,
        mapping=domain.generator.mapping,
        truncation_psi=work.experiment.truncation_psi,
    )
    return ids, faces


def load_method(work: Work) -> Method:
    """The trained method that the stage is of, on the run's device; kept for the shards that follow in a process.

    Its files are checked when they are read. Trained again, they have other sha256 and are read again.
    """
    stage, outputs = work.read("train", work.name), work.settings.outputs
    digests = tuple(record.sha256 for _, record in shards_of(stage, outputs))
    parameters = tuple(work.settings.method_parameters(work.name).items())
    return _trained(work.name, stage, outputs, digests, parameters, work.settings.machine.device)


@lru_cache(maxsize=1)
def _trained(
    name: str,
    stage: Stage,
    outputs: Path,
    digests: tuple[str, ...],
    parameters: tuple[tuple[str, Any], ...],
    device: str,
) -> Method:
    import torch

    for path, record in shards_of(stage, outputs):
        check_shard(path, record)
    trained = registry.load(name, stage.folder(outputs), dict(parameters))
    trained.to(torch.device(device))
    return trained


def read_range(work: Work, attribute: str) -> dict[str, Any]:
    """The row of RANGES of the method that the stage is of, for an attribute."""
    return work.table("range", f"{work.name}-{attribute}", RANGES).to_pylist()[0]


def read_spread(work: Work) -> Spread:
    """How far logits differ between unedited images: the units of matched change."""
    units = units_of(work.table("spread", "", SPREAD, ["logits_a", "logits_b"]))
    return Spread(units["scorer_a"].deviations, units["scorer_b"].deviations)


def units_of(spread: pa.Table) -> dict[str, Units]:
    """Of `scorer_a` and `scorer_b`, from a table of SPREAD."""
    return {f"scorer_{name}": Units.of(vectors(spread, f"logits_{name}")) for name in ("a", "b")}


def read_thresholds(work: Work) -> Thresholds:
    """Where judges draw lines; read once per process, because every shard of every method asks for them."""
    return _thresholds(work.read("spread"), work.settings.outputs, work.experiment.false_accept_rate)


@lru_cache(maxsize=1)
def _thresholds(spread: Stage, outputs: Path, false_accept_rate: float) -> Thresholds:
    table = read_stage(spread, outputs, SPREAD, ["logits_b", "identity_b"])
    persons = np.stack(table.column("identity_b").to_numpy(zero_copy_only=False))
    return Thresholds(label_cuts(vectors(table, "logits_b")), acceptance_distance(persons, false_accept_rate))
