"""Checks of the renderer: size, region and direction of each attribute's effect, determinism, and speed.

Each of the 35 attributes is changed alone from 0 to 1 on 200 held-out faces with FFHQ's statistics.

**Inside.** A pixel is inside an attribute's parts (`FACTORS[i].parts`) if these parts, at either end of the change,
have a share of at least INSIDE_SHARE in it. Masks are made before `camera.develop` blurs the picture, so each face's
masks are blurred by the same amount: the blurred share bounds how much a change of the part can change the pixel. With
.05, a pixel outside can change by at most a twentieth of the change of the parts. Without the blur, soft and thin parts
(a moustache, a rim) would count as outside at their edges.

**Visible**: mean absolute pixel change inside over mean absolute pixel change outside, over all pixels of all faces.
Global attributes, which affect all parts, have no outside and no such bar. **Local**: share of the squared pixel change
that is inside.

**Monotone**: Spearman's correlation of the step with scorer B's mean value of the attribute at 9 steps from 0 to 1 (2
for a binary attribute, which has only two values). The bar is .95. Near the ends, where a scorer saturates, its mean
changes less than its error. Each swap of two neighbouring steps costs .017: two swaps pass, a curve that turns back
fails.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import subprocess
import sys
import time
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor

from pipeline import attributes
from pipeline.domains.synthface.domain import weights_path
from pipeline.domains.synthface.factors import FACTORS, draw_factors
from pipeline.domains.synthface.parts import driven, inside, is_global
from pipeline.domains.synthface.renderer import render
from pipeline.domains.synthface.training.sets import RENDER_BLOCK
from pipeline.domains.synthface.verification.figures import Bench, Figure
from pipeline.domains.synthface.verification.samples import FACTOR_SEED
from pipeline.networks.files import load_network
from pipeline.networks.scorer import Scorer
from pipeline.progress import Display
from pipeline.storage.fingerprint import bytes_sha256

FACES, STEPS = 200, 9
VISIBLE, LOCAL, MONOTONE = 5.0, 0.8, 0.95
SPEED, SPEED_PROCESSES, SPEED_FACES = 300.0, 2, 6 * 1024
REPEATED_FACES = 256
RESOLUTION = 64


@dataclass(frozen=True)
class Drive:
    """The effect of changing one attribute: mean pixel changes (in the range 0 to 1) and scorer B's mean per step.

    `area` is the share of all pixels that are inside.
    """

    index: int
    area: float
    inside: float
    outside: float
    local: float
    scores: tuple[float, ...]
    n: int


def measure(bench: Bench) -> list[Figure]:
    """All figures of the renderer."""
    return [
        *bench.measure("determinism", repeats),
        *bench.measure("speed", speed),
        *bench.measure(f"35 attributes driven on {FACES} faces", lambda: drives(bench.workers)),
    ]


def changes(low: Tensor, high: Tensor, within: Tensor) -> tuple[float, float, float]:
    """Mean absolute change inside and outside, and the share of squared change inside.

    Images (N, 3, H, W) in [-1, 1]; within (N, H, W). Changes are in the range [0, 1]; 0 if there is no outside.
    """
    change = (high - low).abs().double() / 2
    places = within[:, None].expand_as(change)
    squared = change.square()
    mean_in, mean_out = (float(change[where].mean()) if where.any() else 0.0 for where in (places, ~places))
    total = float(squared.sum())
    return mean_in, mean_out, float(squared[places].sum()) / total if total else 0.0


@functools.cache
def _scorer() -> Scorer:
    return load_network(Scorer, weights_path("scorer_b"), torch.device("cpu"))


@torch.no_grad()
def drive(index: int, count: int = FACES, scorer: Scorer | None = None) -> Drive:
    """Drive one attribute alone from 0 to 1 on `count` held-out faces."""
    faces, parts = draw_factors(FACTOR_SEED, range(count)), FACTORS[index].parts
    ends = [driven(faces, index, value) for value in (0.0, 1.0)]
    low, high = (render(end, RESOLUTION, masks=True) for end in ends)
    assert low.masks is not None and high.masks is not None
    within = inside(low.masks, ends[0], parts) | inside(high.masks, ends[1], parts)
    binary = attributes.ATTRIBUTES[index].kind == "binary"
    between = [] if binary else [driven(faces, index, float(v)) for v in np.linspace(0, 1, STEPS)[1:-1]]
    pictures = [low.images, *(render(step, RESOLUTION).images for step in between), high.images]
    judge = scorer or _scorer()
    scores = [float(torch.cat([judge(part) for part in p.split(50)])[:, index].double().mean()) for p in pictures]
    return Drive(index, float(within.double().mean()), *changes(low.images, high.images, within), tuple(scores), count)


def _drive_on_one_thread(index: int) -> Drive:
    torch.set_num_threads(1)
    return drive(index)


def drives(workers: int) -> list[Figure]:
    """Visible, local and monotone, per attribute."""
    found: list[Drive] = []
    with Display("attributes", len(attributes.NAMES), "attributes") as display, _pool(workers) as pool:
        for one in pool.imap_unordered(_drive_on_one_thread, range(len(attributes.NAMES))):
            found.append(one)
            display.update(len(found), attributes.NAMES[one.index])
    found.sort(key=lambda one: one.index)
    groups = (visible, local, monotone)
    return [figure(one) for figure in groups for one in found]


def visible(one: Drive) -> Figure:
    """The ratio of the change inside the attribute's parts to the change outside."""
    name = attributes.NAMES[one.index]
    if is_global(attributes.NAMES[one.index]):
        return Figure("visible, mean change", name, one.inside, one.n, note="global: every part is its own")
    ratio = one.inside / one.outside if one.outside else float("inf") if one.inside else 0.0
    note = f"mean change {one.inside:.4f} inside, which is {one.area:.1%} of the picture, {one.outside:.1e} outside"
    return Figure("visible, inside over outside", name, ratio, one.n, ">=", VISIBLE, note)


