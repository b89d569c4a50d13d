"""Face detection on batches of aligned portraits, and identity features of the faces: MTCNN.

Zhang et al., "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks", IEEE Signal
Processing Letters 2016: a proposal net over an image pyramid, then a refinement net and an output net on candidates.
The three networks and the box arithmetic are facenet-pytorch's. Differences from its `MTCNN.detect`:

- all candidates of a batch are cropped and resized together instead of one by one in Python: rows of cumulative sums
  down the image, times a mask of columns. The sums are integers, so a crop is bit-identical in every batch;
- boxes of different images are separated by integer offsets in float64. facenet's float32 offsets depend on the
  largest coordinate in the batch, and a box left of its image can touch the previous image's boxes. Here an image's
  result depends on its batch only through the float noise of the convolutions;
- the image pyramid starts at a share of the image, because aligned portraits have no small faces.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from facenet_pytorch import MTCNN
from facenet_pytorch.models.utils.detect_face import bbreg, generateBoundingBox, imresample, rerec
from torch import Tensor, nn
from torchvision.ops import nms, roi_align

from pipeline.networks import mtcnn_weights

FEATURE_WIDTH = 256
FEATURE_NAME = "mtcnn-onet256"  # the `network` column of distances between identity_features
_NET_CELL = 12  # window size of the proposal net in pixels
_PYRAMID_FACTOR = 0.709
_AT_ONCE = {24: 64, 48: 16}  # crop size -> candidates per pass of its net; their activations fit into a core's cache


@dataclass(frozen=True)
class Detection:
    """The detector's results for N images.

    found: (N,) bool. probability: (N,) float32 in [0, 1], 0 without any candidate. box: (N, 4) float32 left, top,
    right, bottom in pixels of the image, possibly outside of it; the whole image if no face was found.
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

    min_face_share: size of the smallest detectable face, as a share of the image's side. At 0.4 the detector finds
    98.3 % of 1,024 rendered 64-px faces with probability 0.9, with facenet-pytorch's default of 20 pixels 97.9 %, at
    0.5 only 96.7 %: one of the pyramid's scales should show an aligned face, 0.55 of the side wide, at the nets' 12
    pixels. threshold: smallest probability of a face. thresholds: smallest probabilities in the three nets
    (facenet-pytorch's defaults). largest_side: larger images are reduced to it by averaging; a portrait's face remains
    large enough. Raises WeightsError if the weight files in the wheel have another sha256.
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
        """The largest face of each image with at least the probability `threshold` (default: the constructor's).

        images: (N, 3, H, W) float in [-1, 1]; they are rounded to 8 bits first, as if saved to a file.
        """
        threshold = self.threshold if threshold is None else threshold
        count, _, height, width = images.shape
        pixels = _eight_bit(images, self.largest_side)
        scale = torch.tensor([width / pixels.shape[3], height / pixels.shape[2]]).repeat(2)
        probability = torch.zeros(count)
        box = torch.tensor([0.0, 0.0, width, height]).repeat(count, 1)
        area = torch.zeros(count)
        faces = self._faces(pixels)
        boxes = faces.box * scale
        sizes = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
        rows = zip(faces.image.tolist(), sizes.tolist(), faces.score.tolist(), boxes, strict=True)
        for image, size, score, candidate in rows:
            if score >= threshold and size > area[image]:
                area[image], probability[image], box[image] = size, score, candidate
            elif area[image] == 0:
                probability[image] = max(float(probability[image]), score)
        device = images.device
        return Detection((area > 0).to(device), probability.to(device), box.to(device))

    @torch.no_grad()
    def identity_features(self, images: Tensor, boxes: Tensor) -> Tensor:
        """The output net's penultimate activations (N, 256) on each box, clipped to the image, as 48 x 48 pixels.

        images: (N, 3, H, W) in [-1, 1]. boxes: (N, 4) in pixels, as `Detection.box`.

        The net and its layer are facenet-pytorch's, but the crop differs. facenet cuts at whole pixels, rounds to 8
        bits and averages by area; this function samples the unrounded image with `roi_align`. On 40 generated faces
        the two feature vectors of one box are .064 apart in cosine distance (at most .161). Distances of edited from
        unedited faces are smaller here: .022, .036, .063 and .137 for displacements of .05, .15, .4 and .8, with
        facenet's crop .035, .059, .092 and .173 (Pearson's r .92). The two kinds of distances are not comparable.
        """
        height, width = images.shape[2:]
        frame = torch.tensor([width, height, width, height], dtype=images.dtype, device=images.device)
        inside = torch.minimum(boxes.to(images).clamp(min=0.0), frame)
        inside[:, 2:] = torch.maximum(inside[:, 2:], inside[:, :2] + 1.0)
        rows = torch.arange(len(images), device=images.device, dtype=images.dtype)
        crops = roi_align(images, torch.cat([rows[:, None], inside], dim=1), 48, sampling_ratio=-1, aligned=True)
        return self._penultimate(crops * (127.5 / 128.0))

    def _penultimate(self, crops: Tensor) -> Tensor:
        parts = [_flat(_convolved(self.onet, part)) for part in crops.split(_AT_ONCE[48])]
        return self.onet.prelu5(self.onet.dense5(torch.cat(parts)))

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
        proposals, shifts = [], []
        for scale in self._scales(min(height, width)):
            small = imresample(pixels, (int(height * scale + 1), int(width * scale + 1)))
            seen = _convolved(self.pnet, (small - 127.5) / 128.0)
            probability = self.pnet.softmax4_1(self.pnet.conv4_1(seen))[:, 1]
            rows, image = generateBoundingBox(self.pnet.conv4_2(seen), probability, scale, self.thresholds[0])
            rows, image = rows.cpu(), image.cpu()
            candidates = _Candidates(image, rows[:, :4], rows[:, 4])
            keep = _suppress(candidates, 0.5)
            proposals.append(candidates[keep])
            shifts.append(rows[keep, 5:])
        if not proposals:
            return _Candidates(torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4), torch.zeros(0))
        merged = _Candidates(
            torch.cat([proposal.image for proposal in proposals]),
            torch.cat([proposal.box for proposal in proposals]),
            torch.cat([proposal.score for proposal in proposals]),
        )
        keep = _suppress(merged, 0.7)
        merged, shift = merged[keep], torch.cat(shifts)[keep]
        size = merged.box[:, 2:] - merged.box[:, :2]
        return _Candidates(merged.image, rerec(merged.box + shift * size.repeat(1, 2)), merged.score)

    def _refined(self, sums: _Sums, candidates: _Candidates) -> _Candidates:
        net = self.rnet
        seen = net.prelu4(net.dense4(_seen(net, sums, candidates, 24)))
        probability, shift = net.softmax5_1(net.dense5_1(seen))[:, 1].cpu(), net.dense5_2(seen).cpu()
        keep = probability > self.thresholds[1]
        candidates = _Candidates(candidates.image[keep], candidates.box[keep], probability[keep])
        shift = shift[keep]
        keep = _suppress(candidates, 0.7)
        box = rerec(bbreg(candidates.box[keep], shift[keep]))
        return _Candidates(candidates.image[keep], box, candidates.score[keep])

    def _final(self, sums: _Sums, candidates: _Candidates) -> _Candidates:
        net = self.onet
        seen = net.prelu5(net.dense5(_seen(net, sums, candidates, 48)))
        probability, shift = net.softmax6_1(net.dense6_1(seen))[:, 1].cpu(), net.dense6_2(seen).cpu()
        keep = probability > self.thresholds[2]
        box = bbreg(candidates.box[keep], shift[keep])
        candidates = _Candidates(candidates.image[keep], box, probability[keep])
        return candidates[_suppress_contained(candidates, 0.7)]


