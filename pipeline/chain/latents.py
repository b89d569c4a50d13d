"""Latents: ids -> z -> w.

A latent depends on (seed, id) and the mapping network alone. z is drawn, and w computed, in blocks of BLOCK
consecutive ids on one thread of the CPU, so that neither shard size, workers, threads, device nor a resumed run
changes a bit of w on the same kind of processor.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.domains import base
from pipeline.domains.base import DomainCard
from pipeline.errors import StageError, UnknownNameError
from pipeline.execution.shards import Progress, run_stage, use_threads
from pipeline.inversion.table import read_codes
from pipeline.settings.settings import Settings
from pipeline.storage.stages import Manifest, ShardRecord, Stage, check_shard, cut_ids, write_shard
from pipeline.tables.parquet import read_table, table_shards, vectors, write_table
from pipeline.tables.schemas import LATENTS, W_DIM
from stylegan.sampling import BLOCK, draw_z

if TYPE_CHECKING:
    from stylegan.generator import Generator

VERSION = 1
INVERTED_VERSION = 1
SETS = ("train", "faces", "reference", "matched", "rates")
FACES = ("faces", "matched", "rates")  # sets of faces that are edited: sampled, or inverted photographs
NAMING = "naming"  # codes that directions are named on: few, so that they are computed where they are wanted


@dataclass(frozen=True)
class LatentShard:
    """Ids first to stop - 1 of one set of latents."""

    which: str
    name: str
    first: int
    stop: int


def id_range(settings: Settings, which: str) -> tuple[int, int]:
    """First id and number of ids of the set "train", "faces", "reference", "matched", "rates" or "naming".

    "matched" and "rates" begin with the very faces of "faces", and may go on beyond them. Raises UnknownNameError.
    """
    experiment = settings.experiment
    ranges = {
        "train": (0, experiment.n_latents),
        "faces": (experiment.first_face_id, experiment.n_faces),
        "reference": (experiment.first_reference_id, experiment.n_reference),
        "matched": (experiment.first_face_id, experiment.n_matched_faces),
        "rates": (experiment.first_face_id, experiment.n_rate_faces),
        NAMING: (experiment.first_naming_id, experiment.n_naming_codes),
    }
    if which not in ranges:
        raise UnknownNameError("set of latents", which, ranges)
    return ranges[which]


def latents_stage(settings: Settings, card: DomainCard, which: str) -> Stage:
    """The stage of one set of latents. Raises UnknownNameError."""
    first, count = id_range(settings, which)
    weights = {"generator": card.weights["generator"]}
    if which in FACES and settings.experiment.faces_sha256:
        inverted = {
            "domain": settings.domain,
            "inverted": settings.experiment.faces_sha256,
            "first": first,
            "count": count,
        }
        return Stage("latents", INVERTED_VERSION, inverted, weights, label=which)
    parameters = {
        "domain": settings.domain,
        "seed": settings.experiment.seed,
        "first": first,
        "count": count,
        "block": BLOCK,
        "truncation_psi": settings.experiment.truncation_psi,
    }
    return Stage("latents", VERSION, parameters, weights, label=which)


def run_latents(settings: Settings, which: str) -> Manifest:
    """Publish one set of latents, computing what is missing. Raises as `shards.run_stage`."""
    stage = latents_stage(settings, base.describe(settings.domain), which)
    first, count = id_range(settings, which)
    cuts = cut_ids("latents", first, count, settings.machine.shard_size)
    shards = [LatentShard(which, cut.name, cut.first, cut.stop) for cut in cuts]
    units = [shard.stop - shard.first for shard in shards]
    return run_stage(stage, settings, latent_shard, shards, units=units, unit="latents", threads=1)


def read_w(
    settings: Settings, which: str, first: int | None = None, stop: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """ids (N,) int64 and w (N, 512) float32 of a published set, or of its ids from `first` to `stop` - 1.

    Only files that hold such ids are read, each checked; beside the result no more than one is in memory.
    Raises StageError if the set is not published, CorruptShardError naming a file that differs.
    """
    stage = latents_stage(settings, base.describe(settings.domain), which)
    start, count = id_range(settings, which)
    low, high = start if first is None else max(first, start), start + count if stop is None else stop
    ids = np.arange(low, min(high, start + count), dtype=np.int64)
    w = np.empty((len(ids), W_DIM), np.float32)
    for path, record in table_shards(stage, settings.outputs, LATENTS):
        begin, end = max(low, record.extra["first"]), min(high, record.extra["stop"])
        if begin >= end:
            continue
        check_shard(path, record)
        found = vectors(read_table(path, LATENTS, ["w"]), "w")
        offset = record.extra["first"]
        w[begin - low : end - low] = found[begin - offset : end - offset]
    return ids, w


def z_of(settings: Settings, which: str, places: np.ndarray) -> np.ndarray:
    """z (M, 512) float32 of the latents at `places` (M,) of a set, counted from 0.

    Raises UnknownNameError, and StageError for inverted photographs, which have none.
    """
    if which in FACES and settings.experiment.faces_sha256:
        raise StageError(f"The codes of {which} are those of photographs: no z is known of them.")
    return draw_z(settings.experiment.seed, id_range(settings, which)[0] + np.asarray(places, dtype=np.int64))


def naming_w(settings: Settings) -> np.ndarray:
    """w (N, 512) float32 of the ids that directions are named on, to the bit as a stage would have them."""
    import torch

    generator = base.load(settings.domain, "cpu").generator
    first, count = id_range(settings, NAMING)
    threads = torch.get_num_threads()
    use_threads(1)
    try:
        starts = range(first, first + count, BLOCK)
        psi = settings.experiment.truncation_psi
        return np.concatenate([_map_block(generator, settings.experiment.seed, start, psi) for start in starts])[:count]
    finally:
        use_threads(threads)


def latent_shard(settings: Settings, shard: LatentShard, progress: Progress) -> ShardRecord:
    """Compute and write one shard of latents; runs on a worker."""
    started = time.perf_counter()
    ids = np.arange(shard.first, shard.stop, dtype=np.int64)
    if shard.which in FACES and settings.experiment.faces_sha256:
        first, _ = id_range(settings, shard.which)
        w = read_codes(settings, base.describe(settings.domain))[shard.first - first : shard.stop - first]
    else:
        w = _sampled(settings, shard, progress)
    stage = latents_stage(settings, base.describe(settings.domain), shard.which)
    return write_shard(
        stage.folder(settings.outputs),
        shard.name,
        lambda path: write_table({"latent_id": ids, "w": w}, LATENTS, path),
        {"first": shard.first, "stop": shard.stop},
        seconds=time.perf_counter() - started,
    )


def _sampled(settings: Settings, shard: LatentShard, progress: Progress) -> np.ndarray:
    """w (N, 512) of a shard's ids."""
    use_threads(1)
    generator = base.load(settings.domain, "cpu").generator
    use_threads(1)  # again: torch may have been loaded by the line above
    w = np.empty((shard.stop - shard.first, W_DIM), np.float32)
    aligned = shard.first - shard.first % BLOCK
    for start in range(aligned, shard.stop, BLOCK):
        begin, end = max(start, shard.first), min(start + BLOCK, shard.stop)
        block = _map_block(generator, settings.experiment.seed, start, settings.experiment.truncation_psi)
        w[begin - shard.first : end - shard.first] = block[begin - start : end - start]
        progress(end - shard.first, len(w), "")
    return w


def _map_block(generator: Generator, seed: int, start: int, psi: float) -> np.ndarray:
    """w (BLOCK, 512) of one whole block, whatever part of it is wanted: the same sums in the same order."""
    import torch

    z = torch.from_numpy(draw_z(seed, np.arange(start, start + BLOCK)))
    with torch.inference_mode():
        w = generator.map_to_w(z)
        if psi != 1.0:
            w = torch.lerp(generator.mapping.w_avg.to(w), w, psi)
    return w.numpy()
