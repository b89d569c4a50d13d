from __future__ import annotations

import pytest
import torch
from torch import nn

from pipeline.networks import crops


@pytest.mark.parametrize("box", [crops.LANDMARKS, crops.ALIGNED, crops.DESCRIPTOR, crops.HUMAN])
@pytest.mark.parametrize("side", [64, 256, 1024])
def test_boxes_are_square_and_in_the_picture(box: crops.Box, side: int) -> None:
    assert 0 <= box[0] < box[2] <= 1 and 0 <= box[1] < box[3] <= 1
    assert box[2] - box[0] == pytest.approx(box[3] - box[1], abs=0.001)
    size = round((box[2] - box[0]) * side)
    assert crops.cut(torch.zeros(1, 3, side, side), box).shape == (1, 3, size, size)


def test_points_return_to_where_they_were_cut() -> None:
    images = torch.zeros(1, 3, 100, 100)
    images[0, :, 60, 30] = 1
    face = crops.cut(images, (0.1, 0.2, 0.9, 1.0))
    y, x = (int(axis) for axis in face[0, 0].nonzero()[0])
    points = torch.tensor([[[x / 80, y / 80, 0.5]]])
    torch.testing.assert_close(crops.on_image(points, (0.1, 0.2, 0.9, 1.0)), torch.tensor([[[0.3, 0.6, 0.4]]]))
    flat = crops.on_image(points[..., :2], (0.1, 0.2, 0.9, 1.0))
    torch.testing.assert_close(flat, torch.tensor([[[0.3, 0.6]]]))


def test_a_recognizer_sees_its_box_and_answers_unit_vectors() -> None:
    network = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(1))
    recognizer = crops.CroppedRecognizer(network, crops.DESCRIPTOR, 12)
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    embeddings = recognizer(images)
    assert embeddings.shape == (2, recognizer.dimensions)
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(2))
    embeddings[:, 0].sum().backward()
    assert images.grad is not None
    inside = crops.cut(images.grad.abs(), crops.DESCRIPTOR).sum()
    assert inside > 0
    torch.testing.assert_close(inside, images.grad.abs().sum())


def test_a_centre_spreads_descriptors_that_lie_to_one_side() -> None:
    network = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(1))
    images = torch.rand(50, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    plain = crops.CroppedRecognizer(network, crops.HUMAN, 12)
    centred = crops.CroppedRecognizer(network, crops.HUMAN, 12, plain.descriptors(images).mean(dim=0))
    distances = [1 - (network(images) @ network(images).T).mean() for network in (plain, centred)]
    assert distances[0] < 0.01 and distances[1] == pytest.approx(1, abs=0.01)
