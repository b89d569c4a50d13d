"""Images per second of our generator beside what a user would take instead, in one run.

    python benchmarks/generator.py --resolution 64 --batch 32 --threads 2

Rows: the plain layers (`fused=False`, one grouped convolution per layer, a group per image, as
the public implementations do), the fast ones, and, where LATENTBENCH_NVIDIA_REFERENCE names a
checkout of NVIDIA's stylegan2-ada-pytorch, that code with the same weights. Its custom kernels
fall back to plain torch on a CPU; on a GPU they are compiled at first use.

All rows are measured in turns within each round, and the best round of each counts, so that
another load on the machine does not favour one of them. `--clock cpu` counts the processor time of
this process instead of the wall clock: with one thread, it is fair on a busy machine too.
"""

import argparse
import importlib
import os
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from stylegan.architecture import default_channels, resolutions_up_to
from stylegan.generator import Generator

EMBEDDED_CHANNELS = {4: 256, 8: 256, 16: 96, 32: 64, 64: 32}
REFERENCE_VARIABLE = "LATENTBENCH_NVIDIA_REFERENCE"


def main() -> None:
    """Measure, and print a table."""
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device)
    torch.manual_seed(0)
    generators = make_generators(arguments, device)
    z = torch.randn(arguments.batch, 512, device=device)
    check_agreement(generators, z)
    works = {"forward": forward, "forward + backward": forward_and_backward}
    print(
        f"{arguments.resolution} px, batch {arguments.batch}, {arguments.threads} threads, "
        f"{device}, {arguments.clock} clock, torch {torch.__version__}"
    )
    print(f"{'generator':32}" + "".join(f"{name + ', img/s':>26}{'ratio':>8}" for name in works))
    columns = [measure(generators, z, work, rounds=arguments.rounds, clock=arguments.clock) for work in works.values()]
    for row in generators:
        cells = (f"{rates[row]:26.1f}{rates[row] / rates['plain layers']:8.2f}" for rates in columns)
        print(f"{row:32}" + "".join(cells))


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--resolution", type=int, default=64, help="of the images, in pixels")
    parser.add_argument("--batch", type=int, default=32, help="images per call")
    parser.add_argument("--threads", type=int, default=2, help="torch threads")
    parser.add_argument("--rounds", type=int, default=5, help="the best of which counts")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument(
        "--channel-base",
        type=int,
        help="NVIDIA's rule of widths (config-f: 32768) instead of the embedded generator's",
    )
    parser.add_argument("--channel-max", type=int, default=512, help="with --channel-base")
    return parser.parse_args()


def make_generators(arguments: argparse.Namespace, device: torch.device) -> dict[str, nn.Module]:
    """What is compared, by name, all with the same weights."""
    resolution = arguments.resolution
    widths = {"channel_base": arguments.channel_base, "channel_max": arguments.channel_max}
    if arguments.channel_base:
        channels = default_channels(resolution, **widths)
    else:
        resolutions = resolutions_up_to(resolution)
        channels = {r: EMBEDDED_CHANNELS.get(r, max(8, 2048 // r)) for r in resolutions}
    plain = Generator(resolution=resolution, channels=channels, fused=False).to(device)
    fast = Generator(resolution=resolution, channels=channels, fused=True).to(device)
    fast.load_state_dict(plain.state_dict())
    generators: dict[str, nn.Module] = {"plain layers": plain, "fast layers (default)": fast}
    reference = os.environ.get(REFERENCE_VARIABLE)
    if reference and arguments.channel_base:
        sys.path.insert(0, reference)
        networks = importlib.import_module("training.networks")
        theirs = networks.Generator(512, 0, 512, resolution, 3, synthesis_kwargs=widths).to(device)
        theirs.load_state_dict(plain.state_dict())
        generators["NVIDIA, evaluation mode"] = NvidiaGenerator(theirs, training=False)
        generators["NVIDIA, training mode"] = NvidiaGenerator(theirs, training=True)
    elif reference:
        print(f"{REFERENCE_VARIABLE} is set: give --channel-base to compare, its widths follow it.")
    return generators


class NvidiaGenerator(nn.Module):
    """NVIDIA's generator, called as ours is. Its training mode convolves without groups."""

    def __init__(self, generator: nn.Module, *, training: bool) -> None:
        super().__init__()
        self.generator = generator
        self.theirs_trains = training

    def forward(self, z: Tensor) -> Tensor:
        self.generator.train(self.theirs_trains)
        images: Tensor = self.generator(z, None, noise_mode="const")
        return images


def check_agreement(generators: dict[str, nn.Module], z: Tensor) -> None:
    """Refuse to compare generators that do not make the same images."""
    with torch.no_grad():
        images = {name: generator(z[:2]) for name, generator in generators.items()}
    expected = images["plain layers"]
    for name, found in images.items():
        error = float((found - expected).abs().max() / expected.abs().max())
        if error > 1e-3:
            sys.exit(f"'{name}' differs from the plain layers by {error:.1e}: nothing to compare.")


def forward(generator: nn.Module, z: Tensor) -> None:
    """Make images, as a stage of the benchmark does."""
    with torch.no_grad():
        generator(z)


def forward_and_backward(generator: nn.Module, z: Tensor) -> None:
    """Make images and the gradients of every parameter, as training does."""
    generator.zero_grad()
    generator(z).square().mean().backward()


def measure(
    generators: dict[str, nn.Module],
    z: Tensor,
    work: Callable[[nn.Module, Tensor], None],
    *,
    rounds: int,
    clock: str,
) -> dict[str, float]:
    """Images per second of each generator: its best round."""
    now = time.perf_counter if clock == "wall" else time.process_time
    best = dict.fromkeys(generators, float("inf"))
    for _ in range(rounds + 1):  # the shortest counts, so the first may warm up
        for name, generator in generators.items():
            start = now()
            work(generator, z)
            if z.is_cuda:
                torch.cuda.synchronize()
            best[name] = min(best[name], now() - start)
    return {name: len(z) / seconds for name, seconds in best.items()}


if __name__ == "__main__":
    main()
