"""Latents: ids -> z -> w.

A latent depends on (seed, id) and the mapping network alone. z is drawn, and w computed, in blocks of BLOCK
consecutive ids on one thread of the CPU, so that neither shard size, workers, threads, device nor a resumed run
changes a bit of w on the same kind of processor.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.chain.sets import NAMING, SETS, id_range, is_inverted
from pipeline.chain.work import Kind, Recipe, Work
from pipeline.domains import base
from pipeline.domains.base import DomainCard
from pipeline.execution.jobs import Progress
from pipeline.execution.processes import use_threads
from pipeline.inversion.table import read_codes
from pipeline.settings.experiment import FULL
from pipeline.settings.settings import Settings
from pipeline.storage.stages import IdRange, ShardRecord, cut_ids
from pipeline.tables.schemas import LATENTS, W_DIM
from stylegan.sampling import BLOCK, draw_z

if TYPE_CHECKING:
    from stylegan.generator import Generator

VERSION = 1
INVERTED_VERSION = 1


def recipe(settings: Settings, card: DomainCard, which: str) -> Recipe:
    """One set of latents. Raises UnknownNameError."""
    first, count = id_range(settings, which)
    parameters: dict[str, Any] = {"domain": settings.domain, "first": first, "count": count}
    if is_inverted(settings, which):
        return Recipe(INVERTED_VERSION, parameters | {"inverted": settings.experiment.faces_sha256}, ("generator",))
    parameters["seed"] = settings.experiment.seed
    parameters["block"] = BLOCK
    parameters["truncation_psi"] = settings.experiment.truncation_psi
    return Recipe(VERSION, parameters, ("generator",))


def cut(settings: Settings, which: str) -> list[IdRange]:
    """Runs of ids."""
    return cut_ids("latents", *id_range(settings, which), settings.machine.shard_size)


def latent_shard(work: Work, ids: IdRange, progress: Progress) -> ShardRecord:
    """Compute and write one shard of latents; runs on a worker."""
    started = time.perf_counter()
    if is_inverted(work.settings, work.name):
        first, _ = id_range(work.settings, work.name)
        w = read_codes(work.settings, work.card)[ids.first - first : ids.stop - first]
    else:
        w = _sampled(work.settings, ids, progress)
    columns = {"latent_id": np.arange(ids.first, ids.stop, dtype=np.int64), "w": w}
    return work.write(ids.name, columns, LATENTS, started, ids.limits)


def naming_w(settings: Settings) -> np.ndarray:
    """w (N, 512) float32 of the ids that directions are named on, to the bit as a stage would have them."""
    import torch

    generator = _generator(settings)
    first, count = id_range(settings, NAMING)
    threads = torch.get_num_threads()
    use_threads(1)
    try:
        starts = range(first, first + count, BLOCK)
        psi = settings.experiment.truncation_psi
        return np.concatenate([_map_block(generator, settings.experiment.seed, start, psi) for start in starts])[:count]
    finally:
        use_threads(threads)


def _generator(settings: Settings) -> Generator:
    """On the CPU, in full precision, whatever the run's device."""
    return base.load(settings.domain, "cpu", FULL, settings.sources).generator


def _sampled(settings: Settings, ids: IdRange, progress: Progress) -> np.ndarray:
    """w (N, 512) of a shard's ids."""
    use_threads(1)
    generator = _generator(settings)
    use_threads(1)  # again: torch may have been loaded by the line above
    w = np.empty((ids.count, W_DIM), np.float32)
    aligned = ids.first - ids.first % BLOCK
    for start in range(aligned, ids.stop, BLOCK):
        begin, end = max(start, ids.first), min(start + BLOCK, ids.stop)
        block = _map_block(generator, settings.experiment.seed, start, settings.experiment.truncation_psi)
        w[begin - ids.first : end - ids.first] = block[begin - start : end - start]
        progress(end - ids.first, len(w), "")
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


KIND = Kind("latents", recipe, cut, latent_shard, "latents", sets=SETS, threads=1)
