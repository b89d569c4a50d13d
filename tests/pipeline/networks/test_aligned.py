"""Recognizers see what facenet-pytorch would cut out, and pass gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from facenet_pytorch.models.mtcnn import fixed_image_standardization
from facenet_pytorch.models.utils.detect_face import extract_face
from PIL import Image
from torch import nn

from pipeline.images import resize, to_uint8
from pipeline.networks.aligned import BOX, AlignedRecognizer, face_of, standardised
from pipeline.networks.resized import ResizedScorer
from pipeline.networks.scorer import Scorer


def pictures(side: int) -> torch.Tensor:
    """Two smooth pictures."""
    rough = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(side)) * 2 - 1
    return resize(rough, side)


@pytest.mark.parametrize("side", [64, 256, 512])
def test_the_face_is_cut_out_as_facenet_does(side: int) -> None:
    """To about a grey level, which is PIL's rounding to 8 bits after each of its two passes."""
    images = pictures(side)
    theirs = [extract_face(Image.fromarray(pixels), np.array(BOX) * side) for pixels in to_uint8(images).numpy()]
    ours = (face_of(images) + 1) * 127.5
    torch.testing.assert_close(ours, torch.stack(theirs), rtol=0, atol=1.5)
    wanted = fixed_image_standardization((images + 1) * 127.5)
    torch.testing.assert_close(standardised(images), wanted, rtol=0, atol=1e-5)


def test_a_recognizer_passes_gradients_from_within_the_box_alone() -> None:
    network = AlignedRecognizer(nn.Sequential(nn.AvgPool2d(40), nn.Flatten(1)))
    images = pictures(100).requires_grad_()
    network(images).square().sum().backward()
    assert images.grad is not None
    reached = images.grad.abs().sum(dim=(0, 1)) > 0
    rows, columns = reached.any(dim=1).nonzero()[:, 0], reached.any(dim=0).nonzero()[:, 0]
    assert (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1) == (24, 19, 76, 87)


def test_a_scorer_sees_its_own_resolution() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        scorer = Scorer("residual", 4).eval()
    network = ResizedScorer(scorer, 32)
    images = pictures(32)
    assert torch.equal(network(images), scorer(images))
    large = pictures(128).requires_grad_()
    values = network(large)
    assert torch.equal(values, scorer(resize(large, 32))) and values.shape == (2, 35)
    values.sum().backward()
    assert large.grad is not None and (large.grad.abs() > 0).float().mean() > 0.9  # antialiased: every pixel counts
