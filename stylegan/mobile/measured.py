"""The average w and the mean distance of two w: measured, and kept for the published mapping network.

OpenVINO's files hold no average w. It is the mean of a network's outputs, so a constant of each mapping network; this
module's JSON file has it for the published one, known by the sha256 of its numbers.

    python -m stylegan.checkpoints.mobile MAPPING.xml SYNTHESIS.xml      # measures again, and writes the file
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from stylegan.distance import mean_distance, rounded
from stylegan.generator import Generator

FILE = Path(__file__).with_name("measured.json")
SAMPLES = 2**20
"""Random z of the constant: the standard error of the average is a thousandth of the deviation of w."""
FEWER_SAMPLES = 100_000
"""Random z for a network that the file does not have."""


class Measured(NamedTuple):
    """What is measured of a mapping network."""

    w_avg: Tensor
    """The average w (w_dim,)."""
    mean_distance: float
    """Mean of ||w - w'|| over pairs of random w, six digits."""
    samples: int
    """Number of random z of the average."""


def measure(generator: Generator, *, samples: int = FEWER_SAMPLES) -> Measured:
    """Measure a generator's mapping network, with fixed seeds; the generator stays as it is."""
    before = generator.mapping.w_avg.clone()
    generator.mapping.measure_average_w(samples=samples)
    found = Measured(generator.mapping.w_avg.clone(), rounded(mean_distance(generator)), samples)
    generator.mapping.w_avg.copy_(before)
    return found


def measured(sha256: str) -> Measured | None:
    """What was measured of the mapping network whose numbers have this sha256; None for another network."""
    facts = _kept().get(sha256)
    return None if facts is None else Measured(torch.tensor(facts["w_avg"]), facts["mean_distance"], facts["samples"])


@cache
def _kept() -> dict[str, dict[str, Any]]:
    """The file: sha256 -> what was measured."""
    kept: dict[str, dict[str, Any]] = json.loads(FILE.read_text())
    return kept


def keep(sha256: str, found: Measured) -> None:
    """Write the file: `found` of the mapping network whose numbers have this sha256, and nothing else."""
    w_avg = [float(f"{number:.7g}") for number in found.w_avg.tolist()]
    facts = {"mean_distance": found.mean_distance, "samples": found.samples, "w_avg": w_avg}
    FILE.write_text(json.dumps({sha256: facts}, indent=1) + "\n")
