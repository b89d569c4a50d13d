"""The truth reader's distance: its unit, what it ignores, and that it is nothing without a unit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from pipeline.errors import WeightsError
from pipeline.networks.files import load_network, save_network
from pipeline.networks.truth_reader import Reader, distance

ARGUMENTS = {"architecture": "residual", "width": 4, "factors": 6, "identity": [1, 4, 5]}


def reader(**buffers: float | list[float]) -> Reader:
    with torch.random.fork_rng():
        torch.manual_seed(2)
        network = Reader(**ARGUMENTS).eval().requires_grad_(False)
    network.head.weight.mul_(100)  # so that untrained readings differ
    given = {"spread": 0.25, "weight": 1.0, "scale": 2.0, "error": 0.3} | buffers
    for name, value in given.items():
        getattr(network, name).copy_(torch.tensor(value))
    return network


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_factors_lie_between_0_and_1(images: Tensor) -> None:
    read = reader()(images)
    assert read.shape == (8, 6)
    assert 0 < read.min() < read.max() < 1


def test_an_image_is_nowhere_from_itself(images: Tensor) -> None:
    coordinates = reader().coordinates(images)
    assert distance(coordinates, coordinates).tolist() == [0.0] * 8


def test_the_distance_by_its_formula(images: Tensor) -> None:
    """Differences of the identity columns alone, over the spread, times the weight, over the scale."""
    spread, weight = [9.0, 0.2, 9.0, 9.0, 0.1, 0.4], [1.0, 0.5, 0.0]
    network = reader(spread=spread, weight=weight, scale=4.0)
    read, coordinates = network(images), network.coordinates(images)
    found = distance(coordinates[:4], coordinates[4:])
    for row in range(4):
        first, second = read[row], read[row + 4]
        squares = [((first[k] - second[k]) / spread[k] * w) ** 2 for k, w in zip((1, 4, 5), weight, strict=True)]
        assert float(found[row]) == pytest.approx(float(sum(squares)) ** 0.5 / 4, rel=1e-4)


def test_without_a_unit_it_refuses(images: Tensor) -> None:
    with pytest.raises(WeightsError, match="latentbench synthface train reader"):
        Reader(**ARGUMENTS).eval().coordinates(images)


def test_the_unit_is_part_of_the_weights(tmp_path: Path, images: Tensor) -> None:
    """What changes a distance changes the sha256, by which every stage knows the reader."""
    one, other = (save_network(reader(scale=s), tmp_path / f"{s}.safetensors", ARGUMENTS, {}) for s in (2.0, 3.0))
    assert one != other
    loaded = load_network(Reader, tmp_path / "3.0.safetensors", torch.device("cpu"))
    torch.testing.assert_close(loaded.coordinates(images) * 3, reader(scale=2.0).coordinates(images) * 2)
    assert float(loaded.error) == pytest.approx(0.3)
