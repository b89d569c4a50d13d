"""LLF: the clusters are scikit-learn's, the masked loss is the slow one, training looks at its region and resumes."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.cluster import KMeans
from torch import Tensor

from pipeline.attributes import NAMES, index_of
from pipeline.errors import ConfigError
from pipeline.methods.contrastive import training as contrastive
from pipeline.methods.contrastive.candidates import feature_maps
from pipeline.methods.contrastive.directions import Directions
from pipeline.methods.contrastive.latentclr import LatentCLR
from pipeline.methods.contrastive.llf import LLF, START
from pipeline.methods.contrastive.llf_masks import (
    find_clusters,
    fit_clusters,
    inside_and_outside,
    label_maps,
    paint_masks,
    points_of,
    region_of,
    spread_over,
)
from pipeline.methods.interface import FitData
from pipeline.optimisation import stepped
from tests.worlds import toy

SMALL: dict[str, Any] = {
    "steps": 8,
    "directions": 3,
    "clusters": 2,
    "images": 8,
    "batch": 4,
    "depth": 2,
    "groups": "seen",
}


def small(**changes: Any) -> LLF:
    return LLF(**(SMALL | changes))


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def banded(count: int = 6, size: int = 8) -> Tensor:
    """Maps (N, 3, size, size) of a top, a middle and a bottom that nobody could confuse."""
    maps = 0.1 * drawn(count, 3, size, size)
    maps[:, 0, :2] += 10
    maps[:, 1, 2:6] += 10
    maps[:, 2, 6:] += 10
    return maps


def test_clusters_are_those_of_scikit_learn_from_the_top_down() -> None:
    maps = banded()
    centres = fit_clusters(maps, 3, 5)
    rows = torch.tensor([0, 0, 1, 1, 1, 1, 2, 2])
    assert torch.equal(label_maps(maps, centres), rows[None, :, None].expand(6, 8, 8))
    machine = KMeans(3, n_init=4, random_state=5).fit(points_of(maps))
    theirs = np.sort(machine.cluster_centers_, axis=0)
    assert np.allclose(np.sort(centres.numpy(), axis=0), theirs, atol=1e-4)
    assert torch.equal(centres, fit_clusters(maps, 3, 5)), "the same seed, the same bits"


def test_clusters_that_did_not_converge_are_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    centres, end = find_clusters(banded(), 3, 5)
    assert end["converged"] and end["iterations"] >= 1 and centres.shape == (3, 3) and not caplog.text
    assert end["inertia"] == pytest.approx(KMeans(3, n_init=4, random_state=5).fit(points_of(banded())).inertia_)
    monkeypatch.setattr("sklearn.cluster.KMeans", partial(KMeans, max_iter=1))
    with caplog.at_level("WARNING", "latentbench"):
        _, end = find_clusters(drawn(4, 3, 8, 8), 5, 5)
    assert not end["converged"] and "unconverged" in caplog.text


def test_labels_are_the_nearest_centres() -> None:
    maps, centres = drawn(2, 3, 5, 4, 4), drawn(6, 5, seed=1)
    found = label_maps(maps, centres)
    points = maps.permute(0, 1, 3, 4, 2).reshape(-1, 5)
    expected = torch.cdist(points.double(), centres.double()).argmin(dim=1)
    assert torch.equal(found, expected.reshape(2, 3, 4, 4))


def test_the_region_is_where_either_map_is_of_the_cluster() -> None:
    before = banded(2)
    after = before[None].repeat(3, 1, 1, 1, 1)
    after[1, 0, :, 5] = torch.tensor([10.0, 0.0, 0.0])[:, None]  # direction 1 turns a row of face 0 into "top"
    region = region_of(before, after, fit_clusters(before, 3, 5), 0)
    assert region.shape == (3, 2, 1, 8, 8)
    assert region[0, 0].any(dim=2).flatten().nonzero().flatten().tolist() == [0, 1]
    assert region[1, 0].any(dim=2).flatten().nonzero().flatten().tolist() == [0, 1, 5]
    change = torch.ones(3, 2, 3, 8, 8)
    change[:, :, :, 2:5] = 3
    assert inside_and_outside(change[:1], region[:1]) == pytest.approx((1.0, (3 * 9 + 3) / 6))


class Steps(torch.nn.Module):
    """Always the same directions."""

    def __init__(self, directions: Tensor) -> None:
        super().__init__()
        self.directions = directions

    def forward(self, w: Tensor) -> Tensor:
        return self.directions


def test_the_objective_is_the_slow_one() -> None:
    """Pixel by pixel and pair by pair, with the penalty, at a size of the step at which clusters change."""
    data, w = toy.fit_data(8), toy.draw_w(3, seed=8)
    method = small(alpha=4.0, outside_weight=10.0)
    directions = torch.nn.functional.normalize(drawn(3, 3, 512), dim=2)
    before = feature_maps(data, w, "b16")
    method.centres_ = fit_clusters(before, 2, 1)
    outcome, _ = method.objective(data, Steps(directions), w, 1, [], data.rng())
    rows, outside, pixels = {}, 0.0, 0
    for k in range(3):
        after = feature_maps(data, w + 4.0 * directions[k], "b16")
        for i in range(3):
            kept = np.zeros((2, 16, 16))
            for y in range(16):
                for x in range(16):
                    ends = [maps[i, :, y, x] for maps in (before, after)]
                    nearest = [int((end - method.centres_).norm(dim=1).argmin()) for end in ends]
                    change = (ends[1] - ends[0]).numpy()
                    pixels += 2
                    if 1 in nearest:
                        kept[:, y, x] = change
                    else:
                        outside += float((change**2).sum())
            rows[k, i] = kept.ravel() / np.linalg.norm(kept)
    losses = []
    for k, i in rows:
        similar = {key: math.exp(0.5 * abs(float(rows[k, i] @ row))) for key, row in rows.items() if key != (k, i)}
        positive = np.mean([value for (m, _), value in similar.items() if m == k])
        losses.append(-math.log(positive / np.mean([value for (m, _), value in similar.items() if m != k])))
    assert outcome.contrast == pytest.approx(np.mean(losses), abs=1e-5)
    assert float(outcome.loss) == pytest.approx(np.mean(losses) + 10 * outside / pixels, rel=1e-4)


def test_the_authors_masks_are_those_of_other_faces() -> None:
    """Channel by channel: the masks of B faces, C times over, dealt out to the faces in turn, C to each."""
    region = drawn(2, 3, 1, 4, 4) > 0
    found = spread_over(region, 5)
    assert found.shape == (2, 3, 5, 4, 4)
    for k in range(2):
        deck = [region[k, face, 0] for _ in range(5) for face in range(3)]
        for face in range(3):
            for channel in range(5):
                assert torch.equal(found[k, face, channel], deck.pop(0))
    assert torch.equal(spread_over(region[:, :1], 5), region[:, :1].expand(-1, -1, 5, -1, -1)), "one face: its own"


def test_spread_masks_change_the_loss_and_not_what_is_measured() -> None:
    data, w = toy.fit_data(8), toy.draw_w(3, seed=8)
    directions = torch.nn.functional.normalize(drawn(3, 3, 512), dim=2)
    before = feature_maps(data, w, "b16")
    centres, found = fit_clusters(before, 2, 1), []
    for spread in (False, True):
        method = small(alpha=4.0, outside_weight=10.0, spread_masks=spread)
        method.centres_ = centres
        found.append(method.objective(data, Steps(directions), w, 1, [], data.rng()))
    change = torch.stack([feature_maps(data, w + 4.0 * one, "b16") for one in directions]) - before
    mask = spread_over(region_of(before, before + change, centres, 1), 2)
    rows, there = contrastive.unit_rows((change * mask).flatten(2))
    expected = contrastive.contrastive_loss(rows, there)[0] + 10 * (change * ~mask).square().mean()
    assert float(found[1][0].loss) == pytest.approx(float(expected), rel=1e-5)
    assert abs(float(found[0][0].loss) - float(found[1][0].loss)) > 1e-4
    assert found[0][1] == found[1][1]


def test_an_empty_region_gives_no_nan() -> None:
    data, method = toy.fit_data(8), small()
    networks = Directions(3, 512, depth=2, rng=data.rng(START))
    method.centres_ = torch.tensor([[0.0, 0.0], [1e6, 1e6]])  # nothing is near the second
    outcome, _ = method.objective(data, networks, toy.draw_w(4), 1, [], data.rng())
    outcome.loss.backward()
    assert float(outcome.loss.detach()) == 0 and outcome.dropped == 1
    assert all(bool(torch.isfinite(tensor.grad).all()) for tensor in networks.parameters() if tensor.grad is not None)


def test_validation_is_on_the_training_objective_and_picks_the_models() -> None:
    data, method = toy.fit_data(100), small(steps=20, outside_weight=3.0)
    candidates = method.find(data)
    training = method.found_["training"]
    held_out = data.w[-training["held_out"] :]
    with torch.no_grad():
        again = [
            float(method.objective(data, networks, held_out, region, [], data.rng())[0].loss)
            for region, networks in zip(method.chosen, candidates.models, strict=True)
        ]
    assert training["best"]["loss"] == pytest.approx(sum(again) / 2, abs=1e-4)
    assert training["best"]["loss"] == min(entry[1] for entry in training["validations"][1:])


class Halves(toy.Synthesis):
    """The toy's maps, whose upper half nobody could confuse with the lower."""

    def features(self, ws: Tensor, layer: str) -> Tensor:
        maps = super().features(ws, layer)
        half = torch.zeros_like(maps)
        half[:, :, :8] = 10
        return maps + half


