"""Every face of a photograph, with its five landmarks: facenet-pytorch's MTCNN as it is.

`pipeline.networks.detector` is for batches of aligned portraits; here faces may be anywhere and of any size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from facenet_pytorch import MTCNN
from torch import Tensor, nn

from pipeline.images import resize, to_uint8
from pipeline.networks import mtcnn_weights

LARGEST_SIDE = 1024  # photographs are searched at no more pixels a side
SMALLEST_SHARE = 0.1  # of the shorter side: smaller faces are bystanders


@dataclass(frozen=True)
class FoundFace:
    """A face: its probability in [0, 1], and landmarks (5, 2) as `pipeline.inversion.alignment` takes them."""

    probability: float
    landmarks: np.ndarray


class LandmarkFinder(nn.Module):
    """MTCNN over whole photographs. Raises WeightsError if the wheel's weight files are not those we know."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        mtcnn_weights.check()
        self.mtcnn = MTCNN(keep_all=True, device=device).eval()

    @torch.no_grad()
    def find(self, photo: Tensor, *, threshold: float) -> list[FoundFace]:
        """Faces of one photograph (3, H, W) in [-1, 1] that are at least so probable, the largest first.

        Landmarks are x, y in the photograph's pixels, whole numbers at pixel centres: eye at the left, eye at the
        right, nose, mouth's corners left and right, as the picture shows them.
        """
        height, width = photo.shape[1:]
        scale = min(1.0, LARGEST_SIDE / max(height, width))
        small = resize(photo[None], (round(height * scale), round(width * scale)))
        self.mtcnn.min_face_size = max(20, round(SMALLEST_SHARE * min(small.shape[2:])))
        _, probabilities, points = self.mtcnn.detect(to_uint8(small)[0].cpu().numpy(), landmarks=True)
        if points is None:
            return []
        ratio = np.array([width / small.shape[3], height / small.shape[2]])
        found = zip(np.asarray(probabilities, float), np.asarray(points, float), strict=True)
        return [FoundFace(float(p), (at + 0.5) * ratio - 0.5) for p, at in found if p >= threshold]
