from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pipeline.attributes import NAMES
from pipeline.errors import WeightsError
from pipeline.networks.efficientnet import LITE0, read_efficientnet
from pipeline.networks.files import save_network
from pipeline.networks.lite_scorer import LiteHead, LiteScorer, features, read_lite_scorer, reduced
from tests.builders import efficientnet_file


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> LiteScorer:
    folder = tmp_path_factory.mktemp("scorer")
    trunk, head = folder / "trunk.pth", folder / "head.safetensors"
    torch.save(efficientnet_file.state(), trunk)
    inputs = sum(group.shape[1] for group in features(read_efficientnet(trunk, LITE0), torch.zeros(1, 3, 64, 64)))
    with torch.random.fork_rng():
        torch.manual_seed(1)
        network = LiteHead("efficientnet-lite0", inputs)
    save_network(network, head, {"trunk": "efficientnet-lite0", "inputs": inputs}, {"role": "scorer_a"})
    return read_lite_scorer(head, trunk, torch.device("cpu"))


def pictures(side: int) -> torch.Tensor:
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(side)) * 2 - 1


def test_values_of_images_of_any_size_and_gradients(scorer: LiteScorer) -> None:
    images = pictures(512).requires_grad_()
    values = scorer(images)
    assert values.shape == (2, len(NAMES)) and 0 < values.min() and values.max() < 1
    torch.testing.assert_close(values, scorer.logits(images).sigmoid())
    values.sum().backward()
    assert images.grad is not None and images.grad.abs().sum() > 0
    assert scorer(pictures(64)).shape == (2, len(NAMES)) and scorer(pictures(300)).shape == (2, len(NAMES))


def test_large_images_are_read_as_their_averages_are(scorer: LiteScorer) -> None:
    """Heads are trained on pictures of 256 px; the generator makes 1,024."""
    images = pictures(1024)
    small = images.unfold(2, 4, 4).unfold(3, 4, 4).mean(dim=(4, 5))
    torch.testing.assert_close(reduced(images), small)
    torch.testing.assert_close(scorer(images), scorer(small))


def test_features_are_in_groups_that_know_where(scorer: LiteScorer) -> None:
    groups = features(scorer.trunk, pictures(224))
    widths = [group.shape[1] for group in groups]
    assert widths == [1280, 784, 784, 1176, 1176, 1960, 1960, 5488, 5488, 5120] and sum(widths) == 25216
    image = torch.zeros(1, 3, 224, 224)
    dotted = image.clone()
    dotted[:, :, :20, :20] = 1
    fine, changed = (features(scorer.trunk, each)[1].view(16, 7, 7) for each in (image, dotted))
    moved = (fine - changed).abs().sum(dim=0)
    assert moved[0, 0] > 0 and moved[3:, 3:].max() == 0


def test_a_head_of_another_trunk_is_refused(tmp_path: Path) -> None:
    torch.save(efficientnet_file.state(efficientnet_file.LITE1), tmp_path / "lite1.pth")
    network, arguments = LiteHead("efficientnet-lite0", 4), {"trunk": "efficientnet-lite0", "inputs": 4}
    save_network(network, tmp_path / "head.safetensors", arguments, {"role": "scorer_a"})
    with pytest.raises(WeightsError, match="EfficientNet-Lite0"):
        read_lite_scorer(tmp_path / "head.safetensors", tmp_path / "lite1.pth", torch.device("cpu"))
