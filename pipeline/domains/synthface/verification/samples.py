"""The held-out faces of verification: seeds that no training and no card uses, and the truth of their codes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pipeline.attributes import EVALUATED
from pipeline.domains.synthface import copula
from pipeline.domains.synthface.factors import N_ATTRIBUTES
from pipeline.domains.synthface.training.sets import RenderedSet, RenderSet, rendered
from pipeline.domains.synthface.truth import truth_factors, truth_normals
from pipeline.domains.synthface.verification.figures import Bench
from pipeline.storage.fingerprint import bytes_sha256
from stylegan.generator import Generator
from stylegan.mapping import MappingNetwork
from stylegan.sampling import draw_z

FACTOR_SEED = 7_710_001  # of faces that are not stored
W_SEED = 7_710_002  # of z for probes and DCI
G_SEED = 7_710_003  # of z for images
EDIT_SEED = 7_710_004  # of z that are edited
EIGHT = tuple(EVALUATED.values())

HELD_OUT: dict[str, RenderSet] = {
    "natural": RenderSet("natural", 7_710_011, 4_000),
    "broad": RenderSet("broad", 7_710_012, 4_000),
    "people": RenderSet("identities", 7_710_013, 4_000),
    "world_one": RenderSet("generator", 7_710_015, 10_000),
    "world_two": RenderSet("generator", 7_710_016, 10_000),
}
BATCH, JUDGED_BATCH = 32, 64  # images that go at once through the generator, and past a judge

Tell = Callable[[float, str], None]


def held_out(name: str, bench: Bench) -> RenderedSet:
    """A set by name; it is rendered if this version of the renderer has not rendered it yet."""
    folder = bench.folder / "verify" / world_digest()
    return rendered(HELD_OUT[name], folder, bench.workers, lambda text: bench.say(f"    {text}"))


@functools.cache
def world_digest() -> str:
    """Eight hexadecimal digits that depend on the source of the renderer, its statistics and the rules of the sets."""
    home = Path(__file__).parents[1]
    files = [*sorted(home.glob("*.py")), home / "statistics.json", home / "training" / "sets.py"]
    return bytes_sha256(b"".join(path.read_bytes() for path in files))[:8]


@torch.no_grad()
def draw_w(mapping: MappingNetwork, seed: int, count: int) -> Tensor:
    """w (count, 512) of the z of (seed, 0), (seed, 1), ..., not truncated."""
    parts = np.array_split(np.arange(count), max(1, count // 4096))
    return torch.cat([mapping.map_to_w(torch.from_numpy(draw_z(seed, ids))) for ids in parts])


@torch.no_grad()
def truth_of(w: Tensor) -> Tensor:
    """The true factors (N, N_FACTORS) of w (N, 512)."""
    return torch.cat([truth_factors(part) for part in w.split(8192)])


@torch.no_grad()
def normals_of(w: Tensor) -> Tensor:
    """The correlated normals (N, 35) of the attributes of w (N, 512), before their marginals."""
    normals = torch.cat([truth_normals(part)[:, :N_ATTRIBUTES] for part in w.split(8192)])
    return (normals.double() @ copula.cholesky().T).float()


@torch.no_grad()
def pixels_of(generator: Generator, w: Tensor, tell: Tell = lambda done, note: None) -> np.ndarray:
    """The generator's images of w (N, 512), in the format of sets: (N, 3, H, W) uint8, clamped and rounded."""
    made = []
    for part in w.split(BATCH):
        images = generator.synthesis(generator.mapping.broadcast(part))
        made.append(((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8))
        tell(len(made) * BATCH, "")
    return torch.cat(made).numpy()


@torch.no_grad()
def judged(judge: Callable[[Tensor], Tensor], pixels: np.ndarray, tell: Tell = lambda done, note: None) -> Tensor:
    """What a judge of images (n, 3, H, W) in [-1, 1] answers for pixels (N, 3, H, W) uint8, a batch at a time."""
    answers = []
    for start in range(0, len(pixels), JUDGED_BATCH):
        batch = torch.from_numpy(np.array(pixels[start : start + JUDGED_BATCH]))
        answers.append(judge(batch.float().div_(127.5).sub_(1)))
        tell(start + len(batch), "")
    return torch.cat(answers)
