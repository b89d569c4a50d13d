"""Training: a method learns from the labelled latents, and from nothing that will judge it.

One shard: a method learns as a whole, on the threads of machine.train_threads. Its batches are small, and a second
thread gains it little: so the methods of a run that are still to be trained are trained side by side, one on each
worker. What a training needs to go on after a crash it keeps in the stage's `checkpoints` folder, which is removed when
the stage is published.
"""

from __future__ import annotations

import json
import logging
import math
import os
import shutil
import time
import uuid
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.attributes import EVALUATED, LIST_VERSION
from pipeline.chain.inputs import read_values, read_w
from pipeline.chain.latents import naming_w
from pipeline.chain.sets import NAMING, id_range, z_of
from pipeline.chain.work import Kind, Part, Recipe, Work
from pipeline.domains.base import DomainCard
from pipeline.errors import BusyError, LatentbenchError, StageError
from pipeline.execution.jobs import Progress
from pipeline.execution.processes import use_threads
from pipeline.execution.shards import run_shards, run_stage
from pipeline.execution.throughput import measured_seconds, store_seconds
from pipeline.methods import naming, registry
from pipeline.methods.interface import FitData, Method
from pipeline.settings.experiment import BFLOAT16, FULL
from pipeline.settings.settings import Settings
from pipeline.storage.files import disk_full, is_full_disk
from pipeline.storage.stages import CHECKPOINTS, Builder, Manifest, ShardRecord, building, is_complete, write_shard

if TYPE_CHECKING:
    from pipeline.domains.base import Domain

log = logging.getLogger("latentbench")

FILES = ("method.safetensors", "method.json")  # what Method.save writes
WHICH = "train"


def recipe(settings: Settings, card: DomainCard, method: str) -> Recipe:
    """One trained method. Raises UnknownNameError."""
    parameters = {
        "method": method,
        "method_version": registry.get(method, settings.method_parameters(method)).version,
        "attribute_list": LIST_VERSION,
        "evaluated": list(EVALUATED),
        "seed": settings.experiment.seed,
        "naming": [naming.VERSION, *id_range(settings, NAMING), *settings.experiment.rendering.values()],
        **settings.experiment.learning,
        **{f"parameter.{key}": value for key, value in as_configured(settings, method).parameters().items()},
    }
    reads = (("latents", WHICH), ("labels", WHICH))
    return Recipe(1, parameters, ("generator", "scorer_a", "recognizer_a"), reads)


def cut(settings: Settings, method: str) -> list[Part]:
    """A method learns as a whole."""
    return [Part(f"training of {method}", amount(settings, method)[0])]


def amount(settings: Settings, method: str) -> tuple[int, str]:
    """How much work a training is, and in what it is counted (`Method.amount`)."""
    sizes = settings.experiment
    return as_configured(settings, method).amount(sizes.n_latents, sizes.n_naming_codes)


def unit(settings: Settings, method: str) -> str:
    """In what a training is counted."""
    return amount(settings, method)[1]


def as_configured(settings: Settings, method: str) -> Method:
    """The method as this run sets it, to be asked for its facts. Raises ConfigError for a setting it does not know."""
    return registry.unfitted(method, settings.method_parameters(method), settings.source_of(method))


_failed_beside: dict[Path, LatentbenchError] = {}  # by the stage's folder, until its own turn


def run_train(works: Sequence[Work]) -> list[Manifest]:
    """Publish the first of these trained methods, whose latents and labels must be published. Raises as `run_stage`.

    The manifest's `extra` holds the method's facts and the seconds that training took. Other methods of the run that
    are neither trained nor in training elsewhere are trained in the same pass. One that fails stops no other and says
    why in its own turn: at once if it is an error of ours, since a second training would find the same.
    """
    work = works[0]
    machine = work.settings.machine
    before = _failed_beside.pop(work.folder, None)
    if before is not None:
        raise before
    if not is_complete(work.stage, work.settings.outputs) and machine.trains_side_by_side:
        _train_together(works)
    parts = cut(work.settings, work.name)
    return [
        run_stage(
            work,
            train_shard,
            parts,
            units=[part.units for part in parts],
            unit=unit(work.settings, work.name),
            threads=machine.train_threads,
            files=lambda part: FILES,
            extra=_facts,
        )
    ]


def _train_together(works: Sequence[Work]) -> None:
    """Train methods side by side, each published as it is done. Raises what the training of the first one raised."""
    method, settings = works[0].name, works[0].settings
    with ExitStack() as held:
        builders = _builders(works, held)
        by_name = {work.name: work for work in works if work.name in builders}
        if method not in by_name or len(by_name) < 2:
            return
        started = longest_first(settings, by_name)
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
            units, counted = amount(settings, name)
            store_seconds(settings, f"train {name}", counted, units, facts["seconds"] / units / parallel)

        work, timed = work_of(settings, started)
        try:
            run_shards(
                train_shard_beside,
                [(by_name[name], part) for name in started for part in cut(settings, name)],
                settings=settings,
                label=f"train {len(started)} methods side by side",
                units=work,
                unit="methods",
                unlike=True,
                timed=timed,
                threads=settings.machine.train_threads,
                keep=keep,
                measure=False,
            )
        except StageError as error:  # a worker was killed: alone, the one that did it is told from the others
            log.warning("%s Going on with %s alone.", error, method)
    if isinstance(failed.get(method), LatentbenchError):
        raise failed[method]


