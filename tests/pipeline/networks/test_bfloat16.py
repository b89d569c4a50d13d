"""Every architecture that judges, with its convolutions in bfloat16: answers, gradients, folded normalisations."""

from __future__ import annotations

import copy

import pytest
import torch
from facenet_pytorch import InceptionResnetV1
from torch import nn

from pipeline.domains import base
from pipeline.networks.bfloat16 import in_bfloat16
from pipeline.networks.perception import Perception
from pipeline.networks.recognizer import Recognizer
from pipeline.networks.scorer import Scorer
from pipeline.settings.experiment import BFLOAT16, FULL


def trained(network: nn.Module) -> nn.Module:
    """The network with normalisations that are not the identity, in evaluation mode, frozen."""
    rng = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean = 0.1 * torch.randn(module.num_features, generator=rng)
            module.running_var = 0.5 + torch.rand(module.num_features, generator=rng)
    return network.eval().requires_grad_(False)


NETWORKS = {
    "residual": lambda: Scorer("residual", 4),
    "plain": lambda: Recognizer("plain", 4, 8),
    "resnet18": lambda: Scorer("resnet18", 64),
    "mobilenet": lambda: Scorer("mobilenet_v3_large", 16),
    "facenet": lambda: InceptionResnetV1(pretrained=None),
    "squeezenet": lambda: Perception(16, 4),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_answers_are_those_of_float32_up_to_rounding(name: str) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        plain = trained(NETWORKS[name]())
    narrow = in_bfloat16(copy.deepcopy(plain))
    side = 96 if name == "facenet" else 64
    images = torch.randn(4, 3, side, side, generator=torch.Generator().manual_seed(2))
    expected, found = plain(images), narrow(images)
    assert found.dtype == torch.float32
    assert 0 < (found - expected).norm() < 0.05 * expected.norm()
    norms = [sum(isinstance(part, nn.BatchNorm2d) for part in network.modules()) for network in (plain, narrow)]
    assert norms[1] < norms[0] / 2


@pytest.mark.parametrize("role", ["scorer_a", "recognizer_a"])
def test_gradients_of_the_networks_in_losses_are_those_of_float32_up_to_rounding(role: str) -> None:
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(2)) - 0.5
    slopes = []
    for network in (getattr(base.load("synthface", "cpu", precision), role) for precision in (FULL, BFLOAT16)):
        of_images = images.clone().requires_grad_()
        answers = network(of_images)
        weights = torch.randn(answers.shape, generator=torch.Generator().manual_seed(3))
        slopes.append(torch.autograd.grad((answers * weights).sum(), of_images)[0].flatten())
    assert 0.97 < torch.cosine_similarity(*slopes, dim=0) < 1


def test_what_has_no_convolution_stays() -> None:
    assert in_bfloat16(None) is None
    layer = nn.Linear(2, 2)
    assert in_bfloat16(layer).weight.dtype == torch.float32
