"""The checks of `benchmarks/gpu.py`, each in a process of its own: prints its figures, or raises.

    python -m benchmarks.gpu_checks equality --device cuda

A check is a function of Sizes that answers its figures as texts, and raises CheckError where something is not as it
must be. All of them compute in float32 without TF32, as runs do, unless they say otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from benchmarks import generator as generators
from benchmarks import scale
from benchmarks.gpu import MARK
from pipeline.chain.views import look
from pipeline.domains import base, microbatches
from pipeline.domains.base import Domain
from pipeline.methods.contrastive.llf import LLF
from pipeline.methods.interface import FitData
from pipeline.methods.l2l.method import L2L
from pipeline.settings.experiment import BFLOAT16, HALF
from stylegan.generator import Generator

EMBEDDED = "synthface"
THRESHOLD = 0.9
FULL_ERROR = 1e-3  # largest difference over largest value, of images and judges, in float32 on either device
HALF_ERROR = 0.02  # of the embedded generator's images, in float16; the mean difference is a tenth of it at most
BFLOAT16_ERROR = 0.01  # mean difference, of images over the largest value and of values in [0, 1]
SAME_CARD = 1e-4  # of the images of two processes on one card


class CheckError(Exception):
    """A check's expectation does not hold."""


@dataclass(frozen=True)
class Sizes:
    """How much a check does. `batch` images at `resolution` px of config-f's widths; `faces` of the embedded domain."""

    device: str
    resolution: int = 1024
    batch: int = 8
    faces: int = 256
    rounds: int = 5
    steps: int = 300
    regions: str = "all"  # of LLF
    halved: int = 1024  # px of the images of the check of too little memory
    seconds: float = 5.0  # that each of two processes works
    run: tuple[str, ...] = ("--method=interfacegan", "--method=noop", "--method=sefa", "--method=l2l")


REHEARSAL = {
    "resolution": 32,
    "batch": 2,
    "faces": 16,
    "rounds": 1,
    "steps": 4,
    "regions": "0",
    "halved": 8,
    "seconds": 1.0,
    "run": (
        "--method=interfacegan",
        "--method=noop",
        "--attribute=age",
        "--set=profile.smoke.n_latents=512",
        "--set=profile.smoke.n_reference=128",
        "--set=profile.smoke.n_spread=64",
        "--set=machine.shard_size=256",
        "--set=protocol.bootstrap_samples=100",
        "--set=protocol.comparison_samples=200",
        "--set=protocol.kid_subset_size=50",
        "--set=protocol.kid_subsets=10",
    ),
}


def sizes_of(device: str) -> Sizes:
    """A GPU's sizes, or a rehearsal's."""
    return Sizes(device) if device.startswith("cuda") else Sizes(device, **REHEARSAL)


def error_of(found: Tensor, expected: Tensor) -> float:
    """The largest difference over the largest value. Raises CheckError for values that are not finite."""
    found, expected = found.double().cpu(), expected.double().cpu()
    if not bool(torch.isfinite(found).all()):
        raise CheckError(f"{int((~torch.isfinite(found)).sum())} of {found.numel()} values are not finite")
    return float((found - expected).abs().max() / expected.abs().max().clamp(min=1e-30))


def held(what: str, error: float, limit: float) -> str:
    """The figure as a text. Raises CheckError where it is above the limit."""
    if error > limit:
        raise CheckError(f"{what}: differs by {error:.1e}, expected at most {limit:.0e}")
    return f"{what} {error:.1e}"


def rate(work: Callable[[], object], images: int, sizes: Sizes) -> float:
    """Images per second of a work that makes so many: the best round, after one that is not counted."""
    best = float("inf")
    device = torch.device(sizes.device)
    for number in range(sizes.rounds + 1):
        started = scale.clock(device)
        work()
        seconds = scale.clock(device) - started
        best = min(best, seconds) if number else best
    return images / best


def latents(count: int) -> Tensor:
    """z (count, 512), the same on every machine."""
    return torch.randn(count, 512, generator=torch.Generator().manual_seed(0))


def codes(domain: Domain, count: int) -> Tensor:
    """ws (count, L, 512) of the embedded domain, on its device."""
    return domain.generator.mapping.broadcast(domain.generator.map_to_w(latents(count).to(domain.device)))


