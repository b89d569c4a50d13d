"""Portraits: factors by name, glasses that never contradict, and pictures that say how they were made."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline import attributes, images
from pipeline.domains.synthface import portrait
from pipeline.domains.synthface.factors import (
    FACTOR_NAMES,
    IDENTITY_INDEX,
    N_FACTORS,
    NUISANCE_INDEX,
    PARTS,
    column,
    draw_factors,
)
from pipeline.domains.synthface.renderer import render
from pipeline.errors import ConfigError, UnknownNameError

SIZE = 48
KINDS = ("reading_glasses", "sunglasses", "glasses")


def worn(face: torch.Tensor) -> list[float]:
    return [float(face[column(name)]) for name in KINDS]


def settled(face: torch.Tensor, **settings: float) -> torch.Tensor:
    return portrait.with_settings(face[None], settings)[0]


# Faces


def test_the_plain_face_wears_nothing_and_looks_ahead() -> None:
    face = portrait.plain_face()
    assert face.shape == (N_FACTORS,) and face.min() >= 0 and face.max() <= 1
    for attribute in attributes.ATTRIBUTES:
        if attribute.kind == "binary":
            assert face[column(attribute.name)] == 0, attribute.name
    assert all(face[column(name)] == 0.5 for name in ("yaw", "pitch", "roll"))


def test_an_identity_has_its_own_identity_factors_and_nothing_else_of_its_own() -> None:
    faces = portrait.faces_of_identities(4, [7, 2])
    drawn = draw_factors(4, [7, 2])
    assert torch.equal(faces[:, IDENTITY_INDEX], drawn[:, IDENTITY_INDEX])
    others = [*range(35), *NUISANCE_INDEX]
    assert torch.equal(faces[:, others], portrait.plain_face()[others].expand(2, -1))
    assert not torch.equal(portrait.faces_of_identities(5, [7]), faces[:1])


def test_composing_keeps_order_and_says_where_faces_come_from() -> None:
    made = portrait.compose(4, [7, 2], [9], {"age": 0.8})
    assert made.starts == ("identity 7 of seed 4", "identity 2 of seed 4", "random face 9 of seed 4")
    assert torch.all(made.factors[:, column("age")] == 0.8)
    expected = draw_factors(4, [9])[0]
    expected[column("age")] = 0.8
    assert torch.equal(made.factors[2], expected)
    assert portrait.compose(4, [], [], {}).starts == ("identity 0 of seed 4",)


# Settings


def test_settings_are_read_by_name() -> None:
    assert portrait.parse_settings(["age=0.8", " iris_colour = 1", "expression=.5"]) == {
        "age": 0.8,
        "iris_colour": 1.0,
        "smile": 0.5,
    }


@pytest.mark.parametrize("value", ["1.01", "-0.1", "nan", "inf", "old", ""])
def test_a_value_outside_the_range_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match=r"expected a number from 0 to 1, found .*0 is 0 years, 1 is 75 years"):
        portrait.parse_settings([f"age={value}"])


@pytest.mark.parametrize(
    ("texts", "told"),
    [(["age"], "expected NAME=VALUE"), (["=1"], "expected NAME=VALUE"), (["age=0", "age=1"], "age is set twice, to 0")],
)
def test_a_setting_of_another_form_is_refused(texts: list[str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        portrait.parse_settings(texts)


def test_an_unknown_factor_gets_the_closest_known_one() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'iris_colour'"):
        portrait.parse_settings(["iris_color=1"])


# Glasses


def test_glasses_alone_are_plain_ones() -> None:
    plain = portrait.plain_face()
    assert worn(settled(plain, glasses=1)) == [0, 0, 1]
    in_the_sun = settled(plain, sunglasses=1)
    assert worn(in_the_sun) == [0, 1, 1]
    assert worn(settled(in_the_sun, glasses=1)) == [0, 0, 1]
    assert worn(settled(in_the_sun, glasses=0)) == [0, 0, 0]
    assert worn(settled(in_the_sun, reading_glasses=0.6)) == pytest.approx([0.6, 0, 0.6])
    assert worn(settled(in_the_sun, age=0.5)) == [0, 1, 1]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"sunglasses": 1.0, "reading_glasses": 1.0}, "exclude one another"),
        ({"sunglasses": 1.0, "glasses": 0.0}, "glasses=0 contradicts sunglasses=1"),
    ],
)
def test_glasses_that_contradict_are_refused(settings: dict[str, float], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        portrait.with_settings(portrait.plain_face()[None], settings)


def test_what_follows_from_a_setting_is_told() -> None:
    seed, ids = 3, list(range(400))
    drawn = draw_factors(seed, ids)
    shaded = int(drawn[:, column("sunglasses")].argmax())
    assert drawn[shaded, column("sunglasses")] == 1
    made = portrait.compose(seed, [], [shaded], {"glasses": 1.0})
    assert made.followed == ({"sunglasses": 0.0},)
    assert f"random face {shaded} of seed 3; sunglasses 0 follows" in portrait.describe(made)


# Pictures


def test_a_picture_tells_how_it_was_made(tmp_path: Path) -> None:
    path = tmp_path / "out.png"
    made = portrait.compose(4, [7], [2], {"age": 0.8, "glasses": 1.0})
    assert portrait.draw_portraits(made, path, SIZE) == [path]
    assert [file.name for file in tmp_path.iterdir()] == ["out.png"]
    with Image.open(path) as picture:
        assert picture.size == (2 * SIZE + portrait.GAP, SIZE)
        said = json.loads(picture.info[portrait.TEXT_KEY])
        pixels = np.array(picture)
    assert said["set"] == {"age": 0.8, "glasses": 1.0} and said["size"] == SIZE
    assert list(said["faces"][0]["factors"]) == list(FACTOR_NAMES)
    again = portrait.read_faces(path)
    assert torch.equal(again, made.factors)
    expected = images.to_uint8(render(again, SIZE).images).numpy()
    assert np.array_equal(pixels[:, :SIZE], expected[0])
    assert np.array_equal(pixels[:, -SIZE:], expected[1])


def test_a_picture_can_be_the_start_of_another(tmp_path: Path) -> None:
    portrait.draw_portraits(portrait.compose(4, [], [2, 3], {}), tmp_path / "a.png", SIZE)
    made = portrait.compose(0, [], [], {"age": 0.25}, tmp_path / "a.png")
    expected = draw_factors(4, [2, 3])
    expected[:, column("age")] = 0.25
    assert torch.equal(made.factors, expected)
    assert made.starts == ("face 1 of a.png", "face 2 of a.png")


def test_the_same_factors_give_the_same_bytes(tmp_path: Path) -> None:
    made = portrait.compose(4, [7], [], {})
    for name in ("a.png", "b.png"):
        portrait.draw_portraits(made, tmp_path / name, SIZE)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_the_part_map_holds_the_largest_share(tmp_path: Path) -> None:
    made = portrait.compose(4, [7], [2], {"headwear": 1.0})
    path, beside = portrait.draw_portraits(made, tmp_path / "out.png", SIZE, masks=True)
    masks = render(made.factors, SIZE, masks=True).masks
    assert masks is not None
    with Image.open(beside) as picture:
        places = np.array(picture)
        assert json.loads(picture.info[portrait.TEXT_KEY])["parts"] == list(PARTS)
        colours = np.array(picture.convert("RGB"))
    assert beside.name == "out-masks.png"
    assert np.array_equal(places[:, :SIZE], masks[0].argmax(0).numpy())
    assert np.array_equal(places[:, -SIZE:], masks[1].argmax(0).numpy())
    assert np.all(colours[:, SIZE : SIZE + portrait.GAP] == 255)
    hat = PARTS.index("headwear")
    assert np.all(colours[places == hat] == portrait.PART_COLOURS[hat]) and np.any(places == hat)


def test_every_part_has_a_colour_of_its_own() -> None:
    assert len(set(portrait.PART_COLOURS)) == len(portrait.PART_COLOURS) == len(PARTS)


@pytest.mark.parametrize(
    ("name", "told"), [("out.jpg", "ends in .png"), ("no/out.png", "no folder"), ("sub.png", "a folder")]
)
def test_a_path_that_cannot_be_written_is_told(name: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "sub.png").mkdir()
    with pytest.raises(ConfigError, match=told):
        portrait.draw_portraits(portrait.compose(4, [7], [], {}), tmp_path / name, SIZE)
    assert [file.name for file in tmp_path.iterdir()] == ["sub.png"]


def test_a_failed_write_leaves_the_old_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.png"
    path.write_bytes(b"old")

    def full(self: Image.Image, file: Path, **options: object) -> None:
        Path(file).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(ConfigError, match="No space left on device"):
        portrait.write_png(Image.new("RGB", (2, 2)), path)
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


def test_a_picture_without_factors_is_no_start(tmp_path: Path) -> None:
    other = tmp_path / "other.png"
    Image.new("RGB", (4, 4)).save(other)
    with pytest.raises(ConfigError, match="no factors"):
        portrait.read_faces(other)
    with pytest.raises(ConfigError, match="cannot be read"):
        portrait.read_faces(tmp_path / "missing.png")


def test_units_are_those_of_ffhq() -> None:
    assert portrait.in_units("age", 0.8) == "60 years"
    assert portrait.in_units("yaw", 0.0) == "-90°"
    assert portrait.in_units("beard", 0.25) == "0.25"
    assert portrait.in_units("nose_width", 0.5) == "0.5"
