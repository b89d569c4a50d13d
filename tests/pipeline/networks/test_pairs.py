from __future__ import annotations

import numpy as np
import pytest
import torch
from pytorch_msssim import ssim

from pipeline.networks.pairs import LARGE, coordinates, perceptual_distance, separation, structural_similarity
from pipeline.networks.perception import Perception


@pytest.fixture(scope="module")
def perception() -> Perception:
    torch.manual_seed(0)
    return Perception(32, 5).eval()


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1


@torch.no_grad()
def test_an_image_is_like_itself(perception, images):
    assert perceptual_distance(perception)(images, images).abs().max() < 1e-6
    torch.testing.assert_close(structural_similarity(images, images), torch.ones(4))


@torch.no_grad()
def test_perceptual_distance_by_its_formula(perception, images):
    """Zhang et al.: normalise over channels, square the difference, average over positions, add up the layers."""
    others = images.flip(0)
    total = torch.zeros(4)
    for one, other in zip(perception.maps(images), perception.maps(others), strict=True):
        one, other = (map / map.norm(dim=1, keepdim=True).clamp(min=1e-10) for map in (one, other))
        total += (one - other).square().sum(dim=1).mean(dim=(1, 2))
    found = perceptual_distance(perception)(images, others)
    assert found.shape == (4, 1, 1, 1)
    torch.testing.assert_close(found.flatten(), total, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_coordinates_of_an_image_know_its_distance_from_every_other(perception, images):
    known = coordinates(perception.maps(images))
    for shift in range(4):
        expected = perceptual_distance(perception)(images, images.roll(shift, dims=0)).flatten()
        found = separation(known, known.roll(shift, dims=0))
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-7)
        assert (found.max() == 0) == (shift == 0)


def test_making_it_draws_nothing_from_the_global_generator(images):
    torch.manual_seed(3)
    expected = torch.rand(1)
    net = Perception(8, 3).eval()
    torch.manual_seed(3)
    perceptual_distance(net)
    assert torch.equal(torch.rand(1), expected)


def test_it_is_made_once_per_net(perception):
    assert perceptual_distance(perception) is perceptual_distance(perception)


def test_similarity_falls_with_noise(images):
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(2))
    values = [structural_similarity(images, (images + scale * noise).clamp(-1, 1)).mean() for scale in (0.1, 0.5, 2.0)]
    assert 1 > values[0] > values[1] > values[2]


def test_similarity_by_its_formula():
    """Constant images: only the luminance term is left."""
    one, other = torch.full((1, 3, 16, 16), -0.5), torch.full((1, 3, 16, 16), 0.5)
    x, y, c1 = 0.25, 0.75, 0.01**2
    assert float(structural_similarity(one, other)) == pytest.approx((2 * x * y + c1) / (x**2 + y**2 + c1), abs=1e-3)


def test_similarity_by_an_independent_reference():
    rng = np.random.default_rng(0)
    x, y = rng.random((2, 14, 14))
    position = np.arange(11) - 5
    window = np.exp(-(position**2) / (2 * 1.5**2))
    window = np.outer(window, window) / window.sum() ** 2
    values = []
    for top in range(4):
        for left in range(4):
            a, b = (image[top : top + 11, left : left + 11] for image in (x, y))
            mx, my = (window * a).sum(), (window * b).sum()
            vx, vy = (window * a * a).sum() - mx**2, (window * b * b).sum() - my**2
            cov = (window * a * b).sum() - mx * my
            c1, c2 = 0.01**2, 0.03**2
            values.append((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    pair = [torch.from_numpy(image).float().expand(1, 3, 14, 14) * 2 - 1 for image in (x, y)]
    assert float(structural_similarity(*pair)) == pytest.approx(np.mean(values), abs=1e-4)


@torch.no_grad()
def test_large_images_are_compared_as_the_package_compares_them() -> None:
    """On a CPU they go by strips; the last strip is shorter."""
    rng = torch.Generator().manual_seed(4)
    images = torch.rand(2, 3, 275, 301, generator=rng) * 2 - 1
    images[1] = torch.nn.functional.avg_pool2d(images[1], 5, 1, 2)
    others = (images + 0.3 * torch.randn(images.shape, generator=rng)).clamp(-1, 1)
    expected = ssim((images.double() + 1) / 2, (others.double() + 1) / 2, data_range=1.0, size_average=False)
    assert images.shape[-1] > LARGE and 0.1 < expected.min() < expected.max() < 0.99
    torch.testing.assert_close(structural_similarity(images, others).double(), expected, rtol=0, atol=5e-6)
    torch.testing.assert_close(structural_similarity(images, images), torch.ones(2), rtol=0, atol=0)
