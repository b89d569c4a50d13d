"""Consistency: vectors in w commute and undo exactly, an edit that depends on what it finds does neither."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from pipeline.attributes import index_of
from pipeline.chain.consistency.edits import reorder, strengths_of, triple_of
from pipeline.chain.inputs import Spread
from pipeline.chain.views import displacement, synthesise
from pipeline.domains import base
from pipeline.methods.controls import NoOp
from pipeline.methods.interface import Faces, Method, silent
from pipeline.methods.interfacegan_z import InterFaceGANZ
from pipeline.methods.masking import masked
from pipeline.methods.styleflow.method import StyleFlow
from pipeline.metrics.base import Measured, get
from pipeline.statistics.units import logits_of
from pipeline.tables import schemas
from pipeline.tables.parquet import read_stage
from tests.builders.chains import stage_of
from tests.pipeline.chain.curves.test_edits import rated
from tests.worlds import px16, toy
from tests.worlds.along import Along

EIGHT = ("age", "baldness", "beard", "expression", "gender", "glasses", "pitch", "yaw")
SPREAD = Spread(np.full(35, 0.5), np.full(35, 0.25))
TRIPLES = [
    ("age", "beard", "glasses"),
    ("age", "pitch", "yaw"),
    ("beard", "expression", "yaw"),
    ("age", "beard", "yaw"),
]


class Turning(Along):
    """An edit that is larger the farther the code is from the origin: it neither commutes nor undoes."""

    name: ClassVar[str] = "turning"

    def edit(self, ws: Tensor, strengths: Tensor, values: Tensor) -> Tensor:
        return ws + (super().edit(ws, strengths, values) - ws) * (1 + ws.norm(dim=2, keepdim=True) / 10)


class Reading(Along):
    """A plug-in of the old signature whose edits depend on the values that it is given."""

    name: ClassVar[str] = "reading"

    def edit(self, ws: Tensor, strengths: Tensor, values: Tensor) -> Tensor:
        return ws + (super().edit(ws, strengths, values) - ws) * values[:, index_of("gender"), None, None] * 2


def in_z() -> InterFaceGANZ:
    method = InterFaceGANZ()
    drawn = torch.randn(35, 512, generator=torch.Generator().manual_seed(6))
    method.restore({"directions": 10 * torch.nn.functional.normalize(drawn, dim=1)}, {})
    return method


def flow() -> StyleFlow:
    """Hardly trained, on codes of the scenes' generator."""
    method = StyleFlow(steps=6, batch=16, width=8, layers=1)
    z = torch.randn(64, 512, generator=torch.Generator().manual_seed(2))
    w = base.load(px16.NAME, "cpu").generator.map_to_w(z)
    method.fit(toy.fit_data(64, w=w, values=toy.values_of(w)))
    return method


@pytest.fixture(autouse=True)
def scene_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(base.MODULES, px16.NAME, "tests.worlds.px16")


@torch.no_grad()
def reordered(
    method: Method, width: int = 3, spread: Spread = SPREAD
) -> tuple[dict[str, np.ndarray], Faces, np.ndarray]:
    domain = base.load(px16.NAME, "cpu")
    z = torch.randn(4, 512, generator=torch.Generator().manual_seed(1))
    ws = domain.generator.mapping.broadcast(domain.generator.map_to_w(z))
    faces = Faces(ws, domain.scorer_a(synthesise(domain, ws)), z, domain.generator.mapping)
    strengths = np.array([[1.0, -2.0, 1.5][:width]] * 4)
    triples = [triple[:width] for triple in TRIPLES]
    return reorder(domain, method, faces, triples, strengths, spread, silent), faces, strengths


def test_a_vector_in_w_commutes_and_undoes() -> None:
    found, _, _ = reordered(Along())
    assert found.pop("displacement").min() > 0.05
    for name, values in found.items():
        assert np.abs(values).max() < 2e-3, name


def test_one_attribute_has_one_order_and_is_still_undone() -> None:
    found, _, _ = reordered(Turning(), 1)
    assert all(not found[name].any() for name in ("order_score_spread", "order_lpips", "order_displacement"))
    assert found["at_once_displacement"].max() < 1e-6 < found["undo_displacement"].min()


def test_no_edit_is_perfectly_consistent_and_went_nowhere() -> None:
    found, _, _ = reordered(NoOp())
    assert found and all(np.abs(values).max() < 1e-5 for values in found.values())


@pytest.mark.parametrize("method", [in_z, lambda: masked(in_z(), "styleflow")], ids=["plain", "masked"])
def test_edits_of_z_add_up_in_z(method: Callable[[], Method]) -> None:
    """In whatever order, all at once, and undone: z plus the sum of the steps. One plain, one in some layers only."""
    found, _, _ = reordered(method())
    assert found.pop("displacement").min() > 0.05
    for name, values in found.items():
        assert np.abs(values).max() < 1e-3, name


@pytest.mark.parametrize("mask", ["none", "styleflow"])
def test_a_flow_that_knows_what_it_was_asked_for_undoes(mask: str) -> None:
    """Scorer A, which is a map at random here, reads other values off the edited image."""
    found, _, _ = reordered(masked(flow(), mask))
    assert found["displacement"].min() > 0.05 and found["undo_identity_recognizer_b"].max() < 1e-3
    assert found["undo_displacement"].max() < 1e-3 and np.abs(found["undo_lpips"]).max() < 1e-3


