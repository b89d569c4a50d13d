"""Images per second of photoface's generator beside OpenVINO, for which its weights were published.

    python benchmarks/photoface.py FOLDER --threads 1

FOLDER holds photoface-mapping.xml, photoface-synthesis.xml and their .bin files. Rows: OpenVINO in float32 and in
bfloat16 where it is installed, the plain layers, the fast ones, and the fast ones in half precision. Every row makes
one image per turn on a CPU; the best turn of each counts, by the processor time of the process, which is fair on a busy
machine too. On a GPU, where only ours are measured, a batch is made per turn, by the wall clock.
"""

import argparse
import importlib
import importlib.util
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from stylegan.checkpoints.mobile import read_mobile
from stylegan.mobile.generator import MobileGenerator

SEED = 17


def main() -> None:
    """Measure, and print a table."""
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    device = torch.device(arguments.device)
    mapping, synthesis = (arguments.folder / f"photoface-{name}.xml" for name in ("mapping", "synthesis"))
    generator = read_mobile(mapping, synthesis).generator.to(device)
    batch = arguments.batch if device.type == "cuda" else 1
    z = torch.randn(batch, 512, generator=torch.Generator().manual_seed(SEED)).to(device)
    with torch.inference_mode():
        ws = generator.mapping(z, truncation_psi=0.7)
        rows = {} if device.type == "cuda" else openvino_rows(synthesis, ws[:, 0], arguments.threads)
        rows |= our_rows(generator, ws)
        seconds = measure(rows, device, arguments.rounds)
        expected = rows["plain layers"]()
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
        clock = "wall clock" if device.type == "cuda" else "processor time"
        print(f"1024 px, batch {batch}, {arguments.threads} threads, {name}, {clock}, torch {torch.__version__}")
        print(f"{'generator':24}{'s/image':>10}{'images/s':>10}{'ratio':>8}{'mean error':>12}{'largest':>10}")
        first = next(iter(seconds.values()))
        for row, images in rows.items():
            error = (images() - expected).abs()
            each = seconds[row] / batch
            figures = f"{each:10.4f}{1 / each:10.1f}{first / seconds[row]:8.2f}"
            print(f"{row:24}{figures}{float(error.mean()):12.1e}{float(error.max()):10.1e}")


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="holds the four files")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each row, of which the best counts")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--batch", type=int, default=8, help="images per turn on a GPU")
    return parser.parse_args()


def openvino_rows(graph: Path, w: Tensor, threads: int) -> dict[str, Callable[[], Tensor]]:
    """The synthesis network in OpenVINO, in both precisions; nothing where it is not installed."""
    if importlib.util.find_spec("openvino") is None:
        return {}
    core = importlib.import_module("openvino").Core()
    rows = {}
    for kind, name in (("f32", "float32"), ("bf16", "bfloat16")):
        settings = {"INFERENCE_PRECISION_HINT": kind, "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": "1"}
        network = core.compile_model(core.read_model(graph), "CPU", settings)
        rows[f"OpenVINO, {name}"] = lambda network=network: torch.from_numpy(network(w.numpy())[0].copy())
    return rows


def our_rows(generator: MobileGenerator, ws: Tensor) -> dict[str, Callable[[], Tensor]]:
    """The plain layers and the fast ones."""

    def make(fused: bool, half_type: torch.dtype | None) -> Tensor:
        generator.fused, generator.synthesis.half_type = fused, half_type
        images: Tensor = generator.synthesis(ws)
        return images

    halves = {"bfloat16": torch.bfloat16} | ({"float16": torch.float16} if ws.is_cuda else {})
    rows: dict[str, Callable[[], Tensor]] = {"plain layers": lambda: make(False, None)}
    rows["fast layers (default)"] = lambda: make(True, None)
    for name, half_type in halves.items():
        rows[f"fast layers, {name}"] = lambda half_type=half_type: make(True, half_type)  # type: ignore[misc]
    return rows


def measure(rows: dict[str, Callable[[], Tensor]], device: torch.device, rounds: int) -> dict[str, float]:
    """Seconds of each row's best turn; the rows take turns within each round."""
    now = time.process_time if device.type == "cpu" else time.perf_counter
    best = dict.fromkeys(rows, float("inf"))
    for _ in range(rounds + 1):  # the shortest counts, so the first may warm up
        for row, images in rows.items():
            start = now()
            images()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            best[row] = min(best[row], now() - start)
    return best


if __name__ == "__main__":
    main()