# Checks


@torch.inference_mode()
def equality(sizes: Sizes) -> list[str]:
    """Embedded domain: codes, images and every judge on the device and on the CPU; what TF32 would change."""
    domains = [base.load(EMBEDDED, device) for device in ("cpu", sizes.device)]
    ws = codes(domains[0], sizes.faces)
    found = [held("codes", error_of(codes(domains[1], sizes.faces), ws), FULL_ERROR)]
    images = [domain.generator.synthesis(ws.to(domain.device)) for domain in domains]
    found.append(held("images", error_of(images[1], images[0]), FULL_ERROR))
    seen = [look(domain, images[0].to(domain.device), THRESHOLD) for domain in domains]
    for name in ("values", "recognizer_a", "recognizer_b", "features", "logits", "person"):
        found.append(held(name, error_of(getattr(seen[1], name), getattr(seen[0], name)), FULL_ERROR))
    values = [domain.scorer_a(images[0].to(domain.device)) for domain in domains]
    found.append(held("scorer A", error_of(values[1], values[0]), FULL_ERROR))
    agree = int((seen[0].found == seen[1].found.cpu()).sum())
    if agree < 0.99 * sizes.faces:
        raise CheckError(f"the detector agrees on {agree} of {sizes.faces} faces")
    found.append(f"detector agrees on {agree} of {sizes.faces} faces")
    if domains[1].device.type == "cuda":
        torch.backends.cudnn.allow_tf32 = True
        rounded = domains[1].generator.synthesis(ws.to(domains[1].device))
        found.append(f"(with TF32, which no run uses: images {error_of(rounded, images[0]):.1e})")
    return found


@torch.inference_mode()
def half(sizes: Sizes) -> list[str]:
    """Images and values of the embedded domain in float16 and bfloat16 against full; images/s at full size."""
    full, narrow = (base.load(EMBEDDED, sizes.device, *precision) for precision in ((), (HALF,)))
    images = [domain.generator.synthesis(codes(full, sizes.faces)) for domain in (full, narrow)]
    found = [held("images", error_of(images[1], images[0]), 5 * HALF_ERROR)]
    mean = float((images[1] - images[0]).abs().mean() / images[0].abs().max())
    found.append(held("their mean difference", mean, HALF_ERROR / 10))
    narrow = base.load(EMBEDDED, sizes.device, BFLOAT16)
    seen = [look(domain, images[0], THRESHOLD) for domain in (full, narrow)]
    mean = float(
        (narrow.generator.synthesis(codes(full, sizes.faces)) - images[0]).abs().mean() / images[0].abs().max()
    )
    found.append(held("bfloat16, which profile full uses: mean difference of images", mean, BFLOAT16_ERROR))
    mean = float((seen[1].values.float() - seen[0].values).abs().mean())
    found.append(held("of scorer B's values", mean, BFLOAT16_ERROR))
    large, z = random_generator(sizes, sizes.resolution), latents(sizes.batch).to(sizes.device)
    expected = large(z)
    rates = [rate(lambda: large(z), sizes.batch, sizes)]
    large.synthesis.half_type = torch.float16
    found.append(held(f"images of {sizes.resolution} px, random weights", error_of(large(z), expected), HALF_ERROR))
    rates.append(rate(lambda: large(z), sizes.batch, sizes))
    return [*found, f"{rates[0]:.1f} images/s in full, {rates[1]:.1f} in half ({rates[1] / rates[0]:.2f} x)"]


def random_generator(sizes: Sizes, resolution: int) -> Generator:
    """Config-f's widths, the same random weights on every machine."""
    torch.manual_seed(0)
    return Generator(resolution=resolution).eval().requires_grad_(False).to(sizes.device)


