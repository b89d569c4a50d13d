"""The line of one face: rays, levels passed on them, and knots at which a level may be passed unseen."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.chain.matched.lines import Ray, Response

NAN = float("nan")
UP = np.array([1])


def line_of(changes: dict[float, float], *, end: float = 8.0) -> Response:
    line = Response(-end, end, 0.0)
    for strength, change in changes.items():
        line.add(strength, change)
    return line


def doubtful(line: Response, level: float) -> list[float]:
    """The knots above 0 at which a rise to a level may be hidden."""
    ray = line.ray(1)
    levels = np.array([level])
    return line.doubtful(1, ray, UP, levels, ray.passed(UP, levels))


def test_rays_go_outward_from_zero_in_any_order_of_looks() -> None:
    line = line_of({8.0: 3.0, -2.0: -1.0, 2.0: 1.0, -8.0: -4.0})
    up, down = line.ray(1), line.ray(-1)
    assert up.distances.tolist() == down.distances.tolist() == [0.0, 2.0, 8.0]
    assert up.changes.tolist() == [0.0, 1.0, 3.0] and down.changes.tolist() == [0.0, -1.0, -4.0]


def test_a_change_that_is_no_number_is_as_the_next_farther_one() -> None:
    ray = line_of({1.0: 0.5, 2.0: NAN, 4.0: NAN, 8.0: 3.0}).ray(1)
    assert ray.filled.tolist() == [0.0, 0.5, 3.0, 3.0, 3.0]
    assert np.isnan(line_of({1.0: 0.5, 8.0: NAN}).ray(1).filled[-1])


def test_the_first_interval_that_passes_a_level_counts() -> None:
    ray = line_of({1.0: 1.2, 2.0: 0.0, 8.0: 2.2}).ray(1)
    directions, levels = np.array([1, 1, 1, -1]), np.array([1.0, 2.0, 3.0, 0.5])
    assert ray.passed(directions, levels).tolist() == [0, 2, 3, 3]


def test_the_next_look_is_where_a_curve_through_all_looks_has_the_change() -> None:
    distances = np.linspace(0, 8, 9)
    ray = Ray(distances, np.sinh(distances / 4), np.sinh(distances / 4))
    assert ray.expected(5, 1.8) == pytest.approx(4 * np.arcsinh(1.8), abs=0.01)
    assert ray.distance_at(0, ray.filled[1] / 4) == pytest.approx(0.25)
    assert 5.0 < ray.expected(5, ray.filled[5]) < ray.expected(5, ray.filled[6]) < 6.0, "inside, and never at an end"


def test_a_change_that_rises_on_hides_nothing() -> None:
    line = line_of({-8.0: -4.0, -2.0: -1.0, 2.0: 1.0, 8.0: 1.8})
    assert doubtful(line, 2.0) == []
    assert doubtful(line, 1.85) == [4.0], "so near to the last look it may be"
    assert doubtful(line, 1.5) == [], "passed before the last look anyway"


def test_where_a_change_turns_more_may_be_hidden() -> None:
    line = line_of({-8.0: -4.0, -2.0: -1.0, 2.0: 1.0, 8.0: 0.2})
    assert 4.0 in doubtful(line, 1.65)
    assert doubtful(line, 1.85) == [], "a turn of .8 may hide .3 and half of it"


def test_a_knot_with_a_look_near_it_is_left_out() -> None:
    flat = {-8.0: 0.0, -2.0: 0.0, 2.0: 0.0, 8.0: 0.0}
    assert doubtful(line_of(flat), 0.25) == [0.5, 1.0, 4.0]
    assert doubtful(line_of(flat | {3.5: 0.0, 0.9: 0.0}), 0.25) == [0.5]
    assert doubtful(line_of(flat), 0.5) == []


def test_a_ray_without_length_is_not_looked_at() -> None:
    line = Response(0.0, 8.0, 0.0)
    assert line.first_looks() == [2.0, 8.0]
    assert line.doubtful(-1, line.ray(-1), UP, np.array([0.1]), np.array([0])) == []
