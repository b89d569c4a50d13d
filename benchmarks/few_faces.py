"""What FID and KID say of few faces, edited many times or not at all: how much of it is which faces they are.

    python benchmarks/few_faces.py

Faces of the embedded generator stand 32 times each in a set: unedited, and moved at 4 strengths along 8 directions of
w, the covariances of w with scorer A's logits of the evaluated attributes. Sets of so many faces, drawn from 160, are
set against unedited samples and against their own codes. Printed as a table of Markdown, with the half width of the
interval of the edited set's KID.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from pipeline.attributes import EVALUATED, index_of
from pipeline.chain.views import synthesise
from pipeline.domains import base
from pipeline.metrics.base import Reference
from pipeline.metrics.fid import frechet_distance
from pipeline.metrics.fid_same_codes import PairedMoments
from pipeline.metrics.kid import FaceKernels, kernel
from pipeline.statistics.bootstrap import Bootstrap
from pipeline.statistics.units import logits_of

SEED, BATCH = 14, 64
MOST, SAMPLES, RESAMPLES = 160, 1024, 200
STRENGTHS = (-0.7, -0.35, 0.35, 0.7)  # mean distances of two random w
FACES = (4, 8, 16, 32, 50, 100, 160)


def features() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Perception vectors of samples (N, d), of unedited faces (F, d) and of their edits (F, E, d)."""
    domain = base.load("synthface", "cpu")
    rng = torch.Generator().manual_seed(SEED)

    def judged(ws: Tensor, judge: Callable[[Tensor], Tensor]) -> Tensor:
        return torch.cat([judge(synthesise(domain, ws[i : i + BATCH])) for i in range(0, len(ws), BATCH)])

    def seen(ws: Tensor) -> np.ndarray:
        found: np.ndarray = judged(ws, lambda images: domain.perception.both(images)[0]).double().numpy()
        return found

    with torch.inference_mode():
        w = domain.generator.map_to_w(torch.randn(SAMPLES + MOST, 512, generator=rng))
        ws = domain.generator.mapping.broadcast(w)
        logits = logits_of(judged(ws[:SAMPLES], domain.scorer_a))[:, [index_of(name) for name in EVALUATED]]
        centred = w[:SAMPLES] - w[:SAMPLES].mean(dim=0)
        along = (logits - logits.mean(dim=0)).T @ centred  # how w and each logit vary together
        directions = torch.nn.functional.normalize(along, dim=1)
        faces = ws[SAMPLES:]
        edits = [seen(faces + strength * domain.mean_distance * one) for one in directions for strength in STRENGTHS]
        return seen(ws[:SAMPLES]), seen(faces), np.stack(edits, axis=1)


def kernel_distances(kernels: FaceKernels, chosen: np.ndarray, constant: float) -> tuple[float, float]:
    """KID of some of the faces (places among all), and the half width of its interval."""
    own = FaceKernels.__new__(FaceKernels)
    own.number, own.with_itself = kernels.number[chosen], kernels.with_itself[chosen]
    own.to_reference = kernels.to_reference[chosen]
    own.between, own.n_reference = kernels.between[np.ix_(chosen, chosen)], kernels.n_reference
    value = float(own.distances(np.ones((1, len(chosen))))[0]) + constant
    bootstrap = Bootstrap(RESAMPLES)
    resampled = own.distances(bootstrap.counts(len(chosen)))
    low, high = bootstrap.centred_interval(value, resampled, len(chosen))
    return value, float("nan") if low is None or high is None else (high - low) / 2


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sets", type=int, default=20, help="sets of each number of faces (default: 20)")
    given = parser.parse_args()
    samples, unedited, edited = features()
    each, width = edited.shape[1:]
    still = np.repeat(unedited[:, None], each, axis=1)
    faces_of = np.repeat(np.arange(MOST), each)
    kernels = [FaceKernels(images.reshape(-1, width), faces_of, samples) for images in (still, edited)]
    among = kernel(samples, samples)
    constant = float(among.sum() - np.trace(among)) / (len(samples) * (len(samples) - 1))
    moments = Reference(samples, samples).moments
    rng = np.random.default_rng(SEED)
    columns = ("KID, no edit", "KID, edits", "its half width", "FID, no edit", "FID, edits", "FID, edits, same codes")
    print("| faces | " + " | ".join(columns) + " |")
    print("| --- |" + " --- |" * len(columns))
    for faces in FACES:
        rows = []
        for _ in range(given.sets if faces < MOST else 1):
            chosen = rng.choice(MOST, faces, replace=False)
            no_edit, edits = (kernel_distances(one, chosen, constant) for one in kernels)
            rows.append([no_edit[0], *edits])
            for images in (still, edited):
                own = images[chosen].reshape(-1, width)
                rows[-1].append(frechet_distance(own.mean(axis=0), np.cov(own, rowvar=False), *moments))
            paired = PairedMoments(own, np.repeat(unedited[chosen], each, axis=0), np.repeat(np.arange(faces), each))
            rows[-1].append(paired.distance(np.ones(faces)))
        mean = np.mean(rows, axis=0)
        cells = [f"{value:.3f}" for value in mean[:3]] + [f"{value:.1f}" for value in mean[3:]]
        print(f"| {faces} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
