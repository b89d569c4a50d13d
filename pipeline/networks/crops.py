"""Where published face networks look in portraits in FFHQ's alignment: fixed boxes, one for each kind of network.

Each package finds a face with a detector of its own and cuts it by its own rule. FFHQ's alignment puts every face at
the same position, so the median box of that rule serves for all faces: it passes gradients, cuts an edited face and the
unedited face alike, and does not jump (`pipeline.networks.aligned` says more). Boxes are left, top, right, bottom as
shares of the side, and square.

Measured on 96 generated faces in that alignment (64 with truncation 0.7, 32 without), by the packages themselves; then
made square and symmetric:

- LANDMARKS: face-api's detector cuts (0.188, 0.231, 0.781, 0.900), of any shape. This box is a little larger: in it the
  eyes scatter least, and yaw and pitch agree best with the mesh of the other package.
- ALIGNED: face-api cuts the box of the 68 landmarks, enlarged by a fifth, (0.147, 0.325, 0.835, 0.961), for age, sex
  and emotions, and fills it up to a square with black bars. Here the square shows the image.
- DESCRIPTOR: dlib's alignment, a square of the distance between eyes and mouth over 0.45, (0.163, 0.273, 0.825, 0.935).
- HUMAN: @vladmandic/human enlarges its detector's box by 1.4 for all its networks, (0.051, 0.146, 0.946, 1.042). That
  reaches below the picture, where the package puts black; here the box is moved up to the edge.

Readings through these boxes against the packages' own, same faces: age 2.6 years apart in the mean (correlation 0.98)
for face-api, 3.2 (0.94) for human; sex correlates at 0.96 and 0.99; descriptors are 0.14 from each other where two
persons are 0.77 apart (face-api), and 0.05 in cosine distance where two persons are 0.58 apart (human).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

Box = tuple[float, float, float, float]

LANDMARKS: Box = (0.13, 0.22, 0.87, 0.96)
ALIGNED: Box = (0.145, 0.30, 0.835, 0.99)
DESCRIPTOR: Box = (0.165, 0.27, 0.825, 0.93)
HUMAN: Box = (0.05, 0.105, 0.945, 1.0)


class CroppedRecognizer(nn.Module):
    """Images (N, 3, H, H) in [-1, 1], in FFHQ's alignment -> embeddings (N, dimensions) of unit norm; differentiable.

    `network` maps faces to descriptors of any norm. The distance of two faces is 1 - cosine, as for every recognizer.
    Descriptors of all faces lie to one side of the origin, so that the distance of two persons is 0.12 for face-api's
    recognizer and 0.58 for human's, in the median. `centre` (dimensions,), the mean descriptor of many faces, is
    subtracted first: then it is about 1 for both, and the mirrored image of a face remains as much nearer.
    """

    centre: Tensor

    def __init__(self, network: nn.Module, box: Box, dimensions: int, centre: Tensor | None = None) -> None:
        super().__init__()
        self.network, self.box, self.dimensions = network, box, dimensions
        self.register_buffer("centre", torch.zeros(dimensions) if centre is None else centre.detach().float())

    def descriptors(self, images: Tensor) -> Tensor:
        """Descriptors (N, dimensions) as the network gives them; their mean over many faces is a `centre`."""
        descriptors: Tensor = self.network(cut(images, self.box)).float()
        return descriptors

    def forward(self, images: Tensor) -> Tensor:
        return functional.normalize(self.descriptors(images) - self.centre, dim=1)


def cut(images: Tensor, box: Box) -> Tensor:
    """The part of images (N, 3, H, H) in a square box, at whole pixels and in its resolution: (N, 3, S, S).

    >>> import torch
    >>> cut(torch.zeros(1, 3, 256, 256), HUMAN).shape
    torch.Size([1, 3, 229, 229])
    """
    side = images.shape[-1]
    left, top = int(box[0] * side), int(box[1] * side)
    size = round((box[2] - box[0]) * side)
    return images[:, :, top : top + size, left : left + size]


def on_image(points: Tensor, box: Box) -> Tensor:
    """Points (N, P, 2 or 3) as shares of the box's side -> as shares of the image's side; z is only scaled."""
    side = box[2] - box[0]
    corner = points.new_tensor((box[0], box[1], 0.0)[: points.shape[-1]])
    return corner + points * side
