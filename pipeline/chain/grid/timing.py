"""Seconds of single edits, alone and with synthesis."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from pipeline.chain.editor import Editor
from pipeline.chain.inputs import load_method, read_faces
from pipeline.chain.work import Kind, Part, Recipe, Work
from pipeline.domains.base import DomainCard
from pipeline.execution.jobs import Progress
from pipeline.settings.settings import Settings
from pipeline.storage.stages import ShardRecord
from pipeline.tables.schemas import TIMINGS

if TYPE_CHECKING:
    from pipeline.domains.base import Domain

VERSION = 1
WARM_UP = 3  # edits before the timed ones


def recipe(settings: Settings, card: DomainCard, method: str) -> Recipe:
    """Seconds of single edits. Which machine measured them stands in the manifest, not in the fingerprint."""
    parameters = {"method": method, "n_timings": settings.experiment.n_timings, "warm_up": WARM_UP}
    return Recipe(VERSION, parameters, ("generator",), (("train", method), ("labels", "faces")))


def cut(settings: Settings, method: str) -> list[Part]:
    """One file: edits are timed one after another."""
    return [Part("timings.parquet", settings.experiment.n_timings)]


def timing_shard(work: Work, part: Part, progress: Progress) -> ShardRecord:
    """Time single edits of the first face, after a few that are not counted; runs on a worker."""
    import torch

    started = time.perf_counter()
    domain, method, timed = work.domain(), load_method(work), work.experiment.n_timings
    _, faces = read_faces(work, domain, 0, 1)
    strengths = Editor(domain, method, faces, work.experiment.attributes[0]).vectors(faces, np.ones(1))
    edit, both = [], []
    with torch.inference_mode():
        for repetition in range(WARM_UP + timed):
            begin = _clock(domain)
            edited = method.edit_faces(faces, strengths)
            middle = _clock(domain)
            domain.generator.synthesis(edited)
            end = _clock(domain)
            edit.append(middle - begin)
            both.append(end - begin)
            progress(repetition + 1, WARM_UP + timed, "")
    columns = {
        "method": [work.name] * timed,
        "repetition": np.arange(timed, dtype=np.int32),
        "seconds_per_edit": np.array(edit[WARM_UP:]),
        "seconds_per_edit_and_synthesis": np.array(both[WARM_UP:]),
    }
    return work.write(part.name, columns, TIMINGS, started)


def _clock(domain: Domain) -> float:
    """Seconds, once the device has done what it was given."""
    if domain.device.type == "cuda":
        import torch

        torch.cuda.synchronize(domain.device)
    return time.perf_counter()


KIND = Kind("timing", recipe, cut, timing_shard, "edits", methods=True, shown=True)