def _eight_bit(images: Tensor, largest_side: int) -> Tensor:
    """Images in [-1, 1] as whole numbers 0 to 255 in float32, reduced by averaging to at most `largest_side`."""
    pixels = ((images.float() + 1.0) * 127.5).clamp(0.0, 255.0)
    side = max(images.shape[2:])
    if side > largest_side:
        height, width = (round(length * largest_side / side) for length in images.shape[2:])
        pixels = imresample(pixels, (height, width))
    return pixels.round()


@dataclass(frozen=True)
class _Sums:
    """Images as cumulative sums of columns: rows (N * 3 * (H + 1), W) float32; row y sums the y pixels above it.

    A pixel counts 2 * value - 255, so that a mean of them / 256 is in the nets' range. Sums are integers below 2^24,
    hence exact, in images up to 65,000 pixels high.
    """

    rows: Tensor
    height: int

    @property
    def width(self) -> int:
        """Pixels of a row."""
        return self.rows.shape[1]


def _sums(pixels: Tensor) -> _Sums:
    """The cumulative sums of images of whole numbers 0 to 255, (N, 3, H, W)."""
    total = nn.functional.pad((2 * pixels - 255).cumsum(2), (0, 0, 1, 0))
    return _Sums(total.flatten(0, 2), pixels.shape[2])


def _edges(longest: int, size: int) -> tuple[Tensor, Tensor]:
    """First pixel, and pixel after the last, of the cells that pool n pixels to `size`: row n, (longest + 1, size)."""
    length, cells = torch.arange(longest + 1)[:, None], torch.arange(size)
    return cells * length // size, -(-(cells + 1) * length // size)


