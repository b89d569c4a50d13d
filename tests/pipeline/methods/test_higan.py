"""HiGAN finds the layers that an attribute lives in, by the change of its score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pipeline.attributes import NAMES, index_of
from pipeline.methods.higan import HiGAN, choose_layers
from tests.worlds import toy

WEIGHTS = torch.tensor([0.05, 0.6, 0.0, 0.3, 0.05, 0.0])  # of the layers in the image
SETTINGS: dict[str, Any] = {"chosen": 0.2, "rescored": 70, "distance": 2.0}


class Layered(toy.Synthesis):
    """The toy's images, but layers count by their weight."""

    seen = 0

    def forward(self, ws: Tensor, *, noise: str = "const") -> Tensor:
        self.seen += len(ws)
        mixed = (ws * WEIGHTS[:, None]).sum(dim=1, keepdim=True)
        return super().forward(mixed, noise=noise)


def data(**changes: Any) -> Any:
    found = toy.fit_data(600, evaluated=("age", "yaw"), **changes)
    found.generator.synthesis = Layered()  # type: ignore[assignment]
    return found


@pytest.fixture(scope="module")
def method() -> HiGAN:
    learned = HiGAN(**SETTINGS)
    learned.fit(data())
    return learned


def test_the_layers_that_matter_are_chosen(method: HiGAN) -> None:
    for name in ("age", "yaw"):
        assert method.facts()["rescoring"][name]["chosen"] == [1, 3]
        assert method.layers_[index_of(name)].tolist() == [0, 1, 0, 1, 0, 0]
    assert bool((method.layers_[index_of("smile")] == 1).all()), "not evaluated: not re-scored"


@pytest.mark.parametrize("psi", [1.0, 0.5])
def test_re_scores_are_the_mean_clipped_rise(psi: float) -> None:
    """One code and one layer at a time, from the equation."""
    learned, given = HiGAN(**SETTINGS | {"rescored": 10_000}), data(truncation_psi=psi)
    given.w, given.values = given.w[:150], given.values[:150]
    learned.fit(given)
    normal, column = learned.directions_[index_of("yaw")], index_of("yaw")
    for layers, found in [
        (range(6), learned.facts()["rescoring"]["yaw"]["all"]),
        ([1], learned.facts()["rescoring"]["yaw"]["layers"][1]),
        ([2], learned.facts()["rescoring"]["yaw"]["layers"][2]),
    ]:
        rises = []
        for w in given.w:
            after = w + WEIGHTS[list(layers)].sum() * psi * 2.0 * normal
            before, later = (torch.sigmoid(toy.STEEPNESS * code @ toy.DIRECTIONS[column]) for code in (w, after))
            rises.append(max(float(later - before), 0.0))
        assert found == pytest.approx(sum(rises) / len(rises), abs=1e-5)


def test_edits_touch_the_chosen_layers_alone(method: HiGAN) -> None:
    faces, strengths = toy.faces(4), torch.zeros(4, len(NAMES))
    strengths[:, index_of("age")] = torch.tensor([-1.0, 0.0, 0.5, 2.0])
    strengths[:, index_of("smile")] = 1.0
    step = method.edit(faces.ws, strengths, faces.values) - faces.ws
    smile, age = (method.directions_[index_of(name)] for name in ("smile", "age"))
    assert step.shape[1] == toy.LAYERS > 3
    for layer in range(toy.LAYERS):
        expected = smile + strengths[:, index_of("age"), None] * age * (layer in (1, 3))
        assert torch.allclose(step[:, layer], expected, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "kept", "chosen"),
    [
        ([0.1, 0.6, 0.3], 0.6, [1]),
        ([0.1, 0.6, 0.3], 0.61, [1, 2]),
        ([0.1, 0.6, 0.3], 1.0, [1, 2, 0]),
        ([0.5, 0.5, 0.0], 0.5, [0]),
        ([0.0, 0.0], 0.5, [0, 1]),
        ([0.0, 0.2], 1.0, [1]),
    ],
)
def test_layers_are_taken_by_rank_until_they_hold_the_share(
    changes: list[float], kept: float, chosen: list[int]
) -> None:
    assert choose_layers(changes, kept) == chosen


def test_re_scoring_resumes_to_the_same(method: HiGAN, tmp_path: Path) -> None:
    class CrashError(Exception):
        pass

    def crash(done: int, total: int, message: str) -> None:
        if "yaw" in message and message.startswith("layers"):
            raise CrashError

    with pytest.raises(CrashError):
        HiGAN(**SETTINGS).fit(data(checkpoints=tmp_path, progress=crash))
    resumed, given = HiGAN(**SETTINGS), data(checkpoints=tmp_path)
    resumed.fit(given)
    assert resumed.facts() == method.facts() and torch.equal(resumed.layers_, method.layers_)
    assert given.generator.synthesis.seen == 70 * (1 + 1 + toy.LAYERS), "age was not rendered again"