def halved() -> FitData:
    data = toy.fit_data(64)
    data.generator.synthesis = Halves()  # type: ignore[assignment]
    return data


def test_directions_of_a_region_change_it_and_those_of_latentclr_do_not() -> None:
    """A change of the upper half alone is possible; the same number of directions, of the same kind, without a mask."""
    local, plain = small(regions="0", steps=40, learning_rate=0.003), {"steps": 40, "learning_rate": 0.003}
    local.find(halved())
    assert local.found_["regions"][0]["dropped"] == 0
    assert local.found_["regions"][0]["inside_over_outside"] > 10
    networks = LatentCLR(directions=3, depth=2, batch=4, **plain).find(halved()).models[0]  # type: ignore[arg-type]
    _, (inside, outside) = local.objective(halved(), networks, toy.draw_w(8), 0, [], halved().rng())
    assert 0.5 < inside / outside < 2


def test_every_region_gets_its_directions_and_each_layer_its_own() -> None:
    method = small(clusters=3, regions="2, 0", groups="each", steps=6)
    data = toy.fit_data(100)
    method.fit(data)
    assert method.candidates_.count == 2 * 3 * 5 and method.facts()["naming_candidates"] == 60
    assert method.candidates_.label(0) == "region 2, direction 0, layer 0"
    assert [entry["region"] for entry in method.facts()["regions"]] == [2, 0]
    assert sum(method.facts()["cluster_shares"]) == pytest.approx(1, abs=1e-5)
    ws = toy.load().generator.mapping.broadcast(toy.draw_w(2))
    strengths = torch.zeros(2, len(NAMES))
    strengths[:, index_of("yaw")] = 2.5
    moved = (method.edit(ws, strengths, data.values[:2]) - ws).norm(dim=2)
    layer = int(method.naming_.names[index_of("yaw")].label.rpartition(" ")[2])
    assert torch.allclose(moved[:, layer], torch.tensor(2.5), atol=1e-4)
    assert float(moved.sum()) == pytest.approx(5.0, abs=1e-3), "the other layers keep their codes"