def _crops(sums: _Sums, image: Tensor, start: Tensor, stop: Tensor, size: int) -> Iterator[Tensor]:
    """The stretches of K images, averaged down or repeated up to `size`: (3, size, size) each, in the nets' range.

    start, stop: (K, 2) whole x and y, stop exclusive. Equal to facenet's `imresample` of each crop. They come in parts
    of as many as a pass takes.
    """
    first, last = _edges(max(sums.width, sums.height), size)
    device, length = sums.rows.device, stop - start
    low, high = ((start[:, :, None] + edge[length]).to(device) for edge in (first, last))  # (K, x and y, size)
    side = (high - low).float()
    origin = (3 * image[:, None, None] + torch.arange(3)[:, None]).to(device) * (sums.height + 1)
    top, bottom = ((origin + edge[:, None, 1]) for edge in (low, high))  # (K, 3, size)
    from_column = torch.ones(sums.width + 1, sums.width, device=device).triu()  # row x: 1 from column x on
    for part in torch.arange(len(image), device=device).split(_AT_ONCE[size]):
        rows = _between(sums.rows, top[part], bottom[part]).flatten(1, 2)
        columns = _between(from_column, high[part, 0], low[part, 0])
        total = (rows @ columns.transpose(1, 2)).unflatten(1, (3, size))
        yield total.div_(256.0 * (side[part, 1, :, None] * side[part, 0, None, :])[:, None])


def _between(rows: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Differences of the rows `high` and `low`."""
    found = rows.index_select(0, high.flatten())
    found -= rows.index_select(0, low.flatten())
    return found.unflatten(0, high.shape)


def _corners(sums: _Sums, candidates: _Candidates) -> tuple[Tensor, Tensor]:
    """First and one past last pixel (K, 2), x and y, of each box cut at the frame, by facenet's `pad`."""
    corners = candidates.box.trunc().long()
    frame = torch.tensor([sums.width, sums.height])
    return (corners[:, :2] - 1).clamp(min=0), torch.minimum(corners[:, 2:], frame)


def _visible(sums: _Sums, candidates: _Candidates) -> _Candidates:
    """The candidates that overlap their image."""
    start, stop = _corners(sums, candidates)
    return candidates[(stop > start).all(dim=1)]


def _seen(net: nn.Module, sums: _Sums, candidates: _Candidates, size: int) -> Tensor:
    """What a net's convolutions make of the candidates' crops: one row each."""
    crops = _crops(sums, candidates.image, *_corners(sums, candidates), size)
    return torch.cat([_flat(_convolved(net, part)) for part in crops])


def _convolved(net: nn.Module, x: Tensor) -> Tensor:
    """`x` after the net's layers up to the first dense one, or up to the heads of the proposal net.

    On a CPU the layers run in oneDNN's blocked layout: torch's pooling is slower in any other.
    """
    blocked = x.device.type == "cpu" and torch.backends.mkldnn.is_available()
    x = x.to_mkldnn() if blocked else x
    for name, layer in net.named_children():
        if isinstance(layer, nn.Linear) or name == "conv4_1":
            break
        x = layer(x)
    return x.to_dense() if blocked else x


def _flat(x: Tensor) -> Tensor:
    """Rows in the order of facenet's dense layers: x, y, channel."""
    return x.permute(0, 3, 2, 1).flatten(1)


def _apart(candidates: _Candidates) -> Tensor:
    """Boxes in float64, shifted by an integer per image so that boxes of different images do not overlap; exact."""
    box = candidates.box.double()
    if not len(box):
        return box
    span = torch.ceil(box.max() - box.min()) + 2.0
    return box + (candidates.image * span)[:, None]


def _suppress(candidates: _Candidates, overlap: float) -> Tensor:
    """Indices of the boxes kept by non-maximum suppression within each image, most probable first."""
    return nms(_apart(candidates), candidates.score.double(), overlap)


def _suppress_contained(candidates: _Candidates, overlap: float) -> Tensor:
    """`_suppress` with the overlap measured as a share of the smaller box (facenet's "Min")."""
    box = _apart(candidates)
    size = box[:, 2:] - box[:, :2] + 1.0
    area = size.prod(dim=1)
    shared = torch.minimum(box[:, None, 2:], box[None, :, 2:]) - torch.maximum(box[:, None, :2], box[None, :, :2])
    contained = (shared + 1.0).clamp(min=0.0).prod(dim=2) / torch.minimum(area[:, None], area[None, :]) > overlap
    kept, suppressed = [], np.zeros(len(box), dtype=bool)
    for row in candidates.score.argsort(descending=True, stable=True).tolist():
        if not suppressed[row]:
            kept.append(row)
            suppressed |= contained[row].numpy()
    return torch.tensor(kept, dtype=torch.int64)
