from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from pipeline.errors import WeightsError
from pipeline.networks.efficientnet import CLASSES, FEATURE_WIDTH, LITE1, EfficientNetLite, read_efficientnet
from pipeline.networks.pairs import coordinates, perceptual_distance, separation
from tests.builders import efficientnet_file
from tests.checks import judge_outputs

FILE = "efficientnet-lite0-57934424.pth"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> EfficientNetLite:
    path = tmp_path_factory.mktemp("weights") / FILE
    torch.save(efficientnet_file.state(), path)
    return read_efficientnet(path)


@torch.no_grad()
def test_equal_to_the_published_code(network: EfficientNetLite) -> None:
    """On random weights, and on the published ones where they are at hand."""
    networks = {"random-efficientnet": network}
    path = Path(os.environ.get("LATENTBENCH_WEIGHTS", "/nowhere")) / FILE
    if path.is_file():
        networks["efficientnet"] = read_efficientnet(path)
    assert "random-efficientnet" in networks
    for name, one in networks.items():
        features, logits = one.both(judge_outputs.pictures(224))
        assert features.shape == (2, FEATURE_WIDTH) and logits.shape == (2, CLASSES) and features.min() >= 0
        found = torch.cat([features, logits], dim=1)
        torch.testing.assert_close(found, judge_outputs.outputs(name), rtol=1e-4, atol=1e-5)


def test_maps_from_fine_to_coarse(network: EfficientNetLite) -> None:
    images = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(1)) * 2 - 1
    maps = network.maps(images)
    assert [map.shape[1] for map in maps] == list(network.map_channels)
    assert [map.shape[2] for map in maps] == [112, 56, 28, 14, 7]
    features, logits = network.seen(maps)
    assert torch.equal(features, network.features(images)) and torch.equal(logits, network.logits(images))


def test_an_lpips_without_heads_whose_gradients_pass(network: EfficientNetLite) -> None:
    images = (torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(2)) * 2 - 1).requires_grad_()
    distance = perceptual_distance(network)
    values = distance(images, images.detach().flip(0)).flatten()
    known = coordinates(network.maps(images.detach()))
    torch.testing.assert_close(values.detach(), separation(known, known.flip(0)), rtol=1e-4, atol=1e-5)
    assert values.min() > 0 and distance(images, images).abs().max() == 0
    values.sum().backward()
    assert images.grad is not None and images.grad.abs().sum() > 0


def test_lite1_has_a_block_more_in_each_inner_stage(tmp_path: Path) -> None:
    torch.save(efficientnet_file.state(efficientnet_file.LITE1), tmp_path / "lite1.pth")
    network = read_efficientnet(tmp_path / "lite1.pth", LITE1)
    maps = network.maps(torch.zeros(1, 3, 64, 64))
    assert [tuple(map.shape[1:3]) for map in maps] == [(16, 120), (24, 60), (40, 30), (112, 15), (320, 8)]
    with pytest.raises(WeightsError, match="EfficientNet-Lite0"):
        read_efficientnet(tmp_path / "lite1.pth")


@pytest.mark.parametrize("harm", ["missing", "added", "shape", "no tensor", "a list", "no file"])
def test_other_files_are_refused(harm: str, tmp_path: Path) -> None:
    state: dict = efficientnet_file.state()
    if harm == "missing":
        del state["_blocks.3._bn1.bias"]
    elif harm == "shape":
        state["_fc.bias"] = torch.zeros(3)
    else:
        state["_more"] = torch.zeros(1) if harm == "added" else 1.0
    if harm != "no file":
        torch.save([1] if harm == "a list" else state, tmp_path / FILE)
    with pytest.raises(WeightsError, match=FILE):
        read_efficientnet(tmp_path / FILE)
