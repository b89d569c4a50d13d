"""One rule names unnamed directions: at a common step, by scorer A, on codes that nothing else uses."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from pipeline.attributes import NAMES, index_of
from pipeline.chain.inputs import read_w
from pipeline.chain.latents import naming_w
from pipeline.chain.sets import SETS, id_range
from pipeline.chain.views import displacement as published_displacement
from pipeline.errors import StageError
from pipeline.methods import naming, naming_race
from pipeline.methods.interface import FitData, Paper
from pipeline.methods.naming import (
    STEP,
    Naming,
    Unnamed,
    measure,
    name_directions,
)
from pipeline.methods.naming_race import LEAST_SELECTIVITY, named, selectivities
from pipeline.methods.unnamed_directions import Candidates, LinearCandidates
from pipeline.settings.experiment import BFLOAT16
from pipeline.statistics.units import Units, logits_of
from tests.builders.chains import compute, reading, stage_of
from tests.worlds import px8, toy


def candidates(vectors: Tensor, spans: list[tuple[int, int]] | None = None) -> LinearCandidates:
    """These vectors, each in every layer unless `spans` says where."""
    ranges = torch.tensor(spans or [(0, toy.LAYERS)] * len(vectors)).reshape(-1, 2)
    return LinearCandidates(vectors, ranges, "vector", range(len(vectors)))


def test_known_directions_get_their_names_and_signs() -> None:
    signs = torch.tensor([1.0, -1.0]).repeat(18)[: len(NAMES), None]
    naming = name_directions(toy.fit_data(400), candidates(signs * toy.DIRECTIONS))
    for column, name in enumerate(naming.names):
        assert (name.attribute, name.candidate, name.sign) == (NAMES[column], column, int(signs[column]))
        assert name.qualified and name.change > 0.5 and name.selectivity >= LEAST_SELECTIVITY
        assert name.label == f"vector {column}, layers 0-5"
    assert naming.tried == 2 * len(NAMES) and naming.codes == 32


@pytest.mark.parametrize("span", [(0, 6), (2, 5), (4, 5)])
@pytest.mark.parametrize("length", [0.01, 1.0, 40.0])
def test_the_step_is_the_same_displacement_for_any_length_and_layers(span: tuple[int, int], length: float) -> None:
    data = toy.fit_data(50)
    found = candidates(length * toy.DIRECTIONS[:1], [span])
    strengths = measure(data, found).strengths
    assert data.naming_w is not None
    ws = data.generator.mapping.broadcast(data.naming_w)
    for sign in (1, -1):
        moved = found.shift(ws, 0, ws.new_full((len(ws),), sign * float(strengths[0])))
        published = published_displacement(toy.load(), ws + moved, ws)
        assert torch.allclose(published, torch.full_like(published, STEP), rtol=1e-4)


def everything(data: FitData, found: Candidates, monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """Changes (K, 2, 35) of all pairs on all codes, without a race."""
    monkeypatch.setattr(naming_race, "FIRST_CODES", 10**6)
    return measure(data, found).changes.reshape(found.count, 2, -1)


def test_changes_are_those_of_the_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy shows the mean code, so that a vector in g of L layers moves it by g / L of itself."""
    data, rng = toy.fit_data(300), torch.Generator().manual_seed(4)
    vectors = torch.randn(3, toy.USED, generator=rng) @ toy.BASIS
    spans = [(0, 6), (1, 3), (5, 6)]
    changes = everything(data, candidates(vectors, spans), monkeypatch)
    assert data.naming_w is not None and changes.shape == (3, 2, len(NAMES))
    for index, (first, stop) in enumerate(spans):
        share = (stop - first) / toy.LAYERS
        length = STEP * toy.MEAN_DISTANCE / math.sqrt(share)
        step = share * length * vectors[index] / vectors[index].norm()
        for side, sign in enumerate((1, -1)):
            after, before = toy.values_of(data.naming_w + sign * step), toy.values_of(data.naming_w)
            expected = (after - before).double().mean(dim=0) / data.values.double().std(dim=0)
            assert torch.allclose(changes[index, side], expected, atol=1e-4)


