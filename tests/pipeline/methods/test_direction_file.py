"""Direction files on the toy, whose true directions are known."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.attributes import EVALUATED, index_of
from pipeline.domains.base import describe
from pipeline.errors import ConfigError, StageError, UnknownNameError
from pipeline.methods import contract, registry
from pipeline.methods.direction_file import DirectionFile, of_name
from pipeline.methods.subject import Subject, strengths
from pipeline.settings.direction_files import digest_of, files_at
from tests.worlds import toy

CARD = replace(describe("synthface"), resolution=toy.SIZE)
LAYERS = toy.LAYERS


def true(attribute: str) -> np.ndarray:
    """The direction along which the attribute rises, (512,)."""
    return np.asarray(toy.DIRECTIONS[index_of(attribute)])


def written(folder: Path, **vectors: np.ndarray) -> dict[str, Any]:
    """Parameters of a method whose folder has these vectors."""
    for name, vector in vectors.items():
        np.save(folder / f"{name}.npy", vector)
    return {"path": str(folder), "sha256": digest_of(files_at(str(folder), {}))}


def fitted(parameters: dict[str, Any], **changes: Any) -> DirectionFile:
    method = of_name("mine")(**{**parameters, **changes})
    method.fit(toy.fit_data(64))
    return method


def moved(method: DirectionFile, **named: float) -> torch.Tensor:
    """The shifts (L, 512) of one face by an edit."""
    faces = toy.faces(1)
    return (method.edit_faces(faces, strengths(faces, **named)) - faces.ws)[0]


@lru_cache
def subject(folder: Path, attributes: tuple[str, ...]) -> Subject:
    parameters = written(folder, **{name: true(name) for name in attributes})
    return Subject("mine", lambda: toy.fit_data(64), toy.faces(6), toy.MEAN_DISTANCE, parameters)


@pytest.mark.parametrize("check", contract.CHECKS)
@pytest.mark.parametrize("attributes", [("beard",), tuple(EVALUATED)], ids=len)
def test_contract(attributes: tuple[str, ...], check: str, tmp_path_factory: Any) -> None:
    folder = tmp_path_factory.getbasetemp() / f"directions-{len(attributes)}"
    folder.mkdir(exist_ok=True)
    contract.CHECKS[check](subject(folder, attributes))


def test_a_strength_adds_the_vector_to_every_layer(tmp_path: Path) -> None:
    method = fitted(written(tmp_path, age=3 * true("age"), yaw=true("yaw")))
    expected = torch.from_numpy(6 * true("age") - true("yaw")).expand(LAYERS, -1)
    assert torch.allclose(moved(method, age=2.0, yaw=-1.0), expected, atol=1e-5)
    assert set(method.editable()) == {"age", "yaw"}


def test_normalised_a_strength_is_a_length(tmp_path: Path) -> None:
    rows = np.outer(np.arange(1.0, LAYERS + 1), true("age"))
    for layers, touched in (("all", LAYERS), ("1-2", 2)):
        shift = moved(fitted(written(tmp_path, age=rows), normalise=True, layers=layers), age=1.0)
        assert float(shift.norm(dim=1).square().sum() / touched) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize(("layers", "touched"), [("1-2", [1, 2]), ("4-", [4, 5]), ("3", [3]), (3, [3])])
def test_an_edit_touches_the_layers_that_are_named(layers: str | int, touched: list[int], tmp_path: Path) -> None:
    rows = np.stack([(layer + 1) * true("age") for layer in range(18)])  # of a larger generator
    for vector in (true("age"), rows):
        shift = moved(fitted(written(tmp_path, age=vector), layers=layers), age=1.0)
        assert shift.any(dim=1).nonzero()[:, 0].tolist() == touched
        row = vector if vector.ndim == 1 else vector[touched[-1]]
        assert torch.allclose(shift[touched[-1]], torch.from_numpy(row), atol=1e-5)


@pytest.mark.parametrize(
    ("rows", "layers", "expected"),
    [
        (18, "all", "18 layers, the generator has 6"),
        (4, "all", "4 layers, the generator has 6"),
        (18, "0-6", "from 0 to 5"),
        (4, "2-4", "from 0 to 3"),
        (1, "6-", "from 0 to 5"),
    ],
)
def test_layers_that_are_not_there_are_refused(rows: int, layers: str, expected: str, tmp_path: Path) -> None:
    parameters = written(tmp_path, age=np.outer(np.arange(1.0, rows + 1), true("age"))) | {"layers": layers}
    with pytest.raises(ConfigError, match=r"\[method.file.mine\] layers") as refused:
        registry.build("mine", parameters).check(CARD, ["age"])
    assert expected in str(refused.value)


def test_a_vector_without_a_usable_length_is_refused(tmp_path: Path) -> None:
    first = np.zeros((LAYERS, 512))
    first[0] = true("age")
    for vector, changes in ((1e-9 * true("age"), {}), (1e9 * true("age"), {}), (first, {"layers": "1-2"})):
        method = registry.build("mine", written(tmp_path, age=vector) | changes)
        with pytest.raises(ConfigError, match="normalise" if not changes else "layers"):
            method.check(CARD, ["age"])
    fitted(written(tmp_path, age=1e-9 * true("age")), normalise=True)


def test_attributes_that_the_files_lack_are_refused_with_the_closest_name(tmp_path: Path) -> None:
    parameters = written(tmp_path, age=true("age"), yaww=true("yaw"))
    with pytest.raises(ConfigError) as refused:
        registry.build("mine", parameters).check(CARD, ["age", "yaw", "gender"])
    message = str(refused.value)
    assert "no direction for yaw, gender" in message and "yaw: yaww" in message and "--attribute age" in message
    registry.build("mine", parameters).check(CARD, ["age"])
    with pytest.raises(StageError, match="no direction for yaw"):
        moved(fitted(parameters), yaw=1.0)


def test_a_vector_that_lowers_its_attribute_is_told_and_can_be_flipped(tmp_path: Path) -> None:
    parameters = written(tmp_path, age=-true("age"), yaw=true("yaw"))
    facts = fitted(parameters).facts()
    assert facts["lowered"] == ["age"] and facts["changes"]["age"] < 0 < facts["changes"]["yaw"]
    assert "--set method.file.mine.flip=age" in facts["warning"]
    flipped = fitted(parameters, flip="age")
    assert "warning" not in flipped.facts() and flipped.facts()["lowered"] == []
    assert torch.allclose(moved(flipped, age=1.0)[0], torch.from_numpy(true("age")), atol=1e-5)


def test_files_that_change_or_go_during_a_run_are_told(tmp_path: Path) -> None:
    parameters = written(tmp_path, age=true("age"))
    np.save(tmp_path / "age.npy", true("yaw"))
    with pytest.raises(StageError, match="was changed"):
        fitted(parameters)
    (tmp_path / "age.npy").unlink()
    with pytest.raises(StageError, match="Every worker needs the files"):
        fitted(parameters)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("layers", "0-1, 3-4"),
        ("layers", "each"),
        ("layers", "5-2"),
        ("flip", "aeg"),
        ("flip", "roll"),
        ("normalise", 1),
    ],
)
def test_settings_out_of_range_are_named(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"\[method.file.mine\] {key}"):
        registry.build("mine", {"sha256": "", key: value})


def test_settings_that_mean_the_same_are_the_same() -> None:
    texts = [("smile:a,yaw: b", "smile,age"), ("expression: a, yaw:b", "expression, age")]
    one, other = (
        registry.build("mine", {"sha256": "", "names": names, "flip": flip}).parameters() for names, flip in texts
    )
    assert one == other and one["flip"] == "expression, age"


def test_only_a_run_with_its_file_knows_the_name() -> None:
    assert registry.get("mine", {"sha256": ""}).name == "mine"
    assert (
        registry.version("mine") == DirectionFile.version and registry.version("sefa") == registry.get("sefa").version
    )
    with pytest.raises(UnknownNameError):
        registry.get("mine")
