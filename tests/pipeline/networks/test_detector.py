from __future__ import annotations

import numpy as np
import pytest
import torch
from facenet_pytorch import MTCNN
from facenet_pytorch.models.utils.detect_face import batched_nms_numpy, imresample

from pipeline.domains.synthface.factors import draw_factors
from pipeline.domains.synthface.renderer import render
from pipeline.errors import WeightsError
from pipeline.images import to_uint8
from pipeline.networks import mtcnn_weights
from pipeline.networks.detector import Detector, _Candidates, _convolved, _crops, _sums, _suppress_contained


@pytest.fixture(scope="module")
def faces() -> torch.Tensor:
    return render(draw_factors(3, range(48))).images


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector()


def test_finds_rendered_faces_and_nothing_in_noise(faces, detector):
    noise = torch.rand(16, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    grey = torch.zeros(4, 3, 64, 64)
    found = detector.detect(torch.cat([faces, noise, grey])).found
    assert found[:48].float().mean() > 0.9
    assert not found[48:].any()


def test_nothing_found_is_the_whole_image_and_probability_zero(detector):
    detection = detector.detect(torch.full((3, 3, 64, 96), -1.0))
    assert detection.box.tolist() == [[0.0, 0.0, 96.0, 64.0]] * 3
    assert detection.probability.tolist() == [0.0] * 3


def test_no_image_at_all(detector):
    detection = detector.detect(torch.zeros(0, 3, 64, 64))
    assert (detection.found.shape, detection.box.shape) == ((0,), (0, 4))


def test_a_face_below_the_threshold_is_not_found(faces, detector):
    strict = detector.detect(faces, threshold=1.1)
    assert not strict.found.any()
    assert (strict.probability > 0.9).float().mean() > 0.9  # what it saw all the same
    assert (strict.box == torch.tensor([0.0, 0.0, 64.0, 64.0])).all()


@pytest.mark.parametrize("fading", [0.0, 0.6], ids=["faces", "fading"])
def test_agrees_with_facenet(fading, faces, detector):
    mtcnn = MTCNN(keep_all=True, min_face_size=0.4 * 64)
    noise = torch.rand(faces.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    images = faces.lerp(noise, fading * torch.linspace(0, 1, len(faces))[:, None, None, None])
    detection = detector.detect(images)
    assert detection.found.any() and (fading == 0.0 or not detection.found.all())
    for index, picture in enumerate(to_uint8(images).numpy()):  # alone: in its batches, boxes of others touch
        boxes, probabilities = mtcnn.detect(picture)
        sure = [] if boxes is None else [p >= 0.9 for p in probabilities]
        assert any(sure) == bool(detection.found[index])
        if any(sure):
            box = np.asarray(boxes[sure.index(True)], float)
            np.testing.assert_allclose(detection.box[index].numpy(), box, atol=1e-3)
            assert float(detection.probability[index]) == pytest.approx(
                float(probabilities[sure.index(True)]), abs=1e-5
            )


def test_an_image_is_seen_the_same_in_any_batch(faces, detector):
    together = detector.detect(faces)
    alone = [detector.detect(image[None]) for image in faces[:12]]
    backwards = detector.detect(faces.flip(0))
    for name in ("found", "probability", "box"):
        whole = getattr(together, name)
        torch.testing.assert_close(torch.cat([getattr(d, name) for d in alone]), whole[:12], atol=1e-3, rtol=1e-5)
        torch.testing.assert_close(getattr(backwards, name).flip(0), whole, atol=1e-3, rtol=1e-5)


def test_the_same_batch_gives_the_same_bits(faces, detector):
    one, other = detector.detect(faces), detector.detect(faces)
    assert torch.equal(one.box, other.box) and torch.equal(one.probability, other.probability)


def test_larger_images_have_their_boxes_in_their_own_pixels(faces, detector):
    large = torch.nn.functional.interpolate(faces[:8], scale_factor=8, mode="bilinear")
    small, big = detector.detect(faces[:8]), detector.detect(large)
    assert big.found.all()
    assert (big.box / 8 - small.box).abs().max() < 6.0


def test_crops_are_facenets(faces):
    pixels = ((faces[:2] + 1) * 127.5).round()
    start, stop = torch.tensor([[3, 5], [0, 10]]), torch.tensor([[40, 33], [9, 64]])
    (crops,) = _crops(_sums(pixels), torch.tensor([1, 0]), start, stop, 24)
    for row, image in enumerate((1, 0)):
        (left, top), (right, bottom) = start[row].tolist(), stop[row].tolist()
        expected = imresample(pixels[image : image + 1, :, top:bottom, left:right], (24, 24))
        torch.testing.assert_close(crops[row : row + 1], (expected - 127.5) * 0.0078125, atol=1e-5, rtol=0)


def test_crops_are_exact_in_the_largest_images():
    pixels = torch.full((1, 3, 256, 256), 255.0)
    (crops,) = _crops(_sums(pixels), torch.tensor([0]), torch.tensor([[0, 1]]), torch.tensor([[255, 256]]), 48)
    assert (crops == 255 / 256).all()


@pytest.mark.parametrize(("name", "size"), [("rnet", 24), ("onet", 48)])
def test_nets_in_the_blocked_layout_are_facenets(name, size, detector):
    net = getattr(detector, name)
    crops = torch.rand(5, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1
    x = crops
    for layer in list(net.children())[: 8 if name == "rnet" else 11]:
        x = layer(x)
    torch.testing.assert_close(_convolved(net, crops), x)


def test_contained_boxes_are_suppressed_as_by_facenet():
    random = torch.Generator().manual_seed(0)
    corner, size = (torch.rand(200, 2, generator=random) * span for span in (40, 40))
    image = torch.randint(0, 4, (200,), generator=random)
    candidates = _Candidates(image, torch.cat([corner, corner + size], dim=1), torch.rand(200, generator=random))
    kept = _suppress_contained(candidates, 0.7)
    expected = batched_nms_numpy(candidates.box, candidates.score, image, 0.7, "Min")
    assert 4 < len(kept) < 200
    assert kept.tolist() == expected.tolist()


def test_identity_features_are_the_output_nets_penultimate_layer(faces, detector):
    seen = []
    handle = detector.onet.prelu5.register_forward_hook(lambda module, inputs, output: seen.append(output))
    crops = torch.nn.functional.interpolate(faces[:4], 48, mode="bilinear", antialias=True)
    detector.onet(crops * (127.5 / 128))
    handle.remove()
    torch.testing.assert_close(detector._penultimate(crops * (127.5 / 128)), seen[0])
    whole = torch.tensor([[0.0, 0.0, 64.0, 64.0]]).repeat(4, 1)
    assert detector.identity_features(faces[:4], whole).shape == (4, 256)


def test_identity_features_survive_odd_boxes(faces, detector):
    boxes = torch.tensor([[-9.0, -9.0, 80.0, 80.0], [70.0, 70.0, 90.0, 90.0], [10.0, 10.0, 10.0, 10.0]])
    assert detector.identity_features(faces[:3], boxes).isfinite().all()


def test_identity_features_tell_images_apart(faces, detector):
    box = detector.detect(faces).box
    features = torch.nn.functional.normalize(detector.identity_features(faces, box), dim=1)
    brighter = torch.nn.functional.normalize(detector.identity_features((faces * 0.97 + 0.02), box), dim=1)
    same = 1 - (features * brighter).sum(dim=1)
    others = 1 - (features * features.roll(1, 0)).sum(dim=1)
    assert same.mean() < 0.2 * others.mean()


def test_weights_are_checked(tmp_path):
    for name in mtcnn_weights.SHA256:
        (tmp_path / name).write_bytes((mtcnn_weights.folder() / name).read_bytes())
    mtcnn_weights.check(tmp_path)
    (tmp_path / "rnet.pt").write_bytes(b"other")
    with pytest.raises(WeightsError, match=r"rnet\.pt has sha256"):
        mtcnn_weights.check(tmp_path)
    (tmp_path / "onet.pt").unlink()
    (tmp_path / "rnet.pt").write_bytes((mtcnn_weights.folder() / "rnet.pt").read_bytes())
    with pytest.raises(WeightsError, match=r"onet\.pt is missing"):
        mtcnn_weights.check(tmp_path)
