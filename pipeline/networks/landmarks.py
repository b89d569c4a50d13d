"""All faces of a photograph with five landmarks each: facenet-pytorch's MTCNN, unchanged.

Faces may have any position and size. `pipeline.networks.detector` is for batches of aligned portraits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from facenet_pytorch import MTCNN
from torch import Tensor, nn

from pipeline.images import resize, to_uint8
from pipeline.networks import mtcnn_weights

LARGEST_SIDE = 1024  # in pixels; larger photographs are reduced before the search
SMALLEST_SHARE = 0.1  # of the shorter side; smaller faces belong to bystanders


@dataclass(frozen=True)
class FoundFace:
    """A face: its probability in [0, 1], and landmarks (5, 2), x and y in pixels, as `inversion.alignment` expects."""

    probability: float
    landmarks: np.ndarray


class LandmarkFinder(nn.Module):
    """MTCNN on whole photographs. Raises WeightsError if the weight files in the wheel have another sha256."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        mtcnn_weights.check()
        self.mtcnn = MTCNN(keep_all=True, device=device).eval()

    @torch.no_grad()
    def find(self, photo: Tensor, *, threshold: float) -> list[FoundFace]:
        """The faces of a photograph (3, H, W) in [-1, 1] with at least the probability `threshold`, largest first.

        Landmarks are x, y in pixels of the photograph, whole numbers at pixel centres, in this order: left eye, right
        eye, nose, left and right corner of the mouth; left and right as seen in the picture.
        """
        height, width = photo.shape[1:]
        scale = min(1.0, LARGEST_SIDE / max(height, width))
        small = resize(photo[None], (round(height * scale), round(width * scale)))
        self.mtcnn.min_face_size = max(20, round(SMALLEST_SHARE * min(small.shape[2:])))
        _, probabilities, points = self.mtcnn.detect(to_uint8(small)[0].cpu().numpy(), landmarks=True)
        if points is None:
            return []
        ratio = np.array([width / small.shape[3], height / small.shape[2]])
        faces = zip(np.asarray(probabilities, float), np.asarray(points, float), strict=True)
        return [FoundFace(float(p), (xy + 0.5) * ratio - 0.5) for p, xy in faces if p >= threshold]