def nvidia(sizes: Sizes) -> list[str]:
    """NVIDIA's generator with our weights: the same images, and images/s forward and with gradients."""
    device, z = torch.device(sizes.device), latents(sizes.batch).to(sizes.device)
    arguments: Any = SimpleNamespace(resolution=sizes.resolution, channel_base=32768, channel_max=512)
    compared = generators.make_generators(arguments, device)
    theirs = "NVIDIA, evaluation mode"
    if theirs not in compared:
        raise CheckError(
            f"{generators.REFERENCE_VARIABLE} names no checkout: {os.environ.get(generators.REFERENCE_VARIABLE)!r}"
        )
    compared = {name: compared[name] for name in ("plain layers", "fast layers (default)", theirs)}
    generators.check_agreement(compared, z)
    found = []
    works = {"forward": generators.forward, "with gradients": generators.forward_and_backward}
    for name, work in works.items():
        rates = generators.measure(compared, z, work, rounds=sizes.rounds, clock="wall")
        ours, other = rates["fast layers (default)"], rates[theirs]
        found.append(
            f"{name} at {sizes.resolution} px: ours {ours:.1f} images/s, NVIDIA's {other:.1f} ({ours / other:.2f} x)"
        )
    return found


def passes(sizes: Sizes) -> list[str]:
    """Images/s of the generator alone, of a label pass and of an edit pass with every measure, at full size."""
    arguments: Any = SimpleNamespace(device=sizes.device, resolution=sizes.resolution, batch=sizes.batch, judges=256)
    bench = scale.Bench(arguments, scale.make_domain(arguments))
    works = {"generator alone": scale.generate, "label pass": scale.label, "edit pass": scale.edit}
    rates = {name: rate(lambda work=work: work(bench, 0), sizes.batch, sizes) for name, work in works.items()}  # type: ignore[misc]
    alone = rates["generator alone"]
    return [f"{name} {value:.1f} images/s ({value / alone:.0%})" for name, value in rates.items()]


def training(sizes: Sizes) -> list[str]:
    """Steps/s of L2L and LLF on the embedded domain, at the batches of their settings; losses finite."""
    domain = base.load(EMBEDDED, sizes.device)
    with torch.inference_mode():
        w = domain.generator.map_to_w(latents(max(sizes.faces, 64)).to(domain.device))
        images = domain.generator.synthesis(domain.generator.mapping.broadcast(w))
        values = domain.scorer_a(images).float().cpu()
    data = FitData(
        w=w.clone().cpu(),
        values=values,
        generator=domain.generator,
        scorer_a=domain.scorer_a,
        recognizer_a=domain.recognizer_a,
        seed=0,
        device=domain.device,
        naming_w=w[:16].clone().cpu(),
        mean_distance=domain.mean_distance,
    )
    return [
        steps_of(L2L(steps=sizes.steps), data, lambda method, own: method.fit(own)),
        steps_of(LLF(steps=sizes.steps, images=16, regions=sizes.regions), data, lambda method, own: method.find(own)),
    ]


def steps_of(method: Any, data: FitData, train: Callable[[Any, FitData], object]) -> str:
    """Steps/s between the first and the last report of a training."""
    reports: list[tuple[int, float]] = []

    def progress(done: int, total: int, message: str) -> None:
        if not message.startswith(("candidate", "naming")):
            reports.append((done, scale.clock(data.device)))

    started = scale.clock(data.device)
    train(method, replace(data, progress=progress))
    ended = scale.clock(data.device)
    if not reports or reports[-1][0] < method.steps:
        raise CheckError(f"{method.name}: expected {method.steps} steps, found {reports[-1][0] if reports else 0}")
    (first, began), (last, stopped) = reports[0], reports[-1]
    if last == first:
        first, began, stopped = 0, started, ended
    return f"{method.name} {(last - first) / (stopped - began):.1f} steps/s"


@torch.inference_mode()
def memory(sizes: Sizes) -> list[str]:
    """A whole batch at full size with too little memory: the micro-batches are halved, the images stay the same."""
    count, size = microbatches.BATCH, sizes.halved
    device, generator = torch.device(sizes.device), random_generator(sizes, size)
    z = latents(count).to(device)
    averages: Callable[[Tensor], Tensor] = lambda images: images.mean(dim=(2, 3)).cpu()  # noqa: E731
    expected = torch.cat([averages(generator(z[row : row + 2])) for row in range(0, count, 2)])
    tried: list[int] = []
    room = 12 * microbatches.image_bytes(size)
    if device.type == "cuda":
        torch.cuda.empty_cache()
        whole = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_allocated(device) + room) / whole, device)

    def see(rows: slice) -> Tensor:
        tried.append(rows.stop - rows.start)
        if device.type != "cuda" and tried[-1] > 8:
            raise torch.OutOfMemoryError("a rehearsal")
        return averages(generator(z[rows]))

    found = torch.cat(microbatches.in_microbatches(see, count, size, device))
    if tried[-1] >= tried[0]:
        raise CheckError(f"micro-batches of {tried[0]} images fitted into {room / 2**30:.1f} GiB: nothing was halved")
    sequence = " to ".join(str(number) for number in dict.fromkeys(tried))
    return [f"micro-batches of {sequence} images", held("means of the images", error_of(found, expected), FULL_ERROR)]


