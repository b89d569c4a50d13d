"""What a scorer's training minimises: mirrored pictures, unknown values, rare positives, attributes alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.attributes import INDEX, NAMES
from pipeline.scorer_training.labels import Labels
from pipeline.scorer_training.training import fit
from pipeline.scorer_training.training.fit import epoch_batches
from pipeline.scorer_training.training.objective import loss_of, mirrored, undo_positive_weight, weigh
from pipeline.scorer_training.training.pixels import prepare

Faces = tuple[Tensor, np.ndarray]


def test_a_mirrored_picture_looks_and_tilts_the_other_way(faces: Faces) -> None:
    values = torch.from_numpy(faces[1][:4].copy())
    values[0, INDEX["yaw"]] = torch.nan
    found = mirrored(values)
    assert found[0, INDEX["yaw"]].isnan()
    for name in ("yaw", "roll"):
        torch.testing.assert_close(found[1:, INDEX[name]], 1 - values[1:, INDEX[name]])
    same = [INDEX[name] for name in NAMES if name not in ("yaw", "roll")]
    assert torch.equal(found[:, same], values[:, same])


def test_batches_depend_on_seed_and_epoch_and_half_is_mirrored(small: tuple[Path, Labels]) -> None:
    rows = np.arange(10, 110)
    first = epoch_batches(7, 3, rows, 4)
    assert all(
        (a == b).all() and (f == g).all() for (a, f), (b, g) in zip(first, epoch_batches(7, 3, rows, 4), strict=True)
    )
    assert sorted(np.concatenate([batch for batch, _ in first])) == rows.tolist()
    assert 30 < sum(flips.sum() for _, flips in first) < 70
    assert not np.array_equal(first[0][0], epoch_batches(7, 4, rows, 4)[0][0])
    assert not np.array_equal(first[0][0], epoch_batches(8, 3, rows, 4)[0][0])


def test_what_a_batch_sees_is_mirrored_together_with_its_values(small: tuple[Path, Labels], tmp_path: Path) -> None:
    images, labels = small
    pixels = prepare(labels.pictures, images, 32, tmp_path, 1)
    seen: list[Tensor] = []

    class Watching:
        def logits(self, pictures: Tensor) -> Tensor:
            seen.append(pictures)
            return torch.zeros(len(pictures), 35)

    rows, flips = np.array([3, 8]), np.array([True, False])
    watching: Any = Watching()
    _, values = fit._batch(watching, pixels, torch.from_numpy(labels.values), rows, flips, torch.device("cpu"))
    assert torch.equal(seen[0][0], pixels.batch(rows)[0].flip(-1)) and torch.equal(seen[0][1], pixels.batch(rows)[1])
    column = INDEX["yaw"]
    assert values[0, column] == 1 - labels.values[3, column] and values[1, column] == labels.values[8, column]


def test_unknown_values_teach_nothing(faces: Faces) -> None:
    values = faces[1][:8].copy()
    values[::2, INDEX["age"]] = np.nan
    values[:, INDEX["smile"]] = np.nan
    weights = weigh(values)
    logits = torch.zeros(8, 35, requires_grad=True)
    loss_of(logits, torch.from_numpy(values), weights).backward()
    assert logits.grad is not None
    assert (logits.grad[:, INDEX["smile"]] == 0).all() and (logits.grad[::2, INDEX["age"]] == 0).all()
    assert (logits.grad[1::2, INDEX["age"]] != 0).all() and logits.grad.isfinite().all()


def test_rare_positives_weigh_more_and_the_bias_is_put_right() -> None:
    """With the weight alone, a constant learns the wrong share; with the bias lowered, the right one."""
    values = np.full((400, 35), np.nan, dtype=np.float32)
    column = INDEX["glasses"]
    values[:, column] = np.arange(400) < 16
    weights = weigh(values)
    assert weights.positive[column] == pytest.approx(np.sqrt(0.96 / 0.04)) and (weights.positive >= 1).all()
    head = torch.nn.Linear(1, 35)
    torch.nn.init.zeros_(head.weight)
    optimizer = torch.optim.LBFGS([head.bias], max_iter=200)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = loss_of(head(torch.zeros(400, 1)), torch.from_numpy(values), weights)
        loss.backward()
        return loss

    optimizer.step(closure)
    assert head.bias[column].sigmoid() > 0.1
    undo_positive_weight(head, weights)
    assert float(head.bias[column].detach().sigmoid()) == pytest.approx(0.04, abs=1e-3)


def test_each_attribute_has_the_same_to_win() -> None:
    rng = np.random.default_rng(0)
    values = np.full((4000, 35), np.nan, dtype=np.float32)
    wide, narrow = INDEX["yaw"], INDEX["roll"]
    values[:, wide] = rng.uniform(0, 1, 4000)
    values[:, narrow] = rng.uniform(0.4, 0.6, 4000)
    weights, truth = weigh(values), torch.from_numpy(values)
    middle, best = torch.zeros(4000, 35), truth.clamp(1e-6, 1 - 1e-6).logit().nan_to_num(0)
    gains = []
    for column in (wide, narrow):
        informed = middle.clone()
        informed[:, column] = best[:, column]
        gains.append(float(loss_of(middle, truth, weights) - loss_of(informed, truth, weights)))
    assert gains[0] == pytest.approx(gains[1], rel=0.02)
