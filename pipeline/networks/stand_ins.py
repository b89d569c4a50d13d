"""Stand-ins for the networks of `pipeline.networks.official`: the same shapes with random weights, to try the program.

Numbers computed with them mean nothing.
"""

from __future__ import annotations

import warnings

import torch
from facenet_pytorch import InceptionResnetV1
from torch import Tensor, nn

from pipeline.networks.inception import CLASSES, FEATURE_WIDTH, SIZE


class _Inception(nn.Module):
    """The interface of inception-2015-12-05.pt, as TorchScript: `layers`, `output`, and the options of `forward`."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 48, 7, 4),
            nn.ReLU(),
            nn.Conv2d(48, 128, 5, 4),
            nn.ReLU(),
            nn.Conv2d(128, FEATURE_WIDTH, 3, 4),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(1),
        )
        self.output = nn.Linear(FEATURE_WIDTH, CLASSES)
        self.size = SIZE

    def forward(
        self, img: Tensor, return_features: bool = False, use_fp16: bool = False, no_output_bias: bool = False
    ) -> Tensor:
        small = nn.functional.interpolate(img.float(), size=[self.size, self.size], mode="bilinear")
        features = self.layers((small - 128.0) / 128.0)
        if return_features:
            return features
        logits = features @ self.output.weight.t() if no_output_bias else self.output(features)
        return logits.softmax(dim=1)


def inception(seed: int) -> torch.jit.ScriptModule:
    """A small network with the interface of clean-fid's Inception."""
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch deprecates TorchScript, the published file's format
        torch.manual_seed(seed)
        scripted: torch.jit.ScriptModule = torch.jit.script(_Inception().eval())
    return scripted


def alexnet_features(seed: int) -> dict[str, Tensor]:
    """The convolutions of torchvision's AlexNet, the only part that lpips uses."""
    import torchvision

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        features = torchvision.models.alexnet(weights=None).features.state_dict()
    return {f"features.{name}": value for name, value in features.items()}


def recognizer(seed: int) -> dict[str, Tensor]:
    """facenet-pytorch's InceptionResnetV1, without the classifier over training persons."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        state: dict[str, Tensor] = InceptionResnetV1(pretrained=None).state_dict()
    return state