class InterruptedTrainingError(Exception):
    """A training that was stopped."""


def test_a_resumed_training_gives_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepped, "SAVE_SECONDS", 0.0)
    whole, resumed = small(), small()
    kept = whole.find(toy.fit_data(64)).state()

    def interrupt(step: int, total: int, message: str) -> None:
        if step == 5:
            raise InterruptedTrainingError

    with pytest.raises(InterruptedTrainingError):
        small().find(toy.fit_data(64, checkpoints=tmp_path, progress=interrupt))
    again = resumed.find(toy.fit_data(64, checkpoints=tmp_path)).state()
    assert resumed.found_ == whole.found_ and torch.equal(resumed.centres_, whole.centres_)
    assert all(torch.equal(tensor, again[name]) for name, tensor in kept.items())


def test_masks_colour_their_own_pixels_alone() -> None:
    images = torch.zeros(1, 3, 8, 8)
    labels = torch.tensor([[[0, 1], [1, 0]]])
    painted = paint_masks(images, labels)
    assert torch.equal(painted[0, :, :4, :4], painted[0, :, 4:, 4:])
    assert torch.equal(painted[0, :, :4, 4:], painted[0, :, 4:, :4])
    assert not torch.equal(painted[0, :, 0, 0], painted[0, :, 0, 7])
    assert bool((painted[0, :, :4, :4] == painted[0, :, :1, :1]).all())


@pytest.mark.parametrize(
    ("key", "value"),
    [("clusters", 1), ("regions", "5"), ("regions", "hair"), ("alpha", 0.0), ("outside_weight", -1), ("images", 0)],
)
def test_settings_out_of_range_are_named(key: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"\[method.llf\] {key}"):
        LLF(**{key: value})  # type: ignore[arg-type]
