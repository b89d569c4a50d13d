"""Is there a face, where, and what MTCNN sees in it.

Zhang et al., "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks", IEEE Signal
Processing Letters 2016: a proposal net over an image pyramid, then a refining and an output net on candidates.
The three networks and the box arithmetic are facenet-pytorch's; what differs from its `MTCNN.detect` is how a batch
is driven:

- all candidates of a batch are cut out and resized at once, from sums over the image, instead of one by one in
  Python. The sums are whole numbers, so a crop is the same to the last bit in every batch;
- boxes of different images are kept apart by whole-number offsets in float64, where facenet's float32 offsets
  depend on the largest coordinate of the batch and let a box left of its image touch the one before. What one image
  yields thus depends on the others of its batch by nothing but the float noise of the convolutions;
- the pyramid starts at a share of the image, because aligned portraits hold no small faces.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from facenet_pytorch import MTCNN
from facenet_pytorch.models.utils.detect_face import bbreg, generateBoundingBox, imresample, rerec
from torch import Tensor, nn
from torchvision.ops import nms, roi_align

from pipeline.networks import mtcnn_weights

FEATURE_WIDTH = 256
FEATURE_NAME = "mtcnn-onet256"  # the `network` column of distances between identity_features
_NET_CELL = 12  # pixels of the proposal net's window
_PYRAMID_FACTOR = 0.709
_LOT = 64  # candidates per pass of the refining and the output net: what a core holds in its cache


@dataclass(frozen=True)
class Detection:
    """What the detector says of N images.

    found: (N,) bool. probability: (N,) float32 in [0, 1], 0 where there is not even a weak candidate. box: (N, 4)
    float32 left, top, right, bottom in pixels of the image, possibly beyond its frame; the whole image where no
    face was found.
    """

    found: Tensor
    probability: Tensor
    box: Tensor


@dataclass(frozen=True)
class _Candidates:
    """K boxes on the CPU: image (K,) int64, box (K, 4) float32, score (K,) float32."""

    image: Tensor
    box: Tensor
    score: Tensor

    def __getitem__(self, rows: Tensor) -> _Candidates:
        return _Candidates(self.image[rows], self.box[rows], self.score[rows])

    def __len__(self) -> int:
        return len(self.score)


class Detector(nn.Module):
    """MTCNN for batches of aligned portraits of one size.

    min_face_share: smallest face that is looked for, as a share of the image's side. At 0.4 it finds 98.3 % of 1,024
    rendered 64-px faces at probability 0.9; facenet-pytorch's own 20 pixels find 97.9 %, 0.5 only 96.7 %: of the
    pyramid's scales one should show an aligned face, 0.55 of the side wide, at the nets' 12 pixels. threshold:
    smallest probability of a found face. thresholds: those of the three nets (facenet-pytorch's own). largest_side:
    larger images are averaged down to it before the search (faces of a portrait lose nothing by it).
    Raises WeightsError if the wheel's weight files are not those we know.
    """

    def __init__(
        self,
        *,
        min_face_share: float = 0.4,
        threshold: float = 0.9,
        thresholds: tuple[float, float, float] = (0.6, 0.7, 0.7),
        largest_side: int = 256,
    ) -> None:
        super().__init__()
        mtcnn_weights.check()
        mtcnn = MTCNN()
        self.pnet, self.rnet, self.onet = mtcnn.pnet, mtcnn.rnet, mtcnn.onet
        self.min_face_share = min_face_share
        self.threshold = threshold
        self.thresholds = thresholds
        self.largest_side = largest_side
        self.eval().requires_grad_(False)

    @torch.no_grad()
    def detect(self, images: Tensor, *, threshold: float | None = None) -> Detection:
        """The largest face of each image that is at least as probable as `threshold` (default: the constructor's).

        images: (N, 3, H, W) float in [-1, 1]; they are rounded to 8 bits first, as a saved picture would be.
        """
        threshold = self.threshold if threshold is None else threshold
        count, _, height, width = images.shape
        pixels = _eight_bit(images, self.largest_side)
        scale = torch.tensor([width / pixels.shape[3], height / pixels.shape[2]]).repeat(2)
        probability = torch.zeros(count)
        box = torch.tensor([0.0, 0.0, width, height]).repeat(count, 1)
        area = torch.zeros(count)
        faces = self._faces(pixels)
        for image, candidate, score in zip(faces.image.tolist(), faces.box * scale, faces.score.tolist(), strict=True):
            size = float((candidate[2] - candidate[0]) * (candidate[3] - candidate[1]))
            if score >= threshold and size > area[image]:
                area[image], probability[image], box[image] = size, score, candidate
            elif area[image] == 0:
                probability[image] = max(float(probability[image]), score)
        device = images.device
        return Detection((area > 0).to(device), probability.to(device), box.to(device))

    @torch.no_grad()
    def identity_features(self, images: Tensor, boxes: Tensor) -> Tensor:
        """The output net's penultimate activations (N, 256) on each image's box, cut at the frame, as 48 x 48 pixels.

        images: (N, 3, H, W) in [-1, 1]. boxes: (N, 4) in pixels, as `Detection.box`.

        The net and its layer are facenet-pytorch's, the pixels are not: theirs are cut at whole pixels, rounded to 8
        bits and averaged by area, ours are sampled from the image as it is, by `roi_align`. On 40 generated faces the
        two vectors of one box lie .064 apart in cosine distance (.161 at most), and distances of edited from unedited
        faces are smaller here: .022, .036, .063 and .137 for displacements of .05, .15, .4 and .8, where theirs are
        .035, .059, .092 and .173 (Pearson's r .92). So distances by facenet's crop cannot be compared with these.
        """
        height, width = images.shape[2:]
        frame = torch.tensor([width, height, width, height], dtype=images.dtype, device=images.device)
        inside = torch.minimum(boxes.to(images).clamp(min=0.0), frame)
        inside[:, 2:] = torch.maximum(inside[:, 2:], inside[:, :2] + 1.0)
        rows = torch.arange(len(images), device=images.device, dtype=images.dtype)
        crops = roi_align(images, torch.cat([rows[:, None], inside], dim=1), 48, sampling_ratio=-1, aligned=True)
        return self._penultimate(crops * (127.5 / 128.0))

    def _penultimate(self, crops: Tensor) -> Tensor:
        net = self.onet
        x = net.pool1(net.prelu1(net.conv1(crops)))
        x = net.pool2(net.prelu2(net.conv2(x)))
        x = net.pool3(net.prelu3(net.conv3(x)))
        x = net.prelu4(net.conv4(x)).permute(0, 3, 2, 1).flatten(1)
        features: Tensor = net.prelu5(net.dense5(x))
        return features

    def _faces(self, pixels: Tensor) -> _Candidates:
        sums = _sums(pixels)
        candidates = _visible(sums, self._proposals(pixels))
        if len(candidates):
            candidates = _visible(sums, self._refined(sums, candidates))
        return self._final(sums, candidates) if len(candidates) else candidates

    def _scales(self, side: int) -> list[float]:
        scale = 1.0 / self.min_face_share * _NET_CELL / side
        scales = []
        while side * scale >= _NET_CELL:
            scales.append(scale)
            scale *= _PYRAMID_FACTOR
        return scales

    def _proposals(self, pixels: Tensor) -> _Candidates:
        height, width = pixels.shape[2:]
        found, shifts = [], []
        for scale in self._scales(min(height, width)):
            small = imresample(pixels, (int(height * scale + 1), int(width * scale + 1)))
            shift, probability = self.pnet((small - 127.5) / 128.0)
            rows, image = generateBoundingBox(shift, probability[:, 1], scale, self.thresholds[0])
            rows, image = rows.cpu(), image.cpu()
            candidates = _Candidates(image, rows[:, :4], rows[:, 4])
            keep = _suppress(candidates, 0.5)
            found.append(candidates[keep])
            shifts.append(rows[keep, 5:])
        if not found:
            return _Candidates(torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4), torch.zeros(0))
        merged = _Candidates(
            torch.cat([c.image for c in found]), torch.cat([c.box for c in found]), torch.cat([c.score for c in found])
        )
        keep = _suppress(merged, 0.7)
        merged, shift = merged[keep], torch.cat(shifts)[keep]
        size = merged.box[:, 2:] - merged.box[:, :2]
        return _Candidates(merged.image, rerec(merged.box + shift * size.repeat(1, 2)), merged.score)

    def _refined(self, sums: Tensor, candidates: _Candidates) -> _Candidates:
        shift, probability = _judge(self.rnet, sums, candidates, 24)
        keep = probability[:, 1] > self.thresholds[1]
        candidates = _Candidates(candidates.image[keep], candidates.box[keep], probability[keep, 1])
        shift = shift[keep]
        keep = _suppress(candidates, 0.7)
        box = rerec(bbreg(candidates.box[keep], shift[keep]))
        return _Candidates(candidates.image[keep], box, candidates.score[keep])

    def _final(self, sums: Tensor, candidates: _Candidates) -> _Candidates:
        shift, _, probability = _judge(self.onet, sums, candidates, 48)
        keep = probability[:, 1] > self.thresholds[2]
        box = bbreg(candidates.box[keep], shift[keep])
        candidates = _Candidates(candidates.image[keep], box, probability[keep, 1])
        return candidates[_suppress_contained(candidates, 0.7)]


def _eight_bit(images: Tensor, largest_side: int) -> Tensor:
    """Images in [-1, 1] as whole numbers 0 to 255 in float32, averaged down to the largest side."""
    pixels = ((images.float() + 1.0) * 127.5).clamp(0.0, 255.0)
    side = max(images.shape[2:])
    if side > largest_side:
        height, width = (round(length * largest_side / side) for length in images.shape[2:])
        pixels = imresample(pixels, (height, width))
    return pixels.round()


def _sums(pixels: Tensor) -> Tensor:
    """Sums over all pixels above and left, (N, H + 1, W + 1, 3) int32: exact up to 2,900 pixels a side."""
    total = pixels.permute(0, 2, 3, 1).to(torch.int32).cumsum(1, dtype=torch.int32).cumsum(2, dtype=torch.int32)
    return nn.functional.pad(total, (0, 0, 1, 0, 1, 0))


def _edges(start: Tensor, length: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """First and one past last pixel of the `size` cells of adaptive average pooling over a stretch: (K, size)."""
    cells = torch.arange(size)
    first = start[:, None] + cells * length[:, None] // size
    last = start[:, None] + -(-(cells + 1) * length[:, None] // size)
    return first, last


def _crops(sums: Tensor, image: Tensor, start: Tensor, stop: Tensor, size: int) -> Tensor:
    """The stretches of K images, averaged down or repeated up to `size`: (K, 3, size, size), in the nets' range.

    start, stop: (K, 2) whole x and y, stop exclusive. Equal to facenet's `imresample` of each crop.
    """
    length = stop - start
    left, right = (edge[:, None, :].to(sums.device) for edge in _edges(start[:, 0], length[:, 0], size))
    top, bottom = (edge[:, :, None].to(sums.device) for edge in _edges(start[:, 1], length[:, 1], size))
    row = image.to(sums.device)[:, None, None]
    total = sums[row, bottom, right] - sums[row, top, right] - sums[row, bottom, left] + sums[row, top, left]
    mean = total / ((bottom - top) * (right - left))[..., None]
    return ((mean - 127.5) / 128.0).permute(0, 3, 1, 2)


def _corners(sums: Tensor, candidates: _Candidates) -> tuple[Tensor, Tensor]:
    """First and one past last pixel (K, 2), x and y, of each box cut at the frame, by facenet's `pad`."""
    corners = candidates.box.trunc().long()
    frame = torch.tensor([sums.shape[2] - 1, sums.shape[1] - 1])
    return (corners[:, :2] - 1).clamp(min=0), torch.minimum(corners[:, 2:], frame)


def _visible(sums: Tensor, candidates: _Candidates) -> _Candidates:
    """The candidates that lie at least partly in their image."""
    start, stop = _corners(sums, candidates)
    return candidates[(stop > start).all(dim=1)]


def _judge(net: nn.Module, sums: Tensor, candidates: _Candidates, size: int) -> tuple[Tensor, ...]:
    """A net's outputs for the candidates' crops, on the CPU."""
    start, stop = _corners(sums, candidates)
    outputs = []
    for first in range(0, len(candidates), _LOT):
        lot = slice(first, first + _LOT)
        outputs.append(net(_crops(sums, candidates.image[lot], start[lot], stop[lot], size)))
    return tuple(torch.cat(parts).cpu() for parts in zip(*outputs, strict=True))


def _apart(candidates: _Candidates) -> Tensor:
    """Boxes in float64, moved so that those of different images are far apart: exact, whatever the other images."""
    box = candidates.box.double()
    if not len(box):
        return box
    span = torch.ceil(box.max() - box.min()) + 2.0
    return box + (candidates.image * span)[:, None]


def _suppress(candidates: _Candidates, overlap: float) -> Tensor:
    """Rows that survive non-maximum suppression within their image, best first."""
    return nms(_apart(candidates), candidates.score.double(), overlap)


def _suppress_contained(candidates: _Candidates, overlap: float) -> Tensor:
    """As `_suppress`, with the overlap as a share of the smaller box (facenet's "Min"), best first."""
    box = _apart(candidates)
    size = box[:, 2:] - box[:, :2] + 1.0
    area = size.prod(dim=1)
    shared = torch.minimum(box[:, None, 2:], box[None, :, 2:]) - torch.maximum(box[:, None, :2], box[None, :, :2])
    shares = (shared + 1.0).clamp(min=0.0).prod(dim=2) / torch.minimum(area[:, None], area[None, :])
    kept: list[int] = []
    for row in candidates.score.argsort(descending=True, stable=True).tolist():
        if not kept or bool((shares[row, kept] <= overlap).all()):
            kept.append(row)
    return torch.tensor(kept, dtype=torch.int64)