def processes(sizes: Sizes) -> list[str]:
    """Two processes generate on one card at the same time: the same images, and images/s together and alone."""
    with tempfile.TemporaryDirectory() as folder:
        alone = finished(start(sizes, Path(folder) / "0"))
        pair = [finished(process) for process in [start(sizes, Path(folder) / name) for name in "12"]]
        images = [torch.load(Path(folder) / name, weights_only=True) for name in "012"]
    found = [held("images", max(error_of(other, images[0]) for other in images[1:]), SAME_CARD)]
    return [*found, f"one process {alone:.1f} images/s, two together {sum(pair):.1f}"]


def start(sizes: Sizes, path: Path) -> subprocess.Popen[str]:
    """A process that generates for a while; it writes its images and prints its rate."""
    command = [sys.executable, "-m", "benchmarks.gpu_checks", "worker", "--device", sizes.device, "--images", str(path)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def finished(process: subprocess.Popen[str]) -> float:
    """The rate that a worker printed. Raises CheckError if it failed."""
    output, _ = process.communicate()
    if process.returncode:
        raise CheckError(f"a process ended with exit status {process.returncode}")
    return float(output.split()[-1])


@torch.inference_mode()
def work(sizes: Sizes, path: Path) -> float:
    """Images/s of a worker of `processes`, which leaves its first images in a file."""
    domain = base.load(EMBEDDED, sizes.device)
    ws, device = codes(domain, sizes.faces), torch.device(sizes.device)
    torch.save(domain.generator.synthesis(ws).cpu(), path)
    made, started = 0, scale.clock(device)
    while scale.clock(device) - started < sizes.seconds:
        domain.generator.synthesis(ws)
        made += len(ws)
    return made / (scale.clock(device) - started)


def smoke(sizes: Sizes) -> list[str]:
    """Profile smoke by the command line on the device, of a few methods, from nothing to a published page."""
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        options = ["run", "--profile=smoke", f"--device={sizes.device}", f"--outputs={folder}", *sizes.run]
        done = subprocess.run(
            [sys.executable, "-m", "tasks.cli", *options], capture_output=True, text=True, check=False
        )
        pages = list(Path(folder).glob("reports/run_id=*/report.html"))
        tables = len(list(Path(folder).glob("reports/run_id=*/*.parquet")))
    if done.returncode or len(pages) != 1:
        words = (done.stdout + done.stderr).strip().splitlines()[-1:]
        raise CheckError(f"latentbench {' '.join(options)}: exit status {done.returncode}: {' '.join(words)[:300]}")
    methods = ", ".join(option.partition("=")[2] for option in sizes.run if option.startswith("--method="))
    return [f"{methods}: {tables} tables and the page published in {time.perf_counter() - started:.0f} s"]


RUN: dict[str, Callable[[Sizes], list[str]]] = {
    check.__name__: check for check in (equality, half, nvidia, passes, training, memory, processes, smoke)
}


def main() -> None:
    """Run one check, and print its figures after MARK."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("check", choices=[*RUN, "worker"])
    parser.add_argument("--device", default="cuda", help="cuda or cpu")
    parser.add_argument("--images", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    sizes = sizes_of(given.device)
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    if given.check == "worker":
        print(work(sizes, given.images))
        return
    try:
        figures = RUN[given.check](sizes)
    except CheckError as fault:
        sys.exit(str(fault))
    print(MARK + json.dumps(figures, ensure_ascii=False))


if __name__ == "__main__":
    main()
