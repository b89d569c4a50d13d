"""Units that make attributes equal: pairs that pass the threshold, values that are asked for, the size of a miss."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pipeline.attributes import NAMES, index_of
from pipeline.methods.interface import FitData
from pipeline.methods.l2l.method import L2L
from pipeline.methods.l2l.scales import DEVIATIONS, RAW, Scales
from tests.worlds import toy

YAW, SMILE, FEAR = (index_of(name) for name in ("yaw", "smile", "fear"))
NARROW = 0.2  # of yaw, as a share of the other attributes' range


def narrow(count: int) -> FitData:
    """Codes whose yaw uses a fifth of its range, and that never fear."""
    data = toy.fit_data(count)
    values = data.values.clone()
    values[:, YAW] = 0.5 + NARROW * (values[:, YAW] - 0.5)
    values[:, FEAR] = 0.0
    return replace(data, values=values)


def scales_of(data: FitData, units: str) -> Scales:
    return Scales.of(data.w, data.values, data.rng(1), units)


def test_deviations_ask_of_every_attribute_alike() -> None:
    data = narrow(3000)
    asked = {}
    for units in (RAW, DEVIATIONS):
        method = L2L(noop_share=0.0, single_share=0.0, units=units)
        asked[units] = (method.draw_changes(data.values, data.rng(2), scales_of(data, units)) != 0).float().mean(dim=0)
    assert float(asked[RAW][YAW]) == 0 and float(asked[RAW][SMILE]) > 0.4
    others = [column for column in range(len(NAMES)) if column not in (YAW, FEAR)]
    assert float(asked[DEVIATIONS][YAW]) == pytest.approx(float(asked[DEVIATIONS][others].mean()), abs=0.02)


def test_a_unit_is_a_standard_deviation_and_their_mean_square_is_one() -> None:
    data = narrow(1000)
    scales, used = scales_of(data, DEVIATIONS), torch.arange(len(NAMES)) != FEAR
    spread = data.values.std(dim=0)
    assert torch.allclose(scales.unit[used] / scales.unit[SMILE], spread[used] / spread[SMILE], rtol=1e-4)
    assert float(scales.unit[used].square().mean()) == pytest.approx(1.0, rel=1e-5)
    assert (scales.unit[FEAR], scales.low[FEAR], scales.high[FEAR]) == (1, 0, 1), "what never varies has no deviation"
    assert torch.equal(scales_of(data, RAW).unit, torch.ones(len(NAMES)))


def test_a_single_change_asks_for_values_that_codes_have() -> None:
    data = narrow(3000)
    method = L2L(noop_share=0.0, single_share=1.0, threshold=0.1)
    for units, widest in ((RAW, 0.4), (DEVIATIONS, NARROW / 2)):
        change = method.draw_changes(data.values, data.rng(2), scales_of(data, units))
        wanted = (data.values + change)[change[:, YAW] != 0, YAW]
        assert len(wanted) > 20
        assert bool(((wanted - 0.5).abs() <= widest).all()) == (units == DEVIATIONS)


def test_no_value_far_enough_is_no_change() -> None:
    data = narrow(200)
    scales = replace(scales_of(data, RAW), low=data.values.min(dim=0).values, high=data.values.max(dim=0).values)
    method = L2L(noop_share=0.0, single_share=1.0, threshold=0.45)
    change = method.draw_changes(data.values, data.rng(2), scales)
    assert not change[:, YAW].any() and change[:, SMILE].any()


@pytest.mark.parametrize("attribute", [YAW, SMILE])
def test_a_miss_of_one_deviation_costs_the_same_for_every_attribute(attribute: int) -> None:
    class Still(torch.nn.Module):
        def forward(self, w: torch.Tensor, change: torch.Tensor) -> torch.Tensor:
            return w

    data = toy.fit_data(200)
    scales = scales_of(narrow(200), DEVIATIONS)
    change = torch.zeros_like(data.values)
    change[:, attribute] = scales.unit[attribute]
    loss = L2L().each_loss(Still(), data, data.w, data.values, change, scales)[0]
    assert torch.allclose(loss, torch.ones(200), atol=1e-3)


def test_a_strength_is_a_difference_of_values_in_either_unit() -> None:
    data, change = toy.faces(4), torch.zeros(4, len(NAMES))
    change[:, YAW] = 0.1
    method = L2L(width=8, layers=1)
    method.mapper_ = method.new_mapper(512, len(NAMES), toy.LAYERS, torch.Generator().manual_seed(1))
    in_values = method.edit(data.ws, change, data.values)
    method.mapper_.unit[YAW] = 0.25  # a power of two divides exactly
    assert torch.equal(method.edit(data.ws, 0.25 * change, data.values), in_values)