@pytest.mark.parametrize("kind", [Turning, Reading])
@torch.no_grad()
def test_numbers_are_those_of_a_slow_loop(kind: Callable[[], Method]) -> None:
    """Every edit by `edit` alone, with values that scorer A reads off the image that it starts from."""
    method, domain = kind(), base.load(px16.NAME, "cpu")
    found, faces, strengths = reordered(method)

    def step(ws: Tensor, name: str, strength: float) -> Tensor:
        vector = torch.zeros(1, 35)
        vector[0, index_of(name)] = strength
        return method.edit(ws, vector, domain.scorer_a(synthesise(domain, ws)))

    def scores(ws: Tensor, triple: tuple[str, ...]) -> np.ndarray:
        logits = logits_of(domain.scorer_b(synthesise(domain, ws)))[0]
        return np.array([float(logits[index_of(name)]) / 0.25 for name in triple])

    for face in (0, 2):
        start, triple, ends = faces.ws[face : face + 1], TRIPLES[face], []
        for order in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)):
            ws = start
            for place in order:
                ws = step(ws, triple[place], strengths[face, place])
            ends.append(ws)
        seen = np.stack([scores(ws, triple) for ws in ends])
        assert found["order_score_spread"][face] == pytest.approx(seen.std(axis=0).mean(), rel=1e-3, abs=1e-5)
        apart = [float(displacement(domain, a, b)) for i, a in enumerate(ends) for b in ends[:i]]
        assert found["order_displacement"][face] == pytest.approx(np.mean(apart), rel=1e-3)
        undone = step(step(start, triple[0], strengths[face, 0]), triple[0], -strengths[face, 0])
        assert found["undo_displacement"][face] == pytest.approx(float(displacement(domain, undone, start)), rel=1e-3)
        assert found["undo_displacement"][face] > 1e-3


def test_a_triple_is_three_attributes_by_seed_and_face() -> None:
    triples = [triple_of(7, face, EIGHT) for face in range(2000)]
    assert triples == [triple_of(7, face, EIGHT) for face in range(2000)]
    assert triples != [triple_of(8, face, EIGHT) for face in range(2000)]
    counts = pd.Series([name for triple in triples for name in triple]).value_counts()
    assert all(len(set(triple)) == 3 for triple in triples)
    assert counts.min() > 0.9 * 750 and counts.max() < 1.1 * 750
    assert triple_of(7, 3, ("age", "yaw")) == ("age", "yaw")


def test_a_face_is_edited_where_it_has_room() -> None:
    values = np.full((2, 35), 0.1)
    values[1] = 0.9
    ends: dict[str, Any] = {"age": (-4.0, 6.0), "yaw": (-1.0, 2.0), "beard": (-3.0, 3.0)}
    assert strengths_of([("age", "beard", "yaw")] * 2, values, ends, 0.5).tolist() == [
        [3.0, 1.5, 1.0],
        [-2.0, -1.5, -0.5],
    ]


def test_the_chain_scores_it(tmp_path: Path) -> None:
    settings = rated(tmp_path, ("random",))
    table = read_stage(stage_of(settings, "consistency", "random"), settings.outputs, schemas.CONSISTENCY)
    assert table.num_rows == settings.experiment.n_consistency_faces
    assert table.column("carried").null_count == table.num_rows, "vectors in w carry nothing"
    stage = stage_of(settings, "rating", "random")
    scores = read_stage(stage, settings.outputs, schemas.STAGE_SCORES).to_pandas()
    own = scores[scores["protocol"] == "consistency-1"].set_index("metric")
    assert own["value"]["undo_displacement"] == pytest.approx(np.mean(table.column("undo_displacement").to_pylist()))
    assert own["value"]["consistency_displacement"] > 0
    assert own["flag"].str.contains("fewer than 10 faces").all()


def test_an_attribute_without_a_unit_is_in_no_mean() -> None:
    """The scores of a face are of the attributes of its triple that have a usable spread; of none there is no score."""
    own = [index_of(name) for name in TRIPLES[0]]
    left_out = np.full(35, 0.25)
    left_out[own[0]] = np.nan
    two = reordered(Turning(), spread=Spread(np.full(35, 0.5), left_out))[0]
    whole = reordered(Turning())[0]
    assert np.isfinite(two["order_score_spread"]).all() and two["order_score_spread"][0] > 0
    assert two["order_score_spread"][0] != whole["order_score_spread"][0]
    assert two["order_lpips"].tolist() == whole["order_lpips"].tolist()
    none = reordered(Turning(), spread=Spread(np.full(35, 0.5), np.full(35, np.nan)))[0]
    assert np.isnan(none["order_score_spread"]).all() and np.isnan(none["at_once_score_difference"]).all()


def test_a_face_without_a_score_is_in_no_mean() -> None:
    columns = {"face_id": np.arange(3), "order_score_spread": np.array([0.2, np.nan, 0.4])}
    (found,) = get("order_score_spread").score(Measured(method="noop", attribute="all", columns=columns))
    assert found.estimate.value == pytest.approx(0.3) and found.estimate.n_faces == 2
