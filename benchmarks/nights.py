"""How often a quiet night is flagged, and how soon a change or a drift is found: the gate of nightly runs, simulated.

    python -m benchmarks.nights            about ten minutes of one core; prints the tables of docs/howto/nightly.md
    python -m benchmarks.nights --quick    a tenth of the nights

A quiet night measures everything again, and each score differs from the night before by noise alone. `steps` draws
noise of single faces, which the paired test sees; `drifts` draws noise of whole scores from night to night. Scores of
one method share most of their noise, as in real runs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

from pipeline.nights.gate import LEAST, corrected
from pipeline.statistics.bootstrap import Bootstrap
from pipeline.statistics.differences import FaceSums, paired
from pipeline.statistics.trend import trend

LEVEL = 0.005  # of either family: half of [nights] level
METHODS, SCORES = 14, 15  # methods, and scores of each over all attributes
FEWER = 4  # methods where each test resamples faces, which takes long
SHARED = 0.8  # correlation of the scores of one method
WINDOW = 30
Noise = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]

NOISES: dict[str, Noise] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "heavy tails (t, 3 degrees of freedom)": lambda rng, shape: rng.standard_t(3, size=shape),
    "rare (1 of 10 faces or scores moves)": lambda rng, shape: rng.normal(size=shape) * (rng.random(shape) < 0.1),
}


def together(noise: Noise, rng: np.random.Generator, methods: int, scores: int, rest: int) -> np.ndarray:
    """Noise (methods x scores, rest) whose rows of one method are correlated by SHARED."""
    own, common = noise(rng, (methods, scores, rest)), noise(rng, (methods, 1, rest))
    return (np.sqrt(SHARED) * common + np.sqrt(1 - SHARED) * own).reshape(methods * scores, rest)


def flagged_steps(noise: Noise, rng: np.random.Generator, n_faces: int, shift: float = 0.0) -> np.ndarray:
    """Which of FEWER x SCORES scores are flagged after one night; the first method's faces all shift by `shift`."""
    values = together(noise, rng, FEWER, SCORES, n_faces)
    values[:SCORES] += shift
    sizes = np.ones_like(values)
    before = FaceSums(np.zeros_like(values) + 1.0, sizes)
    bootstrap = Bootstrap(100 * len(values), 0.95, int(rng.integers(2**31)))
    return corrected(paired(bootstrap, FaceSums(values + 1.0, sizes), before).p) <= LEVEL


class Drifts:
    """The drifts of METHODS x SCORES series, night after night; a series that is flagged begins again."""

    def __init__(self) -> None:
        self.series: list[list[float]] = [[] for _ in range(METHODS * SCORES)]

    def flagged(self, values: np.ndarray) -> np.ndarray:
        """Which series are flagged after another night's values."""
        for series, value in zip(self.series, values, strict=True):
            series.append(float(value))
            del series[:-WINDOW]
        p = [trend(np.array(series)).p if len(series) >= LEAST else np.nan for series in self.series]
        found = corrected(np.array(p)) <= LEVEL
        for place in np.flatnonzero(found):
            del self.series[place][:-1]
        return found


def share(flags: list[bool]) -> str:
    """A rate with its 95 % interval (Wilson)."""
    from scipy.stats import binomtest

    result = binomtest(sum(flags), len(flags))
    interval = result.proportion_ci(method="wilson")
    return f"{100 * result.statistic:.1f} ({100 * interval.low:.1f} to {100 * interval.high:.1f})"


def quiet_steps(nights: int) -> None:
    """Quiet nights on which any step is flagged."""
    print("\n| noise of a face | faces | nights | nights with a false step, % |\n|---|---:|---:|---:|")
    for name, noise in NOISES.items():
        for n_faces in (12, 50):
            rng = np.random.default_rng([1, n_faces])
            flags = [bool(flagged_steps(noise, rng, n_faces).any()) for _ in range(nights)]
            print(f"| {name} | {n_faces} | {nights} | {share(flags)} |", flush=True)


def found_steps(nights: int) -> None:
    """Nights on which a change of one method is found."""
    print("\n| change, in deviations of one face's noise | faces | nights on which it is found, % |\n|---:|---:|---:|")
    for n_faces in (12, 32, 50):
        for shift in (0.5, 1.0, 2.0):
            rng = np.random.default_rng([2, n_faces])
            noise = NOISES["normal"]
            flags = [bool(flagged_steps(noise, rng, n_faces, shift)[:SCORES].any()) for _ in range(nights)]
            print(f"| {shift:g} | {n_faces} | {share(flags)} |", flush=True)


def quiet_drifts(nights: int) -> None:
    """Quiet nights on which any drift is flagged, in years of 365 nights."""
    print("\n| noise of a score | nights | nights with a false drift, % |\n|---|---:|---:|")
    for name, noise in NOISES.items():
        rng, flags, drifts = np.random.default_rng(3), [], Drifts()
        for night in range(nights):
            drifts = drifts if night % 365 else Drifts()
            flags.append(bool(drifts.flagged(together(noise, rng, METHODS, SCORES, 1)[:, 0]).any()))
        print(f"| {name} | {nights} | {share(flags)} |", flush=True)


def found_drifts(tries: int) -> None:
    """Nights until the drift of one method is found, after ten quiet nights."""
    print(
        "\n| drift a night, in deviations of the noise | nights until found: median | nine of ten |\n|---:|---:|---:|"
    )
    for slope in (0.1, 0.25, 0.5, 1.0, 3.0):
        rng, needed = np.random.default_rng(4), []
        for _ in range(tries):
            drifts, night = Drifts(), 0
            while True:
                values = together(NOISES["normal"], rng, METHODS, SCORES, 1)[:, 0]
                values[:SCORES] += slope * max(0, night - 9)
                night += 1
                if drifts.flagged(values)[:SCORES].any() and night > 10:
                    break
            needed.append(night - 10)
        print(f"| {slope:g} | {np.median(needed):.0f} | {np.quantile(needed, 0.9):.0f} |", flush=True)


def main() -> None:
    """Print the four tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the nights")
    fewer = 10 if parser.parse_args().quick else 1
    quiet_drifts(1460 // fewer)
    found_drifts(max(2, 20 // fewer))
    quiet_steps(400 // fewer)
    found_steps(50 // fewer)


if __name__ == "__main__":
    main()
