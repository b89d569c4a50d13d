"""face-api's networks equal its own runtime, on random weights and, where they are at hand, on the published ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline.errors import WeightsError
from pipeline.networks.face_api.dense import read_emotions, read_landmarks
from pipeline.networks.face_api.resnet import read_recognizer
from pipeline.networks.face_api.xception import read_age_sex
from tests.builders import tfjs_files
from tests.checks import judge_outputs

READERS: dict[str, tuple[int, Callable[[Path, Path], nn.Module]]] = {
    "age_gender": (112, read_age_sex),
    "face_expression": (112, read_emotions),
    "face_landmark_68": (112, read_landmarks),
    "face_recognition": (150, read_recognizer),
}


def as_rows(result: Tensor | tuple[Tensor, Tensor]) -> Tensor:
    """Outputs as the package prints them."""
    if isinstance(result, tuple):
        age, male = result
        return torch.stack([age, male, 1 - male], dim=1)
    return result.flatten(1)


@pytest.mark.parametrize("kind", READERS)
def test_equal_to_its_own_runtime(kind: str, tmp_path: Path) -> None:
    size, read = READERS[kind]
    images = judge_outputs.pictures(size)
    files = judge_outputs.face_api(kind, tmp_path)
    assert f"random-{kind}" in files
    for name, pair in files.items():
        network = read(*pair)
        assert not network.training and not any(parameter.requires_grad for parameter in network.parameters())
        torch.testing.assert_close(as_rows(network(images)), judge_outputs.outputs(name), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("kind", READERS)
def test_gradients_reach_images_of_any_size(kind: str, tmp_path: Path) -> None:
    size, read = READERS[kind]
    network = read(*tfjs_files.write(tmp_path, kind, tfjs_files.face_api(kind)))
    images = torch.rand(1, 3, 200, 200, generator=torch.Generator().manual_seed(1)).requires_grad_()
    as_rows(network(images))[:, 0].sum().backward()
    assert images.grad is not None and images.grad.abs().amax(dim=1).gt(0).float().mean() > 0.5


@pytest.mark.parametrize("kind", READERS)
def test_other_networks_are_refused(kind: str, tmp_path: Path) -> None:
    other = "face_landmark_68" if kind != "face_landmark_68" else "age_gender"
    files = tfjs_files.write(tmp_path, kind, tfjs_files.face_api(other))
    with pytest.raises(WeightsError, match=rf"{kind}\.bin does not hold"):
        READERS[kind][1](*files)


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("harm", ["missing", "added", "shape", "axes"])
def test_damaged_networks_are_refused(kind: str, harm: str, tmp_path: Path) -> None:
    tensors = tfjs_files.face_api(kind)
    name = next(name for name in tensors if name.endswith("filters"))
    if harm == "missing":
        del tensors[name]
    elif harm == "added":
        tensors["else/bias"] = (np.zeros(3, "<f4"), None)
    else:
        stored, quantization = tensors[name]
        tensors[name] = (stored[:1] if harm == "shape" else stored[0, 0, 0], quantization)
    with pytest.raises(WeightsError, match=rf"{kind}\.bin"):
        READERS[kind][1](*tfjs_files.write(tmp_path, kind, tensors))
