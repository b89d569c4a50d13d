"""facenet-pytorch's recognizers on portraits in FFHQ's alignment.

The package's recognizers were trained on crops of its MTCNN at 160 px and margin 0: the face's box, of any shape,
resized to a square and normalised by (pixel - 127.5) / 128. Here the box is the same part of every picture, because
FFHQ's alignment puts the eyes and the mouth of every face at the same positions:

- a fixed crop passes gradients, and recognizer A is part of a training loss;
- an edited face and the unedited face are cropped alike, so their distance depends only on the faces. It does not jump
  when the detector moves its box by some pixels or finds no face.

BOX is the median box of our detector on faces in FFHQ's alignment: 192 generated faces of domain synthface at 256 px,
made symmetric (measured: 0.242, 0.190, 0.749, 0.861; the boxes of single faces differ from it by 0.04 to 0.08).
docs/howto/ffhq.md has more.
"""

from __future__ import annotations

from facenet_pytorch import InceptionResnetV1
from torch import Tensor, nn
from torch.nn import functional

BOX = (0.24, 0.19, 0.76, 0.87)  # left, top, right, bottom, as shares of the side
SIZE = 160


class AlignedRecognizer(nn.Module):
    """Images (N, 3, H, H) in [-1, 1], in FFHQ's alignment -> embeddings (N, 512) of unit norm; differentiable."""

    dimensions = 512

    def __init__(self, network: InceptionResnetV1) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return self.network(standardised(face_of(images)))


def face_of(images: Tensor) -> Tensor:
    """The crop of `facenet_pytorch.extract_face` at BOX, 160 px and margin 0: (N, 3, H, H) -> (N, 3, 160, 160).

    As in the package, the box is cut at whole pixels. Resizing is bilinear with antialiasing as in PIL, but without
    PIL's rounding to 8 bits.
    """
    side = images.shape[-1]
    left, top, right, bottom = (int(share * side) for share in BOX)
    face = images[:, :, top:bottom, left:right]
    return functional.interpolate(face, size=(SIZE, SIZE), mode="bilinear", align_corners=False, antialias=True)


def standardised(images: Tensor) -> Tensor:
    """facenet-pytorch's `fixed_image_standardization`, (pixel - 127.5) / 128, for images in [-1, 1]."""
    return images * (127.5 / 128.0)
