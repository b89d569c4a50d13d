"""The distance up to which a recognizer takes two images for one person, at a given rate of false accepts.

Of four persons on a circle, 0, 10, 40 and 100 degrees, the nearest two of six pairs are 10 degrees apart:

>>> import numpy as np
>>> from pipeline.statistics.false_accepts import acceptance_distance
>>> angles = np.deg2rad([0.0, 10.0, 40.0, 100.0])
>>> persons = np.stack([np.cos(angles), np.sin(angles)], axis=1)
>>> distance = acceptance_distance(persons, 0.0)
>>> round(float(np.rad2deg(np.arccos(1 - distance))), 6)
10.0
"""

from __future__ import annotations

import numpy as np

ROWS = 256  # images whose distances to all later ones are held at a time


def acceptance_distance(persons: np.ndarray, false_accept_rate: float) -> float:
    """The cosine distance within which that share of all pairs of different images lies.

    persons (N, D): embeddings of unit norm, N >= 2. It is the quantile, linearly interpolated, of all N (N - 1) / 2
    distances in float64. Only the smallest are kept, up to the quantile: block by block of rows, what is larger than
    the largest kept is dropped.
    """
    exact = persons.astype(np.float64)
    position = false_accept_rate * (len(exact) * (len(exact) - 1) // 2 - 1)
    needed = int(position) + 2  # the interpolation reads the values at both sides
    smallest = np.empty(0)
    for start in range(0, len(exact), ROWS):
        distances = 1 - exact[start : start + ROWS] @ exact[start:].T
        later = np.triu(np.ones(distances.shape, dtype=bool), 1)
        if len(smallest) == needed:
            later &= distances <= smallest.max()
        smallest = np.concatenate([smallest, distances[later]])
        if len(smallest) > needed:
            smallest = np.partition(smallest, needed - 1)[:needed]
    return float(np.interp(position, np.arange(len(smallest)), np.sort(smallest)))
