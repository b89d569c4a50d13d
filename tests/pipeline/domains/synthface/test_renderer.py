"""Pictures: deterministic, aligned, and every factor visible where it says it is."""

import pytest
import torch
from facenet_pytorch import MTCNN

from pipeline import attributes
from pipeline.domains.synthface.camera import FARTHEST, FEATURE_DEPTH, aligned_rays, angle
from pipeline.domains.synthface.canvas import FactorPlanes
from pipeline.domains.synthface.factors import (
    FACTOR_NAMES,
    FACTORS,
    N_FACTORS,
    PARTS,
    Factor,
    column,
    draw_factors,
)
from pipeline.domains.synthface.geometry import points, proportions
from pipeline.domains.synthface.renderer import render

STEPS = (0.0, 0.5, 1.0)
# What must be seen of a face for a factor of its to be seen.
SHOWN = {
    "sideburns": {"gender": 1.0},
    "cloth_hue": {"headwear": 1.0},
    "frame_shape": {"glasses": 1.0},
    "frame_colour": {"glasses": 1.0},
    "ear_size": {"gender": 1.0},
}
LOCAL = tuple(
    factor
    for factor in FACTORS
    if factor.kind == "nuisance"
    or factor.name in ("beard", "moustache", "glasses", "sunglasses", "headwear", "lip_makeup")
)


def plain_face() -> torch.Tensor:
    """A face (N_FACTORS,) of thirty, seen from the front, without any attribute that can be off."""
    face = torch.full((N_FACTORS,), 0.5)
    face[:35] = 0
    for name, value in {
        "pitch": 0.5,
        "roll": 0.5,
        "yaw": 0.5,
        "age": 0.4,
        "exposure": 0.62,
        "skin_tone": 0.3,
        "gaze_x": 0.4,
    }.items():
        face[column(name)] = value
    return face


def driven(name: str) -> torch.Tensor:
    """The plain face with one factor at each of STEPS."""
    faces = plain_face().repeat(len(STEPS), 1)
    for other, value in SHOWN.get(name, {}).items():
        faces[:, column(other)] = value
    faces[:, column(name)] = torch.tensor(STEPS)
    return faces


@pytest.fixture(scope="module")
def sweeps() -> dict[str, torch.Tensor]:
    """Pictures (3, 3, 64, 64) of every factor driven alone."""
    images = render(torch.cat([driven(name) for name in FACTOR_NAMES])).images
    return dict(zip(FACTOR_NAMES, images.split(len(STEPS)), strict=True))


def test_images_follow_the_one_convention() -> None:
    images = render(draw_factors(1, range(3)), 32).images
    assert images.shape == (3, 3, 32, 32)
    assert images.dtype == torch.float32
    assert images.min() >= -1 and images.max() <= 1


def test_refuses_factors_of_another_width() -> None:
    with pytest.raises(ValueError, match="factors must be"):
        render(torch.zeros(2, 3))


@pytest.mark.parametrize("resolution", [32, 64, 96])
def test_pixels_do_not_depend_on_the_batch(resolution: int) -> None:
    faces = draw_factors(2, range(21))
    order = torch.randperm(21, generator=torch.Generator().manual_seed(0))
    images = render(faces, resolution).images
    assert torch.equal(render(faces[order], resolution).images, images[order])
    assert torch.equal(render(faces[4:5], resolution).images, images[4:5])


def test_masks_share_every_pixel_and_do_not_change_the_picture() -> None:
    faces = draw_factors(3, range(16))
    with_masks = render(faces, masks=True)
    assert with_masks.masks is not None
    assert with_masks.masks.shape == (16, len(PARTS), 64, 64)
    assert with_masks.masks.min() >= 0
    assert torch.allclose(with_masks.masks.sum(1), torch.ones(16, 64, 64), atol=1e-4)
    assert torch.equal(with_masks.images, render(faces).images)
    assert render(faces[:1]).masks is None


@pytest.mark.parametrize("name", FACTOR_NAMES)
def test_every_factor_is_visible_and_monotone(name: str, sweeps: dict[str, torch.Tensor]) -> None:
    low, middle, high = sweeps[name]
    whole = (high - low).abs().mean()
    assert whole > 4e-4, name
    if name == "cloth_hue":  # goes round the circle of hues
        return
    assert (middle - low).abs().mean() < 1.35 * whole, name
    assert (high - middle).abs().mean() < 1.35 * whole, name