def local(one: Drive) -> Figure:
    """The share of squared change inside the attribute's parts."""
    note = "global: every part is its own" if is_global(attributes.NAMES[one.index]) else ""
    return Figure("locality", attributes.NAMES[one.index], one.local, one.n, ">=", LOCAL, note)


def monotone(one: Drive) -> Figure:
    """Spearman's correlation of the steps with scorer B's mean values; 0 if they are constant."""
    scores = np.array(one.scores)
    rank = float(spearmanr(np.arange(len(scores)), scores).statistic) if np.ptp(scores) else 0.0
    note = f"scorer B {scores[0]:.3f} to {scores[-1]:.3f} in {len(scores)} steps"
    return Figure("monotone to scorer B", attributes.NAMES[one.index], rank, one.n, ">=", MONOTONE, note)


def digest(count: int = REPEATED_FACES) -> str:
    """The sha256 of the renders and masks of some held-out faces."""
    drawn = render(draw_factors(FACTOR_SEED, range(count)), RESOLUTION, masks=True)
    assert drawn.masks is not None
    return bytes_sha256(drawn.images.numpy().tobytes() + drawn.masks.numpy().tobytes())


def repeats() -> list[Figure]:
    """Whether rendering twice here, and once in a fresh process with one thread, gives the same bits."""
    command = f"import torch; torch.set_num_threads(1); from {__name__} import digest; print(digest())"
    fresh = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True).stdout.strip()
    digests = {digest(), digest(), fresh}
    note = f"sha256 {' '.join(sorted(one[:12] for one in digests))}"
    return [Figure("deterministic to the bit", "different sha256", len(digests), 3 * REPEATED_FACES, "=", 1, note)]


def _speed_block(block: int) -> tuple[int, float, float]:
    torch.set_num_threads(1)
    started = time.time()
    ids = range(block * RENDER_BLOCK, (block + 1) * RENDER_BLOCK)
    images = render(draw_factors(FACTOR_SEED, ids), RESOLUTION).images
    ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).numpy()
    return block, started, time.time()


def speed() -> list[Figure]:
    """Images per second of two single-threaded processes, with drawing and rounding, without their start-up time."""
    with _pool(SPEED_PROCESSES) as pool:
        pool.map(_speed_block, range(SPEED_PROCESSES), chunksize=1)
        spans = pool.map(_speed_block, range(SPEED_FACES // RENDER_BLOCK), chunksize=1)
    rate = len(spans) * RENDER_BLOCK / (max(stop for _, _, stop in spans) - min(start for _, start, _ in spans))
    note = f"{SPEED_PROCESSES} processes of one thread; machine's load before: {os.getloadavg()[0]:.1f}"
    return [Figure("renderer speed, images/s", "64 px", rate, SPEED_FACES, ">=", SPEED, note)]


def _pool(workers: int) -> multiprocessing.pool.Pool:
    return multiprocessing.get_context("spawn").Pool(workers)
