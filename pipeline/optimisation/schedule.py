"""Length and learning rate of a network's training."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """Length and learning rate of a training.

    The learning rate rises linearly over the share `warmup` of the steps to `rate`, then falls along a cosine to
    `final` * `rate`. The saved weights are an exponential moving average over about `average` steps.

    >>> schedule = Schedule(steps=100, batch=32, rate=0.1, seed=0, warmup=0.1)
    >>> [round(schedule.rate_at(step), 3) for step in (0, 9, 10, 100)]
    [0.01, 0.1, 0.1, 0.001]
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
