"""Images per second and peak memory of what a run does, at any resolution, with networks of random weights.

    python benchmarks/scale.py --resolution 1024 --batch 2 --count 4 --device cpu

Rows: generating, in full and, on a GPU, in half precision (torch's convolutions on CPUs are not made for it); labelling
(scorer A and the detector); editing with every measure of the `edits` table; a training step of L2L, forward and
backward through generator and judges; and, with --reference or LATENTBENCH_NVIDIA_REFERENCE, NVIDIA's
stylegan2-ada-pytorch generating with the same weights. Widths are config-f's. Judges are those of the embedded domain,
untrained, and see images averaged down to --judges pixels; SSIM and the detector get all of them.

Each row runs in a process of its own, so that its peak is its own: resident memory on a CPU, what torch allocated on a
GPU. `networks` is what was there before the first image. Images are made --batch at a time; the first batch is not
counted in the rate.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.attributes import NAMES
from pipeline.chain.labels import label_images
from pipeline.chain.views import compare_views, displacement, look_at_codes
from pipeline.domains.base import Domain, DomainCard
from pipeline.domains.microbatches import image_bytes
from pipeline.methods.interface import FitData
from pipeline.methods.l2l.method import L2L
from pipeline.methods.l2l.scales import Scales
from pipeline.networks.detector import Detector
from pipeline.networks.perception import Perception
from pipeline.networks.recognizer import Recognizer
from pipeline.networks.scorer import Scorer
from stylegan.generator import Generator

REFERENCE_VARIABLE = "LATENTBENCH_NVIDIA_REFERENCE"
MIB = 2**20
THRESHOLD = 0.9
IN_HALF, THEIRS = "generate, half precision", "generate, NVIDIA's code"


class Reduced(nn.Module):
    """A judge that sees images (N, 3, H, W) averaged down to `side` pixels."""

    def __init__(self, network: nn.Module, side: int) -> None:
        super().__init__()
        self.network, self.side = network, side

    def __getattr__(self, name: str) -> Any:
        if name in ("both", "maps", "features"):
            return lambda images: getattr(self.network, name)(self.reduced(images))
        return super().__getattr__(name)

    def forward(self, images: Tensor) -> Any:
        return self.network(self.reduced(images))

    def reduced(self, images: Tensor) -> Tensor:
        return functional.adaptive_avg_pool2d(images, min(self.side, images.shape[-1]))


def make_domain(arguments: argparse.Namespace) -> Domain:
    """A generator at config-f's widths and the embedded domain's judges, all at random."""
    device = torch.device(arguments.device)
    torch.manual_seed(0)
    judges: dict[str, nn.Module] = {
        "scorer_a": Scorer("residual", 32),
        "scorer_b": Scorer("plain", 28),
        "recognizer_a": Recognizer("residual", 32, 96),
        "recognizer_b": Recognizer("plain", 28, 96),
        "perception": Perception(128, 24),
    }
    networks: dict[str, Any] = {name: Reduced(network, arguments.judges) for name, network in judges.items()}
    networks["perception"].map_channels = Perception.map_channels
    networks |= {"generator": Generator(resolution=arguments.resolution), "detector": Detector()}
    for network in networks.values():
        network.to(device).eval().requires_grad_(False)
    card = DomainCard("scale", "random weights", arguments.resolution, 128, 24, {}, {})
    return Domain(card, device, **networks, mean_distance=30.0)


@dataclass
class Bench:
    """What a row works with; `measure` is called by it, once per batch of images."""

    arguments: argparse.Namespace
    domain: Domain

    def codes(self, number: int) -> Tensor:
        """w (batch, 512) of one batch, on the device."""
        rng = torch.Generator().manual_seed(number)
        z = torch.randn(self.arguments.batch, 512, generator=rng)
        with torch.inference_mode():
            return self.domain.generator.map_to_w(z.to(self.domain.device))


def generate(bench: Bench, number: int) -> None:
    """Images of one batch."""
    generator = bench.domain.generator
    with torch.inference_mode():
        generator.synthesis(generator.mapping.broadcast(bench.codes(number)))


def generate_in_half(bench: Bench, number: int) -> None:
    """The same in half precision."""
    bench.domain.generator.synthesis.half_type = torch.float16
    generate(bench, number)


def label(bench: Bench, number: int) -> None:
    """Scorer A's values and the detector's probability of one batch."""
    label_images(bench.domain, bench.codes(number).cpu().numpy(), THRESHOLD)


def edit(bench: Bench, number: int) -> None:
    """One batch of edits of one face, generated and measured by every judge beside the unedited one."""
    domain = bench.domain
    with torch.inference_mode():
        ws = domain.generator.mapping.broadcast(bench.codes(number))
        edited = ws + 0.1 * torch.randn_like(ws)
        before = look_at_codes(domain, ws[:1], THRESHOLD)
        after = look_at_codes(domain, edited, THRESHOLD)
        compare_views(domain, after, before[torch.zeros(len(ws), dtype=torch.long, device=ws.device)])
        displacement(domain, edited, ws)


def train_step(bench: Bench, number: int) -> None:
    """A step of L2L on one batch of codes: its five losses and their gradients."""
    domain, method = bench.domain, L2L(batch=bench.arguments.batch)
    w = bench.codes(number).clone()
    values = torch.full((len(w), len(NAMES)), 0.5)
    data = FitData(
        w=w,
        values=values,
        generator=domain.generator,
        scorer_a=domain.scorer_a,
        recognizer_a=domain.recognizer_a,
        seed=0,
        device=domain.device,
    )
    mapper = method.new_mapper(512, len(NAMES), domain.generator.num_ws, data.rng(0)).to(domain.device)
    scales = Scales.raw(30.0, len(NAMES))
    change = method.draw_changes(values, data.rng(1), scales).to(domain.device)
    method.losses(mapper, data, w, values.to(domain.device), change, scales).sum().backward()


def generate_theirs(bench: Bench, number: int) -> None:
    """Images of one batch by NVIDIA's code, with our weights."""
    theirs = nvidia_generator(bench)
    with torch.inference_mode():
        theirs.synthesis(bench.domain.generator.mapping.broadcast(bench.codes(number)), noise_mode="const")


