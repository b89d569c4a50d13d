"""Training: a method learns from the labelled latents, and from nothing that will judge it.

One shard: a method learns as a whole, on the threads of machine.train_threads. Its batches are small, and a second
thread gains it little: so the methods of a run that are still to be trained are trained side by side, one on each
worker. What a training needs to go on after a crash it keeps in the stage's `checkpoints` folder, which is removed when
the stage is published.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.attributes import EVALUATED, LIST_VERSION
from pipeline.chain.labels import labels_stage, read_values
from pipeline.chain.latents import NAMING, id_range, latents_stage, naming_w, read_w, z_of
from pipeline.domains import base
from pipeline.domains.base import DomainCard
from pipeline.errors import BusyError, LatentbenchError, StageError
from pipeline.execution.shards import Progress, run_shards, run_stage, use_threads
from pipeline.execution.throughput import store_seconds
from pipeline.methods import masking, naming, registry
from pipeline.methods.interface import Faces, FitData, Method
from pipeline.settings.settings import Settings
from pipeline.storage.files import disk_full, is_full_disk
from pipeline.storage.stages import (
    CHECKPOINTS,
    Builder,
    Manifest,
    ShardRecord,
    Stage,
    building,
    check_shard,
    is_complete,
    shards_of,
    write_shard,
)

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

log = logging.getLogger("latentbench")

FILES = ("method.safetensors", "method.json")  # what Method.save writes
WHICH = "train"


@dataclass(frozen=True)
class TrainShard:
    """The training of one method."""

    name: str
    method: str


def train_stage(settings: Settings, card: DomainCard, method: str) -> Stage:
    """The stage of one trained method. Raises UnknownNameError."""
    kind = registry.get(method)
    parameters = {
        "method": method,
        "method_version": kind.version,
        "attribute_list": LIST_VERSION,
        "evaluated": list(EVALUATED),
        "seed": settings.experiment.seed,
        "naming": [naming.VERSION, *id_range(settings, NAMING)],
        **{f"parameter.{key}": value for key, value in build(settings, method).parameters().items()},
    }
    weights = {role: card.weights[role] for role in ("generator", "scorer_a", "recognizer_a")}
    upstream = (latents_stage(settings, card, WHICH), labels_stage(settings, card, WHICH))
    return Stage("train", 1, parameters, weights, upstream, label=method)


def build(settings: Settings, method: str) -> Method:
    """The method as this run sets it, not yet trained. Raises LatentbenchError for a setting that it does not know."""
    parameters = settings.method_parameters(method)
    try:
        return registry.build(method, parameters, settings.source_of(method))
    except (TypeError, ValueError) as error:
        raise LatentbenchError(f"{settings.source}: [method.{method}]: {error}") from error


def work(settings: Settings, method: str) -> tuple[int, str]:
    """How much a training is, and in what unit: steps of optimisation, or without any the latents that it reads."""
    steps = build(settings, method).parameters().get("steps")
    if isinstance(steps, int) and steps > 0:
        return steps, "steps"
    return settings.experiment.n_latents, "latents"


_failed_beside: dict[Path, LatentbenchError] = {}  # by the stage's folder, until its own turn


def run_train(settings: Settings, method: str, beside: Sequence[str] = ()) -> Manifest:
    """Publish a trained method, whose latents and labels must be published. Raises as `shards.run_stage`.

    The manifest's `extra` holds the method's facts and the seconds that training took. Those of the methods `beside`
    that are not trained yet, nor being trained elsewhere, are trained in the same pass; one that fails stops no other
    and says why in its own turn: at once if it is an error of ours, of which a second training would find the same.
    """
    stage = train_stage(settings, base.describe(settings.domain), method)
    before = _failed_beside.pop(stage.folder(settings.outputs), None)
    if before is not None:
        raise before
    if not is_complete(stage, settings.outputs) and settings.machine.trains_side_by_side:
        _train_together(settings, method, beside)
    units, unit = work(settings, method)
    return run_stage(
        stage,
        settings,
        train_shard,
        [TrainShard(f"training of {method}", method)],
        units=[units],
        unit=unit,
        threads=settings.machine.train_threads,
        files=lambda shard: FILES,
        extra=_facts,
    )


def _train_together(settings: Settings, method: str, beside: Sequence[str]) -> None:
    """Train a method and others and publish each as it is done. Raises what the method's own training raised."""
    card = base.describe(settings.domain)
    order = sorted(
        {method, *beside}, key=lambda name: (work(settings, name)[1] != "steps", name)
    )  # the long ones first
    with ExitStack() as held:
        builders: dict[str, Builder] = {}
        for name in sorted(order, key=lambda name: name != method):
            stage = train_stage(settings, card, name)
            try:
                builder = held.enter_context(
                    building(stage, settings if name == method else settings.on(lock_wait=0.0))
                )
            except BusyError:
                if name == method:
                    raise
                continue  # somebody else trains it
            if not (builder.published() or builder.finished(FILES[-1])):
                builders[name] = builder
        started = [name for name in order if name in builders]
        if method not in started or len(started) < 2:
            return
        parallel = min(len(started), settings.machine.workers_of_our_own)
        failed: dict[str, BaseException] = {}

        def keep(result: tuple[str, list[ShardRecord] | BaseException]) -> None:
            name, records = result
            if isinstance(records, BaseException):
                failed[name] = records
                if name != method and isinstance(records, LatentbenchError):
                    _failed_beside[builders[name].folder] = records
                elif name != method:
                    log.warning("The training of %s failed, and is tried again in its turn: %s", name, records)
                return
            facts = _facts(records)
            builders[name].publish(records, facts)
            units, unit = work(settings, name)
            store_seconds(settings, f"train {name}", unit, units, facts["seconds"] / units / parallel)

        try:
            run_shards(
                train_shard_beside,
                [TrainShard(f"training of {name}", name) for name in started],
                settings=settings,
                label=f"train {len(started)} methods side by side",
                unit="methods",
                threads=settings.machine.train_threads,
                keep=keep,
                measure=False,
            )
        except StageError as error:  # a worker was killed: alone, the one that did it is told from the others
            log.warning("%s Going on with %s alone.", error, method)
    if isinstance(failed.get(method), LatentbenchError):
        raise failed[method]