def longest_first(settings: Settings, methods: Iterable[str]) -> list[str]:
    """Methods by the seconds that their trainings take at the rates measured here, the longest first.

    So workers that train side by side end close together. Unmeasured ones come before the others, and of these the ones
    that are not counted in latents.
    """
    measured = measured_seconds(settings.outputs, settings)

    def seconds(method: str) -> float:
        rate = measured.get(f"{settings.domain}/train {method}", math.inf)
        return rate * amount(settings, method)[0]

    return sorted(methods, key=lambda name: (-seconds(name), unit(settings, name) == "latents", name))


def work_of(settings: Settings, methods: Sequence[str]) -> tuple[list[float], bool]:
    """How much work each of these trainings is, and whether that is in seconds, at the rates measured here.

    Where a rate is missing, trainings that the plan counts in one unit, such as images, share by their amounts the work
    of as many trainings; images, codes and steps are not added to each other.
    """
    measured = measured_seconds(settings.outputs, settings)
    rates = [measured.get(f"{settings.domain}/train {method}") for method in methods]
    amounts = [amount(settings, method) for method in methods]
    known = [rate for rate in rates if rate is not None]
    if len(known) == len(methods):
        return [rate * units for rate, (units, _) in zip(known, amounts, strict=True)], True
    alike = {counted: [units for units, other in amounts if other == counted] for _, counted in amounts}
    return [units * len(alike[counted]) / sum(alike[counted]) for units, counted in amounts], False


def _builders(works: Sequence[Work], held: ExitStack) -> dict[str, Builder]:
    """By method, the right to write it, where it is still to be trained. Raises BusyError if the first is not free."""
    builders: dict[str, Builder] = {}
    for place, work in enumerate(works):
        try:
            settings = work.settings.on(lock_wait=0.0) if place else work.settings
            builder = held.enter_context(building(work.stage, settings))
        except BusyError:
            if not place:
                raise
            continue  # somebody else trains it
        if not (builder.published() or builder.finished(FILES[-1])):
            builders[work.name] = builder
    return builders


def train_shard(work: Work, part: Part, progress: Progress) -> list[ShardRecord]:
    """Train and write one method; runs on a worker."""
    from pipeline.methods.precision import learning_in

    started = time.perf_counter()
    domain = work.domain(learning=True)
    use_threads(work.settings.machine.train_threads)
    method = registry.build(work.name, work.settings.method_parameters(work.name), work.settings.source_of(work.name))
    with learning_in(work.experiment.training_precision, fit_data(work, domain, progress)) as data:
        method.fit(data)
    seconds = time.perf_counter() - started
    return _save(method, work.folder, {"facts": method.facts(), "seconds": round(seconds, 3)}, seconds)


def train_shard_beside(work: Work, part: Part, progress: Progress) -> tuple[str, list[ShardRecord] | BaseException]:
    """As `train_shard`, with what it raised for a result, so that it stops no other; runs on a worker."""
    try:
        return work.name, train_shard(work, part, progress)
    except Exception as error:
        return work.name, error


def fit_data(work: Work, domain: Domain, progress: Progress) -> FitData:
    """What a method may learn from: the labelled and the naming latents, the generator, scorer A and recognizer A."""
    import torch

    _, w = read_w(work, WHICH)
    _, values, _ = read_values(work, WHICH)
    checkpoints = work.folder / CHECKPOINTS
    checkpoints.mkdir(parents=True, exist_ok=True)
    return FitData(
        w=torch.from_numpy(w),
        values=torch.from_numpy(values),
        generator=domain.generator,
        scorer_a=domain.scorer_a,
        recognizer_a=domain.recognizer_a,
        seed=work.experiment.seed,
        device=domain.device,
        progress=progress,
        checkpoints=checkpoints,
        truncation_psi=work.experiment.truncation_psi,
        draw_z=partial(z_of, work.settings, WHICH),
        naming_w=torch.from_numpy(naming_w(work.settings)),
        mean_distance=domain.mean_distance,
        naming_precision=BFLOAT16 if work.experiment.precision == BFLOAT16 else FULL,
    )


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
    """The facts of a training, which are published with it; a warning among them is shown."""
    facts = dict(records[-1].extra)
    if "warning" in facts["facts"]:
        log.warning("%s", facts["facts"]["warning"])
    return facts


KIND = Kind("train", recipe, cut, train_shard, unit, methods=True, beside=True, together=run_train)
