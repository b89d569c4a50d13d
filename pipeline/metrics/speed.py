"""Seconds per edit: one face, batch 1, after warm-up, on the machine that the run names.

Khodadadeh et al., "Latent to Latent", WACV 2022, print one number per method, and say neither what was timed nor on
which machine. We time the edit of the code alone, and the edit with the generation of its image. The score is the
median over repetitions, in seconds; its interval is a bootstrap over repetitions.

>>> import numpy as np
>>> from pipeline.statistics.bootstrap import Bootstrap
>>> Bootstrap().median(np.array([0.5, 0.1, 0.2])).value
0.2
"""

from __future__ import annotations

from functools import partial
from math import inf

from pipeline.metrics.base import EditSet, Judgement, Metric


def score(edits: EditSet, column: str) -> list[Judgement]:
    """Median seconds over the repetitions, which `n_images` counts. `column`: of the timings table."""
    return [Judgement(edits.bootstrap.median(edits.timings[column]))]


SECONDS_PER_EDIT = Metric(
    name="seconds_per_edit",
    version=1,
    meaning="median seconds of editing one code",
    paper="Khodadadeh et al., WACV 2022",
    unit="second",
    better="lower",
    score=partial(score, column="seconds_per_edit"),
    minimum_faces=0,
    minimum_images=5,
    per_attribute=False,
    bounds=(0.0, inf),
)

SECONDS_PER_EDIT_AND_SYNTHESIS = Metric(
    name="seconds_per_edit_and_synthesis",
    version=1,
    meaning="median seconds of editing one code and generating its image",
    paper="Khodadadeh et al., WACV 2022",
    unit="second",
    better="lower",
    score=partial(score, column="seconds_per_edit_and_synthesis"),
    minimum_faces=0,
    minimum_images=5,
    per_attribute=False,
    bounds=(0.0, inf),
)
