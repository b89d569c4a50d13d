"""The table of arithmetic: what each network and each kind of stage needs, and its time at the machine's peak.

    python benchmarks/limits.py --profile full --outputs outputs

First table, one thread: arithmetic of an image (`torch.utils.flop_counter`), images per second in full precision and in
bfloat16, and the fastest product of matrices in either. Second: units of a profile, images made, arithmetic, core
seconds at the peak of the profile's precision, core seconds that its networks take by the first table, core seconds of
the run in OUTPUTS (of its finished shards; for what is missing, by the rates in OUTPUTS/rates.json), and the gap
between peak and run. How many images a search looks at is assumed (SEARCHED, BRACKETED), not counted.
Third: the trainings. The arithmetic of those in steps is counted: of two steps after the first, with the profile's
settings, times the steps. The peak is float32's, but for L2L in the profile's training_precision; the naming of
directions is in what a run takes and not in the arithmetic. StyleFlow's later steps need more than its first, since its
solver takes more evaluations. What learns from codes and values alone, by a library's solver, has no arithmetic here.
Fourth: wall seconds of each kind of stage that is there, and how much of the workers' time in them was idle. Of a stage
that was interrupted, the wall seconds of the process that ended it count, and all its shards; so idle may be unknown.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.tune import prepared
from pipeline.chain.links import Chain
from pipeline.chain.views import synthesise
from pipeline.domains import base
from pipeline.domains.base import Domain
from pipeline.methods import registry
from pipeline.methods.interface import FitData
from pipeline.methods.precision import learning_in
from pipeline.planning.plan import Planned, plan
from pipeline.settings.experiment import BFLOAT16, FULL
from pipeline.settings.settings import Settings, load_settings
from pipeline.storage.manifests import load_manifest

BATCH, SIDE, ROUNDS, THRESHOLD = 64, 2048, 3, 0.9
JUDGES = ("scorer_b", "recognizer_a", "recognizer_b", "perception", "reader", "detector", "mtcnn")
SEARCHED = 3.5  # images that a search at matched change looks at for each change it seeks
BRACKETED = 12  # images that calibration looks at for each face
STEPPED = ("styleflow", "latentclr", "llf", "l2l")  # methods that train in steps
NARROWED = ("l2l",)  # of them, those that training_precision touches
COUNTED = 2  # steps whose arithmetic is counted
CODES, NAMED, TRAINING = 1024, 16, "train"  # codes and naming codes of the counted steps; the stage
# Stage -> images of each network for each of its units.
LOOKS: dict[str, dict[str, float]] = {
    "labels": dict.fromkeys(("generator", "scorer_a", "detector"), 1),
    "reference": dict.fromkeys(("generator", "perception"), 1),
    "spread": dict.fromkeys(("generator", "scorer_a", "scorer_b"), 1),
    "range": dict.fromkeys(("generator", "detector"), BRACKETED),
    "edits": dict.fromkeys(("generator", *JUDGES), 1),
    "matched": dict.fromkeys(JUDGES, 1) | {"generator": 1 + SEARCHED, "scorer_a": SEARCHED},
    "rates": dict.fromkeys(("generator", "scorer_b", "recognizer_b", "detector"), 1),
    "consistency": {"generator": 9, "perception": 9, "scorer_b": 7, "recognizer_b": 2},
}


def fastest(work: Callable[[], object]) -> float:
    """Processor seconds of the best of the rounds; the first may warm up."""
    seconds = []
    for _ in range(ROUNDS + 1):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return min(seconds)


def peak(dtype: torch.dtype) -> float:
    """Operations per second of a product of matrices on one thread."""
    first, second = (torch.randn(SIDE, SIDE).to(dtype) for _ in range(2))
    return 2 * SIDE**3 / fastest(lambda: first @ second)


def networks(domain: Domain, ws: Tensor) -> dict[str, Callable[[], object]]:
    """What each network does with a batch of codes, or with its images."""
    images = synthesise(domain, ws)
    boxes = domain.detector.detect(images, threshold=THRESHOLD).box
    work: dict[str, Callable[[], object]] = {
        "generator": lambda: synthesise(domain, ws),
        "perception": lambda: domain.perceive(images),
        "detector": lambda: domain.detector.detect(images, threshold=THRESHOLD),
        "mtcnn": lambda: domain.detector.identity_features(images, boxes),
    }
    for role in ("scorer_a", "scorer_b", "recognizer_a", "recognizer_b", "reader"):
        network = getattr(domain, role)
        if network is not None:
            work[role] = lambda network=network: network(images)  # type: ignore[misc]
    return work


def arithmetic(work: Callable[[], object]) -> float:
    """Operations of an image, a product and a sum being two."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops() / BATCH


