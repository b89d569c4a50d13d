"""Length and rate of a training of a network."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """Length and rate of a training.

    The rate rises over `warmup` of the steps to `rate`, then falls by a cosine to `final` of it. The weights that
    are kept are an exponential average over about `average` steps.
    """

    steps: int
    batch: int
    rate: float
    seed: int
    warmup: float = 0.03
    final: float = 0.01
    average: int = 200
    save_seconds: float = 60.0

    def rate_at(self, step: int) -> float:
        """The learning rate of a step."""
        start = max(1, int(self.warmup * self.steps))
        if step < start:
            return self.rate * (step + 1) / start
        progress = (step - start) / max(1, self.steps - start)
        return self.rate * (self.final + (1 - self.final) * 0.5 * (1 + math.cos(math.pi * progress)))