_theirs: list[Any] = []


def nvidia_generator(bench: Bench) -> Any:
    """NVIDIA's generator from the checkout, made once."""
    if not _theirs:
        sys.path.insert(0, bench.arguments.reference)
        networks = importlib.import_module("training.networks")
        theirs = networks.Generator(512, 0, 512, bench.arguments.resolution, 3).to(bench.domain.device).eval()
        theirs.load_state_dict(bench.domain.generator.state_dict())
        _theirs.append(theirs)
    return _theirs[0]


ROWS: dict[str, Callable[[Bench, int], None]] = {
    "generate": generate,
    IN_HALF: generate_in_half,
    "label": label,
    "edit, all measures": edit,
    "L2L training step": train_step,
    THEIRS: generate_theirs,
}


def measure(name: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Images per second and MiB of one row, in this process."""
    torch.set_num_threads(arguments.threads)
    bench = Bench(arguments, make_domain(arguments))
    if name == THEIRS:
        nvidia_generator(bench)
    networks = memory(bench.domain.device)
    batches = -(-arguments.count // arguments.batch)
    ROWS[name](bench, 0)
    started = clock(bench.domain.device)
    for number in range(1, batches + 1):
        ROWS[name](bench, number)
    seconds = clock(bench.domain.device) - started
    return {
        "rate": batches * arguments.batch / seconds,
        "networks": networks / MIB,
        "peak": memory(bench.domain.device) / MIB,
    }


def memory(device: torch.device) -> float:
    """Most bytes that this process has had so far, on the device or of the machine."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def clock(device: torch.device) -> float:
    """Seconds, once the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def main() -> None:
    """Measure every row in a process of its own, and print a table."""
    arguments = parse_arguments()
    if arguments.row:
        print(json.dumps(measure(arguments.row, arguments)))
        return
    left_out = [] if arguments.reference else [THEIRS]
    left_out += [IN_HALF] if arguments.device == "cpu" else []
    names = arguments.only or [name for name in ROWS if name not in left_out]
    print(
        f"{arguments.resolution} px, batches of {arguments.batch}, {arguments.count} images, {arguments.device}, "
        f"{arguments.threads} threads, torch {torch.__version__}"
    )
    print(f"{'':28}{'images/s':>12}{'networks, MiB':>16}{'peak, MiB':>12}{'MiB an image':>15}", flush=True)
    for name in names:
        done = subprocess.run(
            [sys.executable, __file__, *sys.argv[1:], "--row", name], stdout=subprocess.PIPE, text=True, check=False
        )
        if done.returncode:
            print(f"{name:28}failed with exit code {done.returncode}", flush=True)
            continue
        found = json.loads(done.stdout.splitlines()[-1])
        each = (found["peak"] - found["networks"]) / arguments.batch
        print(
            f"{name:28}{found['rate']:12.3f}{found['networks']:16,.0f}{found['peak']:12,.0f}{each:15,.0f}", flush=True
        )
    print(f"`latentbench plan` reckons with {image_bytes(arguments.resolution) / MIB:,.0f} MiB for making one image.")


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--resolution", type=int, default=1024, help="of the images, in pixels")
    parser.add_argument("--batch", type=int, default=2, help="images at a time")
    parser.add_argument("--count", type=int, default=4, help="images that are timed, after one batch that is not")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=1, help="torch threads")
    parser.add_argument("--judges", type=int, default=256, help="pixels of the images that judges see")
    parser.add_argument("--reference", default=os.environ.get(REFERENCE_VARIABLE, ""), help="NVIDIA's checkout")
    parser.add_argument("--only", action="append", choices=list(ROWS), help="measure this row; repeat for several")
    parser.add_argument("--row", choices=list(ROWS), help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
