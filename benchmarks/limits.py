"""The table of arithmetic: what each network and each kind of stage needs, and its time at the machine's peak.

    python benchmarks/limits.py --profile full --outputs outputs

First table, one thread: arithmetic of an image (`torch.utils.flop_counter`), images per second in full precision and in
bfloat16, and the fastest product of matrices in either. Second: units of a profile, images made, arithmetic, core
seconds at the peak of the profile's precision, core seconds that its networks take by the first table, core seconds by
the rates in OUTPUTS/rates.json, where a run measured them, and the gap between peak and run. How many images a search
looks at is assumed (SEARCHED, BRACKETED), not counted.
Trainings and stages without images have no arithmetic here.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from pipeline.chain.links import Chain
from pipeline.chain.views import synthesise
from pipeline.domains import base
from pipeline.domains.base import Domain
from pipeline.methods import registry
from pipeline.planning.plan import Planned, plan
from pipeline.settings.experiment import BFLOAT16, FULL
from pipeline.settings.settings import Settings, load_settings

BATCH, SIDE, ROUNDS, THRESHOLD = 64, 2048, 3, 0.9
JUDGES = ("scorer_b", "recognizer_a", "recognizer_b", "perception", "reader", "detector", "mtcnn")
SEARCHED = 3.5  # images that a search at matched change looks at for each change it seeks
BRACKETED = 12  # images that calibration looks at for each face
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
        units = sum(row.units for row in own)
        work, taken = (
            units * sum(number * of.get(role, 0.0) for role, number in looks.items()) for of in (needs, seconds)
        )
        known = [row.seconds for row in own if row.seconds is not None]
        now = sum(known) * settings.machine.workers if own and len(known) == len(own) else None
        rest = "| unknown | unknown |" if now is None else f"| {now:,.0f} | {now * fastest / work:.1f} |"
        unit = own[0].unit if own else "units"
        made = units * looks["generator"]
        ours = f"{work / 1e12:,.0f} | {work / fastest:,.0f} | {taken:,.0f}"
        print(f"| {stage} | {units:,} {unit} | {made:,.0f} | {ours} {rest}")


def main() -> None:
    """Print both tables."""
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
    print_stages(settings, plan(Chain(of_run)), needs, seconds_of, peaks.get(precision, peaks[FULL]))


if __name__ == "__main__":
    main()
