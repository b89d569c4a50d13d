"""The search for equal changes finds strengths that are known, and says why where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.chain.matched.lines import FIRST, KNOTS
from pipeline.chain.matched.search import JUMP, WEAK, Crossings, Targets, find_crossings

LEVELS = (0.5, 1.0, 1.5, 2.0)


class Response:
    """A known change of each face; counts the images that it would take."""

    def __init__(self, function) -> None:
        self.function, self.images, self.seen = function, 0, []

    def __call__(self, strengths: np.ndarray, rows: np.ndarray) -> np.ndarray:
        self.images += len(strengths)
        self.seen.append(strengths)
        return self.function(strengths, rows)


def search(function, faces: int = 1, *, end: float = 8.0, start: float = 0.0, **more) -> tuple[Crossings, Targets]:
    targets = Targets.of(faces, LEVELS)
    ends = np.full(faces, end)
    options = {"rounds": 20, "tolerance": 0.01} | more
    starts = np.full(faces, start)
    return find_crossings(function, -ends, ends, starts, targets, **options), targets


def test_targets_are_every_face_direction_and_level() -> None:
    targets = Targets.of(3, LEVELS)
    keys = list(zip(targets.rows, targets.directions, targets.levels, strict=True))
    assert keys == [(row, way, level) for row in range(3) for way in (1, -1) for level in LEVELS]


@pytest.mark.parametrize("slope", [0.7, -0.7, 3.0])
def test_a_linear_response_is_found_where_it_must_be(slope: float) -> None:
    found, targets = search(lambda strengths, rows: slope * (1 + rows) * strengths, faces=3)
    wanted = targets.directions * targets.levels / (slope * (1 + targets.rows))
    assert np.abs((found.strengths - wanted) * slope * (1 + targets.rows)).max() <= 0.01
    assert found.reached.all() and set(found.unreached) == {""}


def test_the_unit_of_strength_does_not_matter() -> None:
    small, _ = search(lambda strengths, _: 0.7 * strengths)
    large, _ = search(lambda strengths, _: 0.7 * strengths / 1000, end=8000.0)
    np.testing.assert_allclose(large.strengths, 1000 * small.strengths, rtol=1e-9)


def test_curved_responses_agree_with_a_fine_scan() -> None:
    """The first crossing on a fine grid, face by face: the slow way to say the same."""
    rng = np.random.default_rng(3)
    gain, bend = rng.uniform(1.5, 4, 20), rng.uniform(0.1, 1.5, 20)

    def change(strengths: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return gain[rows] * np.tanh(bend[rows] * strengths + 0.05 * strengths**2)

    found, targets = search(change, faces=20)
    reached = np.isfinite(found.strengths)
    assert reached.any() and not reached.all()
    grid = np.linspace(0, 8, 40_001)
    for strength, row, way, level in zip(
        found.strengths, targets.rows, targets.directions, targets.levels, strict=True
    ):
        rays = [way * change(sign * grid, np.full(len(grid), row)) for sign in (1.0, -1.0)]
        if max(ray.max() for ray in rays) < level:
            assert np.isnan(strength)
            continue
        assert way * change(np.array([strength]), np.array([row]))[0] == pytest.approx(level, abs=0.01)
        before = rays[0 if strength > 0 else 1][grid < abs(strength)]
        assert before.max() <= level + 0.01, "no smaller strength would have done"


def test_no_response_is_weak_and_costs_no_more_than_the_grid() -> None:
    nothing = Response(lambda strengths, _: np.zeros(len(strengths)))
    found, _ = search(nothing, faces=3)
    assert not found.reached.any() and set(found.unreached) == {WEAK}
    assert nothing.images <= 3 * 2 * len(FIRST + KNOTS)


def test_what_stops_short_of_a_level_is_weak_from_there_on() -> None:
    found, targets = search(lambda strengths, _: 1.2 * np.tanh(strengths))
    assert (found.reached == (targets.levels <= 1.0)).all()


def test_no_strength_beyond_the_ends_is_looked_at() -> None:
    response = Response(lambda strengths, _: 0.2 * strengths)
    found, targets = search(response, end=6.0)
    assert (found.reached == (targets.levels <= 1.0)).all()
    assert max(np.abs(seen).max() for seen in response.seen) <= 6.0


def test_a_leap_over_a_level_is_told_and_not_taken_for_it() -> None:
    found, targets = search(lambda strengths, _: np.where(np.abs(strengths) < 1.234, 0.0, 1.25 * np.sign(strengths)))
    assert set(found.unreached[targets.levels < 1.25]) == {JUMP}
    assert set(found.unreached[targets.levels > 1.25]) == {WEAK}


def test_of_a_response_that_turns_back_the_smallest_strength_is_taken() -> None:
    found, targets = search(lambda strengths, _: 1.2 * np.sin(strengths), end=8.0)
    low = (targets.levels == 1.0) & (targets.directions == 1)
    assert found.strengths[low] == pytest.approx(np.arcsin(1 / 1.2), abs=0.03)


def test_where_both_signs_move_it_alike_the_smaller_strength_is_taken() -> None:
    found, targets = search(lambda strengths, _: np.where(strengths > 0, 0.5, -2.0) * strengths)
    up = targets.directions == 1
    np.testing.assert_allclose(found.strengths[up], -targets.levels[up] / 2, atol=0.01)
    assert set(found.unreached[~up]) == {WEAK}, "nothing lowers it"


def test_an_edit_of_zero_that_moves_already_is_followed_from_there() -> None:
    found, targets = search(lambda strengths, _: 0.7 + 0.5 * strengths, start=0.7)
    wanted = (targets.directions * targets.levels - 0.7) / 0.5
    np.testing.assert_allclose(found.strengths, wanted, atol=0.02)


def test_a_change_that_is_no_number_is_never_reached() -> None:
    found, _ = search(lambda strengths, _: np.where(np.abs(strengths) > 0.3, np.nan, 0.0))
    assert not found.reached.any()
    found, targets = search(lambda strengths, _: np.where(strengths % 1, np.nan, strengths))
    assert np.isin(found.strengths[found.reached], targets.directions * targets.levels).all()


def test_few_images_are_enough_for_a_smooth_response() -> None:
    response = Response(lambda strengths, _: 2.5 * np.tanh(strengths / 2))
    found, targets = search(response, faces=50, tolerance=0.02)
    assert found.reached.all()
    assert response.images / len(targets.rows) < 2.3, "ten knots and Illinois for each target took 3.3"


def passed_on_grid(function, row: int, way: int, level: float, grid: np.ndarray) -> bool:
    """Whether a change passes a level on either ray, seen at the strengths of a grid only."""
    return any((way * function(sign * grid, np.full(len(grid), row)) >= level).any() for sign in (1.0, -1.0))


def test_a_response_that_turns_is_missed_no_more_often_than_on_a_fixed_grid() -> None:
    """Rising responses with waves on them, of which the five knots on either ray see what they see."""
    rng = np.random.default_rng(8)
    faces = 60
    slope, height, length, shift = (rng.uniform(low, high, faces) for low, high in ((-1, 1), (0, 1), (3, 12), (0, 6)))

    def change(strengths: np.ndarray, rows: np.ndarray) -> np.ndarray:
        wave = np.sin(2 * np.pi * strengths / length[rows] + shift[rows]) - np.sin(shift[rows])
        return 3 * np.tanh(slope[rows] * strengths / 3) + height[rows] * wave

    response = Response(change)
    found, targets = search(response, faces=faces, tolerance=0.05)
    keys = list(zip(targets.rows, targets.directions, targets.levels, strict=True))
    fine = np.array([passed_on_grid(change, *key, np.linspace(0, 8, 2001)) for key in keys])
    coarse = np.array([passed_on_grid(change, *key, 8.0 * np.array(KNOTS + FIRST)) for key in keys])
    assert (fine & ~coarse).any(), "else the grid misses nothing"
    assert (fine & ~found.reached).sum() <= (fine & ~coarse).sum()
    assert response.images < faces * 19


def test_what_is_not_sought_costs_nothing() -> None:
    response = Response(lambda strengths, _: strengths)
    sought = Targets.of(2, LEVELS).rows == 1
    found, targets = search(response, faces=2, sought=sought)
    assert found.reached.tolist() == sought.tolist() and set(found.unreached[~sought]) == {WEAK}
    alone, _ = search(other := Response(lambda strengths, _: strengths))
    assert response.images == other.images and alone.strengths.tolist() == found.strengths[sought].tolist()


def test_more_rounds_than_needed_change_nothing() -> None:
    one, _ = search(lambda strengths, _: np.sinh(strengths), rounds=20)
    other, _ = search(lambda strengths, _: np.sinh(strengths), rounds=60)
    assert one.strengths.tolist() == other.strengths.tolist()
