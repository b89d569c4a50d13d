"""Locality: all inside, spread evenly, nowhere to be inside of."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline.chain.views import local_change
from pipeline.domains.synthface.factors import column, draw_factors
from pipeline.domains.synthface.parts import inside, parts_of
from pipeline.domains.synthface.renderer import render
from pipeline.domains.synthface.truth import make_mapping, truth_factors
from pipeline.metrics.locality import score, score_area
from stylegan.sampling import draw_z
from tests.builders.edit_sets import edit_set


def test_an_edit_inside_its_parts_is_local_and_an_even_one_scores_their_area() -> None:
    before = torch.zeros(3, 3, 8, 8)
    within = torch.zeros(3, 8, 8, dtype=torch.bool)
    within[:, 2:6, 2:4] = True
    inside_only, even, nothing = before.clone(), before + 0.5, before
    inside_only[:, :, 2:6, 2:4] = 0.7
    assert local_change(inside_only, before, within)["local_share"].tolist() == [1.0] * 3
    spread = local_change(even, before, within)
    assert spread["local_share"].tolist() == pytest.approx([8 / 64] * 3)
    assert torch.equal(spread["local_share"], spread["parts_area"])
    assert all(values.isnan().all() for values in local_change(nothing, before, within).values())


def test_a_batch_s_last_digits_are_no_change() -> None:
    """An edit of zero stands in another batch than the unedited image: noop had a locality of .63 by rounding."""
    before = torch.zeros(2, 3, 8, 8)
    after = before.clone()
    after[0, :, 2, 2] = 3e-5
    after[1, :, 2, 2] = 1.7e-3
    found = local_change(after, before, torch.ones(2, 8, 8, dtype=torch.bool))
    assert found
    for values in found.values():
        assert values.isnan().tolist() == [True, False]


def test_the_share_is_that_of_a_slow_loop() -> None:
    rng = np.random.default_rng(1)
    before, after = (torch.from_numpy(rng.random((2, 3, 5, 5), dtype=np.float32)) for _ in range(2))
    within = torch.from_numpy(rng.random((2, 5, 5)) < 0.3)
    found = local_change(after, before, within)["local_share"]
    for image in range(2):
        part = total = 0.0
        for channel in range(3):
            for y in range(5):
                for x in range(5):
                    change = float(after[image, channel, y, x] - before[image, channel, y, x]) ** 2
                    total += change
                    part += change * bool(within[image, y, x])
        assert float(found[image]) == pytest.approx(part / total, rel=1e-5)


def test_a_true_change_of_an_attribute_lies_in_its_parts() -> None:
    """The renderer itself, driven: what it changes of a beard is where `parts_of` says beards are."""
    w = make_mapping().map_to_w(torch.from_numpy(draw_z(3, np.arange(6))))
    faces = truth_factors(w)
    low, high = faces.clone(), faces.clone()
    low[:, column("beard")], high[:, column("beard")] = 0.0, 1.0
    pictures = [render(end, 64).images for end in (low, high)]
    within = parts_of(w, "beard", 64)
    assert within is not None
    assert local_change(pictures[1], pictures[0], within)["local_share"].min() > 0.99
    assert within.float().mean() < 0.4


def test_what_is_everywhere_has_no_outside() -> None:
    w = make_mapping().map_to_w(torch.from_numpy(draw_z(3, np.arange(2))))
    assert parts_of(w, "yaw", 64) is None
    assert parts_of(w, "glasses", 64) is not None


def test_parts_are_blurred_with_the_picture() -> None:
    faces = draw_factors(5, range(4))
    faces[:, column("beard")] = 1.0
    faces[:, column("blur")] = 0.0
    masks = render(faces, 64, masks=True).masks
    assert masks is not None
    sharp = inside(masks, faces, ("beard",))
    faces[:, column("blur")] = 1.0
    soft = inside(masks, faces, ("beard",))
    assert (soft | ~sharp).float().mean() > 0.99
    assert soft.sum() > sharp.sum()


def test_the_score_is_the_mean_over_images_that_changed_and_are_found() -> None:
    share = np.full(60, 0.8, np.float32)
    share[:12] = np.nan
    detected = np.ones(60, dtype=bool)
    detected[12:24] = False
    share[12:24] = 0.0
    (judgement,) = score(edit_set(local_share=share, detected=detected))
    assert judgement.estimate.value == pytest.approx(0.8)
    assert judgement.estimate.n_images == 36


def test_without_a_known_truth_there_is_no_judgement() -> None:
    nothing = np.full(60, np.nan, np.float32)
    edits = edit_set(local_share=nothing, parts_area=nothing)
    assert score(edits) == [] and score_area(edits) == []