def test_selectivity_is_the_loop() -> None:
    changes = torch.randn(2, 2, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = selectivities(changes)
    for index in np.ndindex(2, 2, 5):
        sizes = changes[index[:2]].abs().tolist()
        own = sizes.pop(index[2])
        assert float(found[index]) == pytest.approx(own / (own + sum(sizes) / len(sizes)))
    assert not selectivities(torch.zeros(1, 2, 5)).any()


def test_a_trace_of_a_saturated_attribute_decides_no_selectivity() -> None:
    """One candidate raises age, and a trace of what one image in a hundred has: ten of its tiny deviations."""
    changes = torch.zeros(1, 2, len(NAMES), dtype=torch.float64)
    changes[0, 0, index_of("age")], changes[0, 0, index_of("eye_occluded")] = 0.5, 10.0
    data = toy.fit_data(200)
    data.values[:, index_of("eye_occluded")] = 1e-4
    data.values[:2, index_of("eye_occluded")] = 2e-3
    usable = torch.from_numpy(Units.of(logits_of(data.values).numpy()).usable)
    assert usable.sum() == len(NAMES) - 1
    assert float(selectivities(changes)[0, 0, index_of("age")]) < LEAST_SELECTIVITY
    assert float(selectivities(changes, usable)[0, 0, index_of("age")]) == 1.0


def pick(changes: Tensor, selectivity: Tensor) -> tuple[int, int, bool]:
    """Candidate, index of its sign, and whether it is selective enough: of one attribute, from (K, 2) each."""
    pair, qualified = named(changes.reshape(-1, 1), selectivity.reshape(-1, 1))
    return int(pair) // 2, int(pair) % 2, bool(qualified)


def test_rounding_gives_no_name() -> None:
    """Changes that differ by less than a scorer's answers for one image do, in whatever batch, choose nothing."""
    same = torch.tensor([[0.5, -0.5], [0.5 + 1e-5, -0.5]])
    assert pick(same, torch.ones(2, 2)) == (0, 0, True)
    assert pick(torch.tensor([[0.5, -0.5], [0.51, -0.5]]), torch.ones(2, 2)) == (1, 0, True)
    nothing = torch.tensor([[1e-9, -2e-9], [-3e-7, 4e-7]])
    assert pick(nothing, torch.ones(2, 2)) == (0, 0, False)


def test_the_strongest_selective_candidate_wins() -> None:
    changes = torch.tensor([[3.0, -3.0], [1.0, 2.0], [0.5, -0.5]])
    enough, little = LEAST_SELECTIVITY, LEAST_SELECTIVITY - 0.01
    assert pick(changes, torch.full((3, 2), enough)) == (0, 0, True)
    assert pick(changes, torch.tensor([[little, 1.0], [enough, enough], [1.0, 1.0]])) == (1, 1, True)
    assert pick(changes, torch.tensor([[little, 1.0], [little, little], [enough, 1.0]])) == (2, 0, True)


def test_without_a_selective_candidate_the_strongest_is_flagged() -> None:
    changes = torch.tensor([[1.0, -4.0], [0.5, 2.0]])
    assert pick(changes, torch.zeros(2, 2)) == (1, 1, False)
    assert pick(-torch.ones(2, 2), torch.ones(2, 2)) == (0, 0, False), "lowering an attribute is not raising it"


def test_an_attribute_without_spread_is_flagged() -> None:
    data = toy.fit_data(200)
    data.values[:, index_of("headwear")] = 0.25
    naming = name_directions(data, candidates(toy.DIRECTIONS))
    flagged = [name.attribute for name in naming.names if not name.qualified]
    assert flagged == ["headwear"] == naming.facts()["naming_unqualified"]
    assert naming.names[index_of("headwear")].change == 0


def test_a_candidate_that_moves_nothing_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    data, found = toy.fit_data(200), candidates(torch.stack([torch.zeros(512), toy.DIRECTIONS[5]]))
    changes = everything(data, found, monkeypatch)
    measured = measure(data, found)
    assert not changes[0].any() and float(measured.strengths[0]) == 0 and measured.images == 2 * 32
    assert changes[1].any() and bool(torch.isfinite(changes).all())


def test_facts_give_the_naming_back() -> None:
    naming = name_directions(toy.fit_data(200), candidates(toy.DIRECTIONS[:4]))
    assert Naming.from_facts(naming.facts()) == naming
    assert naming.facts()["naming_candidates"] == 8


def test_the_race_gives_the_names_of_all_pairs_on_all_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each attribute's own direction, among as many at random."""
    data = toy.fit_data(400, naming_w=toy.draw_w(128, seed=3))
    vectors = torch.randn(70, toy.USED, generator=torch.Generator().manual_seed(8)) @ toy.BASIS
    vectors[::2] = toy.DIRECTIONS
    raced = name_directions(data, candidates(vectors))
    monkeypatch.setattr(naming_race, "FIRST_CODES", 128)
    plain = name_directions(data, candidates(vectors))
    assert plain.images == 140 * 128 and raced.images < plain.images / 2
    assert raced.tried == plain.tried == 140 and raced.codes == plain.codes == 128
    for one, other in zip(raced.names, plain.names, strict=True):
        assert one.candidate == 2 * index_of(one.attribute) and one.sign == 1
        assert (one.candidate, one.sign, one.qualified) == (other.candidate, other.sign, other.qualified)
        assert one.change == pytest.approx(other.change, abs=1e-4), "measured on all codes"


def test_names_in_bfloat16_are_close_and_the_generator_is_as_it_was() -> None:
    types = set()
    data = toy.fit_data(200)
    synthesis = data.generator.synthesis
    full = name_directions(data, candidates(toy.DIRECTIONS))
    watched = replace(data, naming_precision=BFLOAT16, progress=lambda *report: types.add(synthesis.half_type))
    narrow = name_directions(watched, candidates(toy.DIRECTIONS))
    assert types == {torch.bfloat16} and synthesis.half_type is None
    changes = [(one.change, other.change) for one, other in zip(full.names, narrow.names, strict=True)]
    assert all(one == pytest.approx(other, abs=0.02) for one, other in changes)
    assert any(one != other for one, other in changes)


def test_every_image_of_a_moved_code_is_counted() -> None:
    data, seen = toy.fit_data(200), []
    scorer = data.scorer_a

    def counted(images: Tensor) -> Tensor:
        seen.append(len(images))
        return scorer(images)

    naming = name_directions(replace(data, scorer_a=counted), candidates(toy.DIRECTIONS))
    assert naming.facts()["naming_images"] == sum(seen) - 32, "the unmoved codes apart"
    assert 70 * 16 < naming.images < 70 * 32


class InterruptedNamingError(Exception):
    """A naming that was stopped."""


class Given(Unnamed):
    """A method that finds what it is given."""

    name: ClassVar[str] = "given"
    version: ClassVar[int] = 1
    paper: ClassVar[Paper] = Paper("Given", "tests")
    unit: ClassVar[str] = "one"

    def __init__(self, vectors: Tensor) -> None:
        self.vectors = vectors

    def parameters(self) -> dict[str, Any]:
        return {}

    def find(self, data: FitData) -> Candidates:
        return candidates(self.vectors)

    def rebuild(self, state: dict[str, Tensor], facts: dict[str, Any]) -> Candidates:
        return candidates(state["vectors"])


def interrupted_fit(method: Given, folder: Path, stop: int) -> None:
    """Name until so many images of moved codes were looked at."""

    def interrupt(done: int, total: int, message: str) -> None:
        if done == stop:
            raise InterruptedNamingError

    with pytest.raises(InterruptedNamingError):
        method.fit(toy.fit_data(200, checkpoints=folder, progress=interrupt))


@pytest.mark.parametrize(("stop", "kept"), [(16, 0), (112, 64), (336, 320), (400, 384)])
def test_a_resumed_naming_gives_the_same_bits(
    stop: int, kept: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 20 pairs on 16 codes, and of those left on 16 more; stopped in the first look and in the second."""
    monkeypatch.setattr(naming, "CHECKPOINT_IMAGES", 4 * 16)
    whole, resumed, done = Given(toy.DIRECTIONS[:10]), Given(toy.DIRECTIONS[:10]), []
    whole.fit(toy.fit_data(200))
    interrupted_fit(Given(toy.DIRECTIONS[:10]), tmp_path, stop)
    resumed.fit(toy.fit_data(200, checkpoints=tmp_path, progress=lambda done_, total, text: done.append(done_)))
    assert done[0] == kept, "measured pairs are not measured again"
    assert resumed.facts() == whole.facts()
    assert all(torch.equal(tensor, resumed.state()[name]) for name, tensor in whole.state().items())


def test_a_naming_of_other_candidates_or_codes_is_not_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(naming, "CHECKPOINT_IMAGES", 2 * 16)
    interrupted_fit(Given(toy.DIRECTIONS[:10]), tmp_path, 5 * 16)
    kept = (tmp_path / "given-naming.pt").read_bytes()
    for vectors, codes in ((toy.DIRECTIONS[10:20], 77), (toy.DIRECTIONS[:10], 78)):
        whole, other = Given(vectors), Given(vectors)
        changes = {"naming_w": toy.draw_w(32, seed=codes)}
        whole.fit(toy.fit_data(200, **changes))
        (tmp_path / "given-naming.pt").write_bytes(kept)
        other.fit(toy.fit_data(200, checkpoints=tmp_path, **changes))
        assert "other settings or data" in caplog.text and other.facts() == whole.facts()
        caplog.clear()


def test_neither_labelled_codes_nor_the_truth_are_looked_at() -> None:
    """Only naming_w, and the labels' spread: other training codes of the same labels give the same names."""
    data = toy.fit_data(200)
    other = toy.fit_data(200, w=torch.full_like(data.w, torch.nan))
    found = candidates(toy.DIRECTIONS)
    assert name_directions(data, found) == name_directions(other, found)


@pytest.mark.parametrize("missing", ["naming_w", "mean_distance"])
def test_no_codes_to_name_on_is_an_error(missing: str) -> None:
    data: FitData = toy.fit_data(50, **{missing: None})
    with pytest.raises(StageError, match="naming_w"):
        name_directions(data, candidates(toy.DIRECTIONS))


def test_no_candidates_are_an_error() -> None:
    empty: Candidates = candidates(torch.zeros(0, 512))
    with pytest.raises(StageError, match="layer groups"):
        name_directions(toy.fit_data(50), empty)


def test_naming_codes_are_those_of_their_own_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    px8.lend(monkeypatch)
    settings = px8.tiny_settings(tmp_path)
    compute(settings, "latents", "naming")
    ids, as_stage = read_w(reading(settings, "latents", "naming"), "naming")
    found = naming_w(settings)
    assert found.shape == (settings.experiment.n_naming_codes, 512) and found.tobytes() == as_stage.tobytes()
    for which in SETS:
        first, count = id_range(settings, which)
        assert not set(ids.tolist()) & set(range(first, first + count))


def test_the_naming_codes_are_in_the_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    px8.lend(monkeypatch)
    settings = px8.tiny_settings(tmp_path)
    fewer = replace(settings, experiment=replace(settings.experiment, n_naming_codes=16))
    stages = [stage_of(each, "train", px8.METHOD).fingerprint for each in (settings, fewer)]
    assert stages[0] != stages[1]
