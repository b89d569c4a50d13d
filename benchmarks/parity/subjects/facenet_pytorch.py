"""facenet-pytorch: MTCNN's boxes, the crops that its nets see, and what goes into InceptionResnetV1."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from benchmarks.parity.comparison import Checkout, Comparison, Measured, Subject
from benchmarks.parity.embedded import codes_z, domain
from benchmarks.parity.loading import folder, theirs
from benchmarks.parity.measures import largest

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

FACES, SHARE, THRESHOLD = 40, 0.4, 0.9
PHOTOGRAPH_SIDE = 160
PIXELS = 1e-3  # that boxes may be apart
LEVEL = 2 / 255  # an 8-bit level of images in [-1, 1]


@lru_cache(maxsize=1)
def generated() -> Tensor:
    """Generated faces (40, 3, 64, 64)."""
    import torch

    generator = domain().generator
    with torch.inference_mode():
        found: Tensor = generator(torch.from_numpy(codes_z(FACES)))
    return found.clone().clamp(-1, 1)


@lru_cache(maxsize=1)
def photographs() -> Tensor:
    """The checkout's aligned photographs at 160 px, (N, 3, 160, 160)."""
    import numpy as np
    from PIL import Image

    from pipeline.images import from_uint8

    paths = sorted((folder() / "data" / "test_images_aligned").glob("*/*.png"))
    size = (PHOTOGRAPH_SIDE, PHOTOGRAPH_SIDE)
    pixels = [np.array(Image.open(path).convert("RGB").resize(size)) for path in paths]
    return from_uint8(np.stack(pixels))


def detector_of(side: int) -> Any:
    """Their MTCNN that looks for faces as small as ours does."""
    return theirs("models.mtcnn").MTCNN(min_face_size=SHARE * side, device="cpu")


def boxes(images: Tensor, *, together: bool) -> Measured:
    """Boxes in pixels and probabilities of the largest face of each image; found by one and not the other: infinite.

    Where several candidates of a face have the very same probability, the last suppression may keep another of them:
    their box is then compared with the nearest of our tied ones, and `ours` counts such faces.
    """
    from pipeline.images import to_uint8
    from pipeline.networks.detector import Detector

    pixels, mtcnn = to_uint8(images), detector_of(images.shape[-1])
    batches = [pixels] if together else pixels.split(1)
    answers = [mtcnn.detect(batch) for batch in batches]
    known = [row for found, _ in answers for row in found]
    scores = [row for _, found in answers for row in found]
    detector = Detector(min_face_share=SHARE)
    own, candidates = detector.detect(images, threshold=THRESHOLD), unsuppressed(detector, images)
    worst, seen, ties = 0.0, 0, 0
    for place, (box, score) in enumerate(zip(known, scores, strict=True)):
        best = None if box is None else first_above(box, score)
        if (best is None) == bool(own.found[place]):
            return Measured(float("inf"), f"image {place}: found {bool(own.found[place])}", f"found {best is not None}")
        if best is not None:
            seen += 1
            apart = largest(own.box[place], best[0])
            tied = [box for box, score in candidates[place] if score == float(own.probability[place])]
            if apart > PIXELS and len(tied) > 1:
                ties += 1
                apart = min(largest(box, best[0]) for box in tied)
            worst = max(worst, apart, abs(float(own.probability[place]) - best[1]))
    return Measured(worst, f"{seen} faces of {len(images)}, {ties} by ties")


def unsuppressed(detector: Any, images: Tensor) -> list[list[tuple[Any, float]]]:
    """Per image, boxes and probabilities of all that our detector finds before its last suppression."""
    import torch

    from pipeline.networks import detector as module

    suppress = module._suppress_contained
    module._suppress_contained = lambda candidates, _: torch.arange(len(candidates))
    try:
        with torch.no_grad():
            found = detector._faces(module._eight_bit(images, detector.largest_side))
    finally:
        module._suppress_contained = suppress
    answer: list[list[tuple[Any, float]]] = [[] for _ in images]
    for image, box, score in zip(found.image.tolist(), found.box, found.score.tolist(), strict=True):
        answer[image].append((box, score))
    return answer


def first_above(box: np.ndarray, score: np.ndarray) -> tuple[Any, float] | None:
    """The first, and so the largest, of their boxes that is probable enough."""
    for one, probability in zip(box, score, strict=True):
        if probability >= THRESHOLD:
            return one.astype(float), float(probability)
    return None


def penultimate(crops: Tensor) -> Tensor:
    """The vectors (N, 256) before their output net's last layers."""
    import torch

    net, kept = detector_of(64).onet, []
    net.prelu5.register_forward_hook(lambda _, __, answer: kept.append(answer))
    with torch.no_grad():
        net(crops)
    return torch.cat(kept)


