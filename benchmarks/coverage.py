"""How often 95 % intervals hold the mean that they are of, by number of faces: plain percentiles, and ours.

    python benchmarks/coverage.py

Sets of faces are drawn from distributions whose mean is known, with a fixed seed; every set is resampled as scores are
(`pipeline.statistics.bootstrap.Bootstrap`). Printed as a table of Markdown: the share of the sets whose interval holds
the mean.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

from pipeline.statistics.bootstrap import Bootstrap

SEED = 14
FACES = (3, 4, 8, 16, 32, 50)
Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]
KINDS: dict[str, tuple[Draw, float, tuple[float, float]]] = {  # how faces are drawn, their mean, the metric's bounds
    "normal": (lambda rng, shape: rng.normal(size=shape), 0.0, (-np.inf, np.inf)),
    "skewed: exponential": (lambda rng, shape: rng.exponential(size=shape), 1.0, (0.0, np.inf)),
    "skewed: gamma of shape 2": (lambda rng, shape: rng.gamma(2.0, size=shape), 2.0, (0.0, np.inf)),
    "share of a face's images, mean .8": (lambda rng, shape: rng.beta(4.0, 1.0, size=shape), 0.8, (0.0, 1.0)),
    "yes or no of a face, .8 yes": (lambda rng, shape: (rng.random(shape) < 0.8).astype(float), 0.8, (0.0, 1.0)),
}


def covered(kind: str, faces: int, *, sets: int, samples: int) -> tuple[float, float]:
    """Shares of drawn sets of so many faces whose interval holds the mean: plain percentiles, and ours."""
    draw, mean, (least, most) = KINDS[kind]
    rng = np.random.default_rng([SEED, faces, list(KINDS).index(kind)])
    values, bootstrap = draw(rng, (sets, faces)), Bootstrap(samples, 0.95, SEED)
    resampled = bootstrap.counts(faces) @ values.T / faces
    plain = bootstrap.percentiles(resampled)
    low, high = bootstrap.ends(values.mean(axis=1), resampled, faces)
    ours = low.clip(least, most), high.clip(least, most)
    held = [float(((low <= mean) & (high >= mean)).mean()) for low, high in (plain, ours)]
    return held[0], held[1]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sets", type=int, default=4000, help="sets of faces drawn for each number (default: 4000)")
    parser.add_argument("--samples", type=int, default=1000, help="resamples of each set (default: 1000)")
    given = parser.parse_args()
    print("| faces: percentiles / ours | " + " | ".join(map(str, FACES)) + " |")
    print("| --- |" + " --- |" * len(FACES))
    for kind in KINDS:
        found = [covered(kind, faces, sets=given.sets, samples=given.samples) for faces in FACES]
        cells = [f"{plain:.2f} / {ours:.2f}".replace("0.", ".") for plain, ours in found]
        print(f"| {kind} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
