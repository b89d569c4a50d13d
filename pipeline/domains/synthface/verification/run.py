"""Verification: measures the groups of bars one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from pipeline.domains.synthface.verification import (
    chosen_groups,
    generator,
    latent_space,
    networks,
    population,
    renderer,
)
from pipeline.domains.synthface.verification.figures import Bench, Figure
from pipeline.progress import in_time

MEASURE: dict[str, Callable[[Bench], list[Figure]]] = {
    "population": population.measure,
    "renderer": renderer.measure,
    "latent_space": latent_space.measure,
    "networks": networks.measure,
    "generator": generator.measure,
}


def verify(bench: Bench, only: Iterable[str] = ()) -> list[Figure]:
    """Measure the groups in `only`, or all. Raises UnknownNameError, and WeightsError for a missing network."""
    rows: list[Figure] = []
    names, started = chosen_groups(only), time.monotonic()
    for place, name in enumerate(names, 1):
        bench.say(f"{name} ({place} of {len(names)}, {in_time(time.monotonic() - started)} so far)")
        rows += MEASURE[name](bench)
    return rows