def of_networks(name: str) -> dict[str, tuple[float, float, float]]:
    """Operations and seconds of an image, in full precision and in bfloat16, by network."""
    domains = [base.load(name, "cpu", precision) for precision in (FULL, BFLOAT16)]
    with torch.no_grad():
        z = torch.randn(BATCH, 512, generator=torch.Generator().manual_seed(0))
        ws = domains[0].generator.mapping.broadcast(domains[0].generator.map_to_w(z))
        works = [networks(domain, ws) for domain in domains]
        operations = {role: arithmetic(work) for role, work in works[0].items()}
    with torch.inference_mode():
        full, narrow = ({role: fastest(work) / BATCH for role, work in found.items()} for found in works)
    return {role: (operations[role], full[role], narrow[role]) for role in operations}


def print_stages(
    settings: Settings,
    rows: tuple[Planned, ...],
    needs: Mapping[str, float],
    seconds: Mapping[str, float],
    fastest: float,
) -> None:
    """The second table: one row for every kind of stage that looks at images."""
    print("\n| stage | units | images made | arithmetic, TFLOP | at the peak, s | networks, s | run, s | run / peak |")
    print("| --- |" + " --- |" * 7)
    for stage, looks in LOOKS.items():
        own = [row for row in rows if row.stage == stage]
        known = [core_seconds(row, settings.machine.workers) for row in own]
        units = sum(row.units for row in own)
        work, taken = (
            units * sum(number * of.get(role, 0.0) for role, number in looks.items()) for of in (needs, seconds)
        )
        now = sum(seconds for seconds in known if seconds is not None) if own and None not in known else None
        rest = "| unknown | unknown |" if now is None else f"| {now:,.0f} | {now * fastest / work:.1f} |"
        unit = own[0].unit if own else "units"
        made = units * looks["generator"]
        ours = f"{work / 1e12:,.0f} | {work / fastest:,.0f} | {taken:,.0f}"
        print(f"| {stage} | {units:,} {unit} | {made:,.0f} | {ours} {rest}")


def core_seconds(row: Planned, workers: int) -> float | None:
    """Seconds of one core: of the shards of a finished stage, else by its rate; None without one."""
    if row.spent is None:
        return None if row.seconds is None else row.seconds * (1 if row.stage == TRAINING else workers)
    manifest = load_manifest(Path(row.folder))
    of_shards = sum(shard.seconds for shard in manifest.shards) if manifest else 0.0
    return of_shards or row.spent


def of_step(name: str, settings: Settings, data: FitData) -> float:
    """Operations of a step of a training with the settings of the profile, by two trainings of a few steps."""
    totals = []
    for steps in (1, 1 + COUNTED):
        method = registry.build(name, {**settings.method_parameters(name), "steps": steps})
        precision = settings.experiment.training_precision if name in NARROWED else FULL
        with learning_in(precision, data) as learned, FlopCounterMode(display=False) as counter:
            method.fit(learned)
        totals.append(counter.get_total_flops())
    return (totals[1] - totals[0]) / COUNTED


