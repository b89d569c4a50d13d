"""The image at a lower resolution, and the loss that images are regressed by."""

from __future__ import annotations

import pytest
import torch

from stylegan.generator import Generator
from stylegan.training import detail, detail_loss, image_at, pixel_loss


@pytest.fixture(scope="module")
def generator() -> Generator:
    torch.manual_seed(0)
    return Generator(resolution=16, z_dim=8, w_dim=8, channels={4: 6, 8: 5, 16: 4}, mapping_layers=2)


def test_the_image_at_full_resolution_is_the_synthesis(generator: Generator) -> None:
    ws = generator.mapping(torch.randn(3, 8))
    assert torch.equal(image_at(generator.synthesis, ws, 16), generator.synthesis(ws))


def test_an_image_at_lower_resolution_leaves_later_blocks_out(generator: Generator) -> None:
    ws = generator.mapping(torch.randn(3, 8)).detach()
    image_at(generator.synthesis, ws, 8).sum().backward()
    touched = {name.split(".")[0] for name, value in generator.synthesis.named_parameters() if value.grad is not None}
    assert touched == {"b4", "b8"}
    generator.zero_grad()


def test_equal_images_lose_nothing_and_an_offset_loses_its_size_and_square() -> None:
    images = torch.rand(2, 3, 8, 8)
    assert pixel_loss(images, images) == 0
    assert pixel_loss(images + 0.5, images) == pytest.approx(0.5 + 0.25)


def test_a_wrong_edge_costs_more_than_a_wrong_level() -> None:
    images = torch.zeros(1, 3, 8, 8)
    striped = images.clone()
    striped[..., ::2] = 0.5
    striped[..., 1::2] = -0.5
    assert pixel_loss(striped, images) > 1.5 * pixel_loss(images + 0.5, images)


def test_squares_weigh_what_is_missing_as_a_whole() -> None:
    images = torch.zeros(1, 3, 8, 8)
    missing, soft = images.clone(), images + 0.0625
    missing[..., :2, :2] = 1.0  # the same absolute error, in one place
    one, many = (pixel_loss(missing, images, squares=s) - pixel_loss(soft, images, squares=s) for s in (1.0, 8.0))
    assert many - one == pytest.approx(7 * (1 / 16 - 0.0625**2), rel=1e-4)


def test_detail_is_lost_by_softening_but_not_by_moving_it() -> None:
    noise = 0.2 * torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    soft = torch.nn.functional.avg_pool2d(noise, 3, 1, 1)
    moved = noise.view(2, 3, 8, 4, 8, 4).roll((2, 2), dims=(3, 5)).reshape(noise.shape)
    assert detail_loss(noise, noise) == 0
    assert detail(soft).mean() < 0.5 * detail(noise).mean()
    assert detail_loss(moved, noise) < 0.5 * detail_loss(soft, noise)


def test_an_even_image_has_no_detail_and_a_slope() -> None:
    even = torch.full((1, 3, 8, 8), 0.3, requires_grad=True)
    strength = detail(even)
    assert strength.shape == (1, 3, 2, 2)
    assert float(strength.detach().max()) == pytest.approx(0.01, abs=1e-6)
    strength.sum().backward()
    assert even.grad is not None
    assert torch.isfinite(even.grad).all()
