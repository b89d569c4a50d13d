"""Verification of what is drawn: the population, the renderer, the networks and the generator have known answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pipeline import attributes
from pipeline.domains.synthface.factors import FACTOR_NAMES, FACTORS, N_FACTORS, PARTS, draw_factors
from pipeline.domains.synthface.renderer import render
from pipeline.domains.synthface.truth import make_mapping
from pipeline.domains.synthface.verification import generator as made
from pipeline.domains.synthface.verification import latent_space as space
from pipeline.domains.synthface.verification import population, samples
from pipeline.domains.synthface.verification import renderer as drawn
from pipeline.domains.synthface.verification.figures import Figure, exit_code
from pipeline.domains.synthface.verification.networks import images_per_second, quality, size_figures
from stylegan.generator import Generator
from stylegan.mapping import MappingNetwork


@pytest.fixture(scope="module")
def mapping() -> MappingNetwork:
    return make_mapping().requires_grad_(False)


# The population


def test_rank_correlations_are_scipys() -> None:
    from scipy.stats import spearmanr

    values = np.random.default_rng(8).integers(0, 4, (200, 3)).astype(float)
    assert np.allclose(population.rank_correlations(values), spearmanr(values).statistic)


def test_the_population_meets_its_bars_and_a_shuffled_one_does_not() -> None:
    values = population.drawn(population.DRAWS)
    assert exit_code(population.figures(values)) == 0
    rng = np.random.default_rng(9)
    shuffled = np.stack([rng.permutation(column) for column in values.T], axis=1)
    common = population.correlation_figures(shuffled)[0]
    assert common.passes is False and common.figure > 0.3
    assert exit_code(population.quantile_figures(shuffled)) == 0
    wrong = values.copy()
    wrong[:, attributes.INDEX["age"]] *= 0.8
    missed = [row.subject for row in population.quantile_figures(wrong) if not row.passes]
    assert missed == ["age"]


# The renderer


def test_changes_inside_and_outside() -> None:
    low, high = torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)
    within = torch.zeros(1, 4, 4, dtype=torch.bool)
    within[:, :2] = True
    high[:, :, :2], high[:, :, 2:] = 1.0, 0.1
    inside, outside, local = drawn.changes(low, high, within)
    assert (inside, outside) == pytest.approx((0.5, 0.05))
    assert local == pytest.approx(0.25 / (0.25 + 0.0025))
    assert drawn.changes(low, low, within) == (0.0, 0.0, 0.0)


def test_a_blurred_face_has_wider_parts() -> None:
    faces = draw_factors(samples.FACTOR_SEED, range(4))
    masks = render(faces, 64, masks=True).masks
    assert masks is not None
    blur = FACTOR_NAMES.index("blur")
    sharp, soft = (drawn.inside(masks, drawn.driven(faces, blur, value), ("mouth",)) for value in (0.0, 1.0))
    assert sharp.sum() < soft.sum() < 0.2 * soft.numel()
    assert drawn.inside(masks, faces, PARTS).all()


class Brightness(torch.nn.Module):
    """Answers an image's mean for every attribute, and the negative of it for the first."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        mean = images.mean(dim=(1, 2, 3))[:, None].repeat(1, 35)
        mean[:, 0] *= -1
        return mean


@pytest.mark.parametrize(("name", "steps"), [("sunglasses", 2), ("exposure", 9)])
def test_an_attribute_is_driven_alone(name: str, steps: int) -> None:
    index = attributes.INDEX[name]
    one = drawn.drive(index, 12, Brightness())  # type: ignore[arg-type]
    assert len(one.scores) == steps
    sign = -1 if name == "sunglasses" else 1
    assert drawn.monotone(one).figure == pytest.approx(sign)
    assert drawn.local(one).passes
    seen = drawn.visible(one)
    assert seen.passes is (None if FACTORS[index].parts == PARTS else True)


def test_a_curve_that_turns_back_is_not_monotone() -> None:
    def rank(*scores: float) -> Figure:
        return drawn.monotone(drawn.Drive(0, 0.1, 0.1, 0.0, 1.0, scores, 200))

    rising = tuple(range(9))
    assert rank(*rising).figure == pytest.approx(1)
    assert rank(0, 1, 2, 3, 4, 5, 6, 8, 7).passes
    assert not rank(0, 1, 2, 3, 4, 5, 6, 5.5, 4.5).passes
    assert not rank(*[0.5] * 9).passes


def test_rendering_repeats_itself() -> None:
    assert drawn.digest(8) == drawn.digest(8) != drawn.digest(9)


# Networks and generator


def test_quality_is_r2_or_the_area_under_the_curve() -> None:
    truth = np.random.default_rng(10).random((200, 35))
    values = quality(truth, truth)
    assert np.allclose(values, 1)
    gender = attributes.INDEX["gender"]
    assert quality(1 - truth, truth)[gender] == pytest.approx(0)
    truth[:, gender] = 0
    assert np.isnan(quality(truth, truth)[gender])


def test_the_files_are_weighed() -> None:
    (row,) = size_figures()
    assert row.limit == 60 and 0 < row.figure < 1000


def test_a_generator_has_a_speed() -> None:
    tiny = Generator(resolution=8, channels={4: 4, 8: 4}).eval().requires_grad_(False)
    assert images_per_second(tiny, rounds=1, seconds=0.01) > 0


def test_pixels_are_those_of_sets() -> None:
    tiny = Generator(resolution=8, channels={4: 4, 8: 4}).eval().requires_grad_(False)
    w = samples.draw_w(tiny.mapping, 1, 40)
    pixels = samples.pixels_of(tiny, w)
    expected = tiny.synthesis(tiny.mapping.broadcast(w)).clamp(-1, 1)
    assert pixels.dtype == np.uint8 and pixels.shape == (40, 3, 8, 8)
    seen = samples.judged(lambda images: images, pixels)
    assert (seen - expected).abs().max() < 1 / 127


def test_the_nearest_pair_and_pictures_of_one_person() -> None:
    points = torch.nn.functional.normalize(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [-1.0, 0.0]]), dim=1)
    assert made.nearest(points) == pytest.approx(0)
    assert made.nearest(points[[0, 1, 3]]) == pytest.approx(1)
    assert made.same_identity(points, 2).tolist() == pytest.approx([1.0, 1.0])


def test_the_fid_limit_and_its_yardstick() -> None:
    assert made.fid_limit(2.0, 100.0) == pytest.approx(1.5 * 2 + 2)
    checker = torch.ones(1, 3, 8, 8)
    checker[..., ::2] = -1
    assert made.coarse(checker).abs().max() == 0
    assert torch.equal(made.coarse(torch.full((1, 3, 8, 8), 0.25)), torch.full((1, 3, 8, 8), 0.25))


def test_the_truth_has_every_factor(mapping: MappingNetwork) -> None:
    w = samples.draw_w(mapping, 3, 10)
    assert space.truth_of(w).shape == (10, N_FACTORS)
    assert space.normals_of(w).shape == (10, 35)