def print_trainings(settings: Settings, rows: tuple[Planned, ...], peaks: Mapping[str, float]) -> None:
    """The third table: one row for every training."""
    data, _ = prepared(base.load(settings.domain, "cpu"), 0, CODES, NAMED, NAMED)
    print(
        "\n| training | units | steps | GFLOP a step | at the peak, s | run, s | run / peak |\n| --- |" + " --- |" * 6
    )
    for row in (row for row in rows if row.stage == TRAINING):
        seconds = core_seconds(row, settings.machine.workers)
        taken = "unknown" if seconds is None else f"{seconds:,.0f}"
        start = f"| {row.method} | {row.units:,} {row.unit}"
        if row.method not in STEPPED:
            print(f"{start} | | | | {taken} | |")
            continue
        steps = int(settings.method_parameters(row.method)["steps"])
        work = of_step(row.method, settings, data)
        least = steps * work / peaks[settings.experiment.training_precision if row.method in NARROWED else FULL]
        gap = "unknown" if seconds is None else f"{seconds / least:.1f}"
        print(f"{start} | {steps:,} | {work / 1e9:,.1f} | {least:,.0f} | {taken} | {gap} |", flush=True)


def walls(rows: tuple[Planned, ...]) -> dict[str, tuple[float, float]]:
    """Kind of stage -> wall seconds, stages at the same time counted once, and core seconds; of published stages."""
    spans: dict[str, list[tuple[float, float]]] = {}
    busy: dict[str, float] = {}
    for row in rows:
        manifest = load_manifest(Path(row.folder))
        if manifest is None:
            continue
        start = datetime.fromisoformat(manifest.started).timestamp()
        spans.setdefault(row.stage, []).append((start, start + manifest.wall_seconds))
        busy[row.stage] = busy.get(row.stage, 0.0) + (core_seconds(row, 1) or 0.0)
    return {stage: (covered(of_stage), busy[stage]) for stage, of_stage in spans.items()}


def covered(spans: list[tuple[float, float]]) -> float:
    """Seconds that lie in at least one span.

    >>> covered([(0, 2), (1, 3), (5, 6)])
    4.0
    """
    total, end = 0.0, float("-inf")
    for first, last in sorted(spans):
        total += max(0.0, last - max(first, end))
        end = max(end, last)
    return total


def print_walls(rows: tuple[Planned, ...], workers: int) -> None:
    """The fourth table: one row for every kind of stage that is there."""
    print(f"\n| stage | wall, s | busy, core s | idle of {workers} workers |\n| --- | --- | --- | --- |")
    for stage, (wall, busy) in walls(rows).items():
        idle = 1 - busy / (wall * workers) if wall else -1.0
        print(f"| {stage} | {wall:,.0f} | {busy:,.0f} | {f'{idle:.0%}' if idle >= 0 else 'unknown'} |")


def main() -> None:
    """Print the four tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--profile", default="full", help="profile of the second table (default: full)")
    parser.add_argument("--outputs", type=Path, help="a folder of runs, whose rates.json says what a unit takes")
    given = parser.parse_args()
    torch.set_num_threads(1)
    settings = load_settings(profile=given.profile, known_methods=registry.names(), known_domains=base.names())
    peaks = {FULL: peak(torch.float32), BFLOAT16: peak(torch.bfloat16)}
    print(f"one thread, processor time, batch {BATCH}, torch {torch.__version__}; products of matrices: ", end="")
    print(f"{peaks[FULL] / 1e9:.0f} GFLOP/s in float32, {peaks[BFLOAT16] / 1e9:.0f} in bfloat16\n")
    print("| network | GFLOP an image | images/s, float32 | GFLOP/s | images/s, bfloat16 | GFLOP/s |")
    print("| --- |" + " --- |" * 5)
    measured = of_networks(settings.domain)
    for role, (operations, *seconds) in measured.items():
        speeds = " | ".join(f"{1 / taken:,.0f} | {operations / taken / 1e9:.0f}" for taken in seconds)
        print(f"| {role.replace('_', ' ')} | {operations / 1e9:.3f} | {speeds} |")
    of_run = replace(settings, outputs=given.outputs or settings.outputs)
    needs = {role: operations for role, (operations, *_) in measured.items()}
    precision = settings.experiment.precision
    seconds_of = {role: narrow if precision == BFLOAT16 else full for role, (_, full, narrow) in measured.items()}
    rows = plan(Chain(of_run))
    print_stages(of_run, rows, needs, seconds_of, peaks.get(precision, peaks[FULL]))
    print_trainings(of_run, rows, peaks)
    print_walls(rows, settings.machine.workers)


if __name__ == "__main__":
    main()
