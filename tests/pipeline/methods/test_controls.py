"""The controls do what they say and nothing else."""

from __future__ import annotations

import torch

from pipeline.attributes import NAMES, index_of
from pipeline.methods.controls import NoOp, RandomDirection
from tests.worlds import toy


def test_random_directions_are_unit_vectors_of_seed_and_attribute() -> None:
    method, other = RandomDirection(), RandomDirection()
    method.fit(toy.fit_data(50, seed=1))
    other.fit(toy.fit_data(200, seed=2))
    assert torch.allclose(method.directions_.norm(dim=1), torch.ones(len(NAMES)), atol=1e-6)
    products = method.directions_ @ torch.cat([method.directions_, other.directions_]).T
    products -= torch.eye(len(NAMES), 2 * len(NAMES))
    assert float(products.abs().max()) < 0.25, "no two alike, of one seed or of two"
    again = RandomDirection()
    again.fit(toy.fit_data(80, seed=1))
    assert torch.equal(again.directions_, method.directions_), "whatever the latents"


def test_a_random_edit_is_a_step_of_its_strength() -> None:
    method = RandomDirection()
    method.fit(toy.fit_data(50))
    w = toy.draw_w(4)
    ws = toy.load().generator.mapping.broadcast(w)
    strengths = torch.zeros(4, len(NAMES))
    strengths[:, index_of("beard")] = -3.0
    step = method.edit(ws, strengths, toy.values_of(w)) - ws
    assert torch.allclose(step, -3.0 * method.directions_[index_of("beard")].expand_as(step), atol=1e-5)


def test_the_noop_returns_a_copy() -> None:
    ws = torch.randn(2, 6, 512)
    edited = NoOp().edit(ws, torch.full((2, len(NAMES)), 9.0), torch.zeros(2, len(NAMES)))
    assert torch.equal(edited, ws)
    edited += 1
    assert not torch.equal(edited, ws)