@pytest.mark.parametrize("factor", LOCAL, ids=lambda factor: factor.name)
def test_a_local_factor_changes_the_parts_that_it_names(factor: Factor) -> None:
    drawn = render(driven(factor.name)[[0, 2]], masks=True)
    assert drawn.masks is not None
    change = (drawn.images[1] - drawn.images[0]).abs().sum(0)
    named = [PARTS.index(part) for part in factor.parts]
    inside = drawn.masks[:, named].sum(1).amax(0)
    assert float((change * inside).sum()) > 0.5 * float(change.sum())


def test_a_supersampled_picture_is_nearly_the_same() -> None:
    faces = draw_factors(4, range(4))
    faces[:, column("noise")] = 0
    difference = (render(faces, supersample=2).images - render(faces).images).abs().mean()
    assert difference < 0.04


@pytest.mark.parametrize("yaw", [0.35, 0.5, 0.65])
def test_eyes_and_mouth_lie_where_ffhq_has_them(yaw: float) -> None:
    face = plain_face()[None]
    face[:, column("yaw")] = yaw
    faces = FactorPlanes(face)
    shape = proportions(faces)
    rays = aligned_rays(faces, shape, 64)
    eyes = [rays.project(points(s * shape.eye_x, shape.eye_y, FEATURE_DEPTH)) for s in (-1, 1)]
    mouth = rays.project(points(shape.eye_x * 0, shape.mouth_y, FEATURE_DEPTH))
    middle = torch.stack([torch.stack(eye) for eye in eyes]).mean(0).flatten()
    down = torch.stack(mouth).flatten() - middle
    between = torch.stack(eyes[1]).flatten() - torch.stack(eyes[0]).flatten()
    centre = torch.stack([rays.x.mean(), rays.y.mean()])
    half = max(2.0 * float(between.norm()), 1.8 * float(down.norm()))
    assert torch.allclose(centre, middle + 0.1 * down, atol=1e-4)
    assert abs(float(rays.pixel) * 32 - half) < 1e-5


def test_positive_yaw_turns_the_nose_to_the_right_and_pitch_up() -> None:
    face = plain_face().repeat(3, 1)
    face[1, column("yaw")], face[2, column("pitch")] = 0.6, 0.6
    faces = FactorPlanes(face)
    shape = proportions(faces)
    rays = aligned_rays(faces, shape, 8)
    x, y = rays.project(points(shape.width * 0, 0.0, 1.0))
    assert x[1] > x[0] + 0.2
    assert y[2] > y[0] + 0.05


def test_hair_colours_move_toward_themselves(sweeps: dict[str, torch.Tensor]) -> None:
    brightness = {n: float(sweeps[n][2].mean() - sweeps[n][0].mean()) for n in sweeps}
    assert brightness["hair_blond"] > 0 > brightness["hair_black"]
    redder = sweeps["hair_red"][2, 0] - sweeps["hair_red"][2, 2]
    assert redder.mean() > (sweeps["hair_red"][0, 0] - sweeps["hair_red"][0, 2]).mean()


@pytest.mark.parametrize("resolution", [64, 128])
def test_mtcnn_finds_our_faces(resolution: int) -> None:
    detector = MTCNN(min_face_size=20, post_process=False)
    images = render(draw_factors(5, range(24)), resolution).images
    pictures = ((images + 1) * 127.5).to(torch.uint8).permute(0, 2, 3, 1).numpy()
    _, probabilities = detector.detect(list(pictures))
    found = [p[0] is not None and p[0] > 0.9 for p in probabilities]
    assert sum(found) >= 22


def test_attribute_columns_are_the_first_of_the_factors() -> None:
    assert tuple(factor.name for factor in FACTORS[:35]) == attributes.NAMES


def test_heads_turn_as_far_as_an_aligned_crop_can_show() -> None:
    faces = plain_face().repeat(5, 1)
    faces[:, column("yaw")] = torch.tensor([0.0, 0.25, 0.5, 0.52, 1.0])
    turned = angle(FactorPlanes(faces), "yaw") * (180 / torch.pi)
    assert (turned.diff() > 0).all()
    assert turned[2].abs() < 1e-5
    limits = attributes.get("yaw")
    assert turned[3] == pytest.approx(limits.low + 0.52 * (limits.high - limits.low), rel=0.01)
    assert turned[4] == pytest.approx(-turned[0].item(), rel=1e-5)
    assert turned[4] < FARTHEST["yaw"]