def load_method(settings: Settings, method: str) -> Method:
    """A published, trained method on the run's device.

    Raises StageError if it is not trained, CorruptShardError naming a file that differs.
    """
    import torch

    stage = train_stage(settings, base.describe(settings.domain), method)
    for path, record in shards_of(stage, settings.outputs):
        check_shard(path, record)
    mask = settings.method_parameters(method).get(masking.SETTING, masking.NONE)
    trained = masking.masked(registry.get(method).load(stage.folder(settings.outputs)), mask)
    trained.to(torch.device(settings.machine.device))
    return trained


def train_shard(settings: Settings, shard: TrainShard, progress: Progress) -> list[ShardRecord]:
    """Train and write one method; runs on a worker."""
    started = time.perf_counter()
    domain = base.load(settings.domain, settings.machine.device, settings.experiment.precision)
    use_threads(settings.machine.train_threads)
    stage = train_stage(settings, base.describe(settings.domain), shard.method)
    folder = stage.folder(settings.outputs)
    method = build(settings, shard.method)
    method.fit(fit_data(settings, domain, folder / CHECKPOINTS, progress))
    seconds = time.perf_counter() - started
    return _save(method, folder, {"facts": method.facts(), "seconds": round(seconds, 3)}, seconds)


def train_shard_beside(
    settings: Settings, shard: TrainShard, progress: Progress
) -> tuple[str, list[ShardRecord] | BaseException]:
    """As `train_shard`, with what it raised for a result, so that it stops no other; runs on a worker."""
    try:
        return shard.method, train_shard(settings, shard, progress)
    except Exception as error:
        return shard.method, error


def fit_data(settings: Settings, domain: base.Domain, checkpoints: Path, progress: Progress) -> FitData:
    """What a method may learn from: the labelled and the naming latents, the generator, scorer A and recognizer A."""
    import torch

    _, w = read_w(settings, WHICH)
    _, values, _ = read_values(settings, WHICH)
    checkpoints.mkdir(parents=True, exist_ok=True)
    return FitData(
        w=torch.from_numpy(w),
        values=torch.from_numpy(values),
        generator=domain.generator,
        scorer_a=domain.scorer_a,
        recognizer_a=domain.recognizer_a,
        seed=settings.experiment.seed,
        device=domain.device,
        progress=progress,
        checkpoints=checkpoints,
        truncation_psi=settings.experiment.truncation_psi,
        draw_z=partial(z_of, settings, WHICH),
        naming_w=torch.from_numpy(naming_w(settings)),
        mean_distance=domain.mean_distance,
    )


def read_faces(
    settings: Settings, domain: base.Domain, first: int = 0, stop: int | None = None, which: str = "faces"
) -> tuple[np.ndarray, Faces]:
    """Ids (N,) of the faces `first` to `stop` - 1 of a set, counted from 0, and all that a method may know of them.

    `which` is "faces", those of the grid over ranges, "matched", those edited to a matched change, or
    "rates", those of the rate curves.

    Raises StageError if their latents or labels are not published, CorruptShardError naming a file that differs.
    """
    import torch

    start, count = id_range(settings, which)
    stop = count if stop is None else stop
    ids, w = read_w(settings, which, start + first, start + stop)
    _, values, _ = read_values(settings, which)
    faces = Faces(
        ws=domain.generator.mapping.broadcast(torch.from_numpy(w).to(domain.device)),
        values=torch.from_numpy(values[first:stop]).to(domain.device),
        z=None if settings.experiment.faces_sha256 else _face_z(settings, domain, which, first, stop),
        mapping=domain.generator.mapping,
        truncation_psi=settings.experiment.truncation_psi,
    )
    return ids, faces


def _face_z(settings: Settings, domain: base.Domain, which: str, first: int, stop: int) -> Tensor:
    import numpy as np
    import torch

    return torch.from_numpy(z_of(settings, which, np.arange(first, stop))).to(domain.device)


def _save(method: Method, folder: Path, extra: dict[str, Any], seconds: float) -> list[ShardRecord]:
    """The method's files, each there whole or not at all."""
    draft = folder / CHECKPOINTS / f"save-{uuid.uuid4().hex}"
    try:
        draft.mkdir(parents=True)
        method.save(draft)
    except Exception as error:
        if is_full_disk(error):
            raise disk_full(draft, sum(path.stat().st_size for path in draft.glob("*")), error) from error
        raise
    unknown = sorted(set(os.listdir(draft)) - set(FILES))
    if unknown:
        raise LatentbenchError(f"Method {method.name} saved {unknown}, expected {', '.join(FILES)} alone.")

    def moved(name: str, rows: int, facts: dict[str, Any]) -> ShardRecord:
        def write(path: Path) -> int:
            shutil.move(draft / name, path)
            return rows

        return write_shard(folder, name, write, facts, seconds=seconds)

    tensors = moved(FILES[0], 0, {})
    return [tensors, moved(FILES[1], 1, json.loads(json.dumps(extra)))]


def _facts(records: list[ShardRecord]) -> dict[str, Any]:
    return dict(records[-1].extra)
