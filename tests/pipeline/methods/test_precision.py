"""Methods learn through networks in bfloat16, and read and differentiate in float32."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest
import torch

from pipeline.methods.contrastive.latentclr import LatentCLR
from pipeline.methods.interface import FitData
from pipeline.methods.precision import full_precision, learning_in, warn_of_slow_products
from pipeline.networks import reduced
from pipeline.settings.experiment import BFLOAT16, FULL
from tests.worlds import px16


@pytest.fixture
def data() -> FitData:
    domain = px16.load(torch.device("cpu"))
    w = torch.randn(3, 512, generator=torch.Generator().manual_seed(0))
    networks = {name: getattr(domain, name) for name in ("generator", "scorer_a", "recognizer_a")}
    return FitData(w=w, values=torch.zeros(3, 35), seed=0, device=torch.device("cpu"), **networks)


def read(data: FitData) -> tuple[torch.Tensor, torch.Tensor]:
    """Scorer A's values of the data's codes, and the gradient of their sum."""
    w = data.w.clone().requires_grad_()
    values = data.scorer_a(data.generator.synthesis(data.generator.mapping.broadcast(w)))
    values.sum().backward()
    assert w.grad is not None
    return values.detach(), w.grad


def test_full_precision_leaves_the_data_as_they_are(data: FitData) -> None:
    with learning_in(FULL, data) as given:
        assert given is data and data.generator.synthesis.half_type is None


def test_values_and_gradients_are_float32_and_close_to_those_in_full_precision(data: FitData) -> None:
    values, gradient = read(data)
    with learning_in(BFLOAT16, data) as given:
        close, close_gradient = read(given)
        assert given.recognizer_a(torch.zeros(1, 3, 16, 16)).dtype == torch.float32
    assert close.dtype == close_gradient.dtype == torch.float32
    assert 0 < float((close - values).abs().max()) < 0.02
    assert torch.cosine_similarity(close_gradient.flatten(), gradient.flatten(), dim=0) > 0.999


def test_the_generator_is_as_it_was_even_after_an_error(data: FitData) -> None:
    values, _ = read(data)
    with pytest.raises(ZeroDivisionError), learning_in(BFLOAT16, data):
        assert data.generator.synthesis.half_type == torch.bfloat16
        raise ZeroDivisionError
    assert data.generator.synthesis.half_type is None and torch.equal(read(data)[0], values)


def test_differences_of_features_are_taken_in_full_precision(data: FitData) -> None:
    """Both trainings give the same bits, though the generator is in bfloat16 around the second."""
    data.w = torch.randn(16, 512, generator=torch.Generator().manual_seed(1))
    settings = {"directions": 2, "steps": 2, "batch": 2, "depth": 2}
    expected = LatentCLR(**settings).find(data).state()
    with learning_in(BFLOAT16, data) as given:
        found = LatentCLR(**settings).find(given).state()
        assert data.generator.synthesis.half_type == torch.bfloat16
    assert expected and all(torch.equal(tensor, found[name]) for name, tensor in expected.items())
    with pytest.raises(ZeroDivisionError), full_precision(data.generator):
        raise ZeroDivisionError
    assert data.generator.synthesis.half_type is None


@pytest.mark.parametrize("capable", [True, False])
def test_a_processor_without_bfloat16_is_named_once(
    capable: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    warn_of_slow_products.cache_clear()
    monkeypatch.setattr(
        reduced.torch, "cpu", SimpleNamespace(get_capabilities=lambda: {"amx_bf16": capable, "avx512_bf16": False})
    )
    with caplog.at_level(logging.WARNING, "latentbench"):
        warn_of_slow_products("cpu")
        warn_of_slow_products("cpu")
        warn_of_slow_products("cuda")
    assert ["training_precision = full" in record.message for record in caplog.records] == [True] * (not capable)
    warn_of_slow_products.cache_clear()