def vectors() -> Measured:
    """The same crops in both output nets."""
    import torch

    from pipeline.networks.detector import Detector

    crops = torch.nn.functional.interpolate(generated(), size=(48, 48), mode="area") * (127.5 / 128)
    with torch.no_grad():
        return Measured(largest(Detector()._penultimate(crops), penultimate(crops)))


def identity() -> Measured:
    """Cosine distance of our identity vector to theirs of the crop that their detector cuts out at the same box."""
    import torch

    from pipeline.images import to_uint8
    from pipeline.networks.detector import Detector

    detector, module = Detector(min_face_share=SHARE), theirs("models.utils.detect_face")
    images = generated()
    found = detector.detect(images)
    images, wanted = images[found.found], found.box[found.found]
    pixels = to_uint8(images).permute(0, 3, 1, 2).float()
    crops = []
    for place, (top, bottom, left, right) in enumerate(zip(*module.pad(wanted.clone(), 64, 64), strict=True)):
        crop = pixels[place : place + 1, :, top - 1 : bottom, left - 1 : right]
        crops.append((module.imresample(crop, (48, 48)) - 127.5) / 128)
    own, known = detector.identity_features(images, wanted), penultimate(torch.cat(crops))
    distance = 1 - torch.nn.functional.cosine_similarity(own, known)
    return Measured(float(distance.max()), f"mean {float(distance.mean()):.3f}")


def large() -> Tensor:
    """One generated face at 1024 px, (1, 3, 1024, 1024), in whole 8-bit levels."""
    from pipeline.images import from_uint8, resize, to_uint8

    return from_uint8(to_uint8(resize(generated()[:1], 1024)).numpy())


def crop() -> Measured:
    """Our crop beside `extract_face` of the same box, which rounds to 8 bits."""
    import torch

    from pipeline.images import to_pil
    from pipeline.networks.aligned import BOX, face_of

    image = large()
    box = [share * image.shape[-1] for share in BOX]
    known = theirs("models.utils.detect_face").extract_face(to_pil(image[0]), box, image_size=160, margin=0)
    return Measured(largest(face_of(image)[0], torch.as_tensor(known) / 127.5 - 1))


def standard() -> Measured:
    """The scaling of pixels before InceptionResnetV1."""
    from pipeline.networks.aligned import standardised

    image = large()
    known = theirs("models.mtcnn").fixed_image_standardization((image + 1) * 127.5)
    return Measured(largest(standardised(image), known))


def embedding() -> Measured:
    """InceptionResnetV1 of the same random weights, of our crops, in evaluation."""
    import torch
    from facenet_pytorch import InceptionResnetV1

    from pipeline.images import resize
    from pipeline.networks.aligned import AlignedRecognizer, face_of, standardised

    torch.manual_seed(71)
    known = theirs("models.inception_resnet_v1").InceptionResnetV1(pretrained=None).eval()
    own = InceptionResnetV1(pretrained=None).eval()
    own.load_state_dict(known.state_dict())
    images = resize(generated()[:2], 256)
    with torch.no_grad():
        return Measured(largest(AlignedRecognizer(own)(images), known(standardised(face_of(images)))))


SUBJECT = Subject(
    checkout=Checkout("facenet-pytorch", "timesler/facenet-pytorch", "787da06"),
    comparisons=(
        Comparison(
            "boxes",
            "MTCNN's box (pixels) and probability of generated 64-px faces, in a batch",
            f"{FACES} faces",
            lambda: boxes(generated(), together=True),
            PIXELS,
        ),
        Comparison(
            "boxes_single",
            "the same one by one",
            f"{FACES} faces",
            lambda: boxes(generated(), together=False),
            PIXELS,
        ),
        Comparison(
            "boxes_photographs",
            f"the same of their aligned photographs at {PHOTOGRAPH_SIDE} px",
            "5 photographs",
            lambda: boxes(photographs(), together=True),
            PIXELS,
        ),
        Comparison("onet", "256 features of the output net, same crops", f"{FACES} faces", vectors, 1e-5),
        Comparison(
            "identity_features",
            "256 features of the same box: largest cosine distance",
            "faces found of 40",
            identity,
            declared="ours resample unrounded pixels within the box; theirs are 8-bit, whole pixels, averaged (D9)",
        ),
        Comparison("crop", "crop for InceptionResnetV1 at 160 px, margin 0, of 1024 px", "1 face", crop, LEVEL),
        Comparison("standardisation", "fixed_image_standardization", "1 face", standard, 1e-6),
        Comparison("embedding", "InceptionResnetV1 with the same random weights", "2 faces", embedding, 1e-5),
    ),
)
