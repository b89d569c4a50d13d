"""Upsampling, convolution and filter as one convolution; kernels that are prepared once; gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from stylegan import bfloat16, fused
from stylegan.layers import styled_conv2d


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def test_four_parities_are_the_transposed_convolution_and_its_filter() -> None:
    weight, taps, x = random(5, 7, 3, 3), random(4, 4, seed=1), random(2, 7, 6, 9, seed=2)
    expected = fused.low_pass(functional.conv_transpose2d(x, weight.transpose(0, 1), stride=2), taps)
    found = bfloat16.convolve(x, bfloat16.parity_kernels(weight, taps), upsampling=True)
    assert found.shape == (2, 5, 12, 18)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("upsampling", [False, True])
@pytest.mark.parametrize("demodulate", [False, True])
def test_a_layer_is_that_of_full_precision_up_to_rounding(upsampling: bool, demodulate: bool) -> None:
    weight, styles, bias = random(6, 8, 3, 3), random(3, 8, seed=1), random(6, seed=2)
    x, taps = random(3, 8, 4, 4, seed=3), random(4, 4, seed=4).abs() / 12
    noise = random(1, 1, 8, 8, seed=5) if upsampling else random(1, 1, 4, 4, seed=5)
    kernel = taps if upsampling else None
    expected = styled_conv2d(x, weight, styles, bias, noise=noise, demodulate=demodulate, upsampling_kernel=kernel)
    narrow = fused.styled_conv2d(
        x.to(torch.bfloat16), weight, styles, bias, noise=noise, demodulate=demodulate, upsampling_kernel=kernel
    )
    assert narrow.dtype == torch.bfloat16
    error = (narrow.double() - expected).abs().max() / expected.abs().max()
    assert 0 < error < 0.02


def test_a_kernel_is_prepared_once_until_its_weight_is_written_to() -> None:
    weight, taps = random(4, 4, 3, 3, dtype=torch.float32), random(4, 4, dtype=torch.float32)
    first = bfloat16.prepared(weight, taps)
    assert bfloat16.prepared(weight, taps)[0] is first[0]
    assert bfloat16.prepared(weight, None)[0].shape == (4, 4, 3, 3)
    weight *= 2
    assert torch.equal(bfloat16.prepared(weight, taps)[0], 2 * first[0])


def test_a_kernel_that_was_prepared_without_gradients_serves_with_them() -> None:
    weight, styles, bias = (random(*shape, dtype=torch.float32) for shape in ((4, 4, 3, 3), (2, 4), (4,)))
    x = random(2, 4, 4, 4, dtype=torch.float32).to(torch.bfloat16)
    with torch.inference_mode():
        bfloat16.prepared(weight, None)
    styles.requires_grad_()
    fused.styled_conv2d(x, weight, styles, bias).square().sum().backward()
    narrow, styles.grad = styles.grad, None
    fused.styled_conv2d(x.float(), weight, styles, bias).square().sum().backward()
    assert narrow is not None and styles.grad is not None
    assert float((narrow - styles.grad).norm() / styles.grad.norm()) < 0.03


def test_weights_that_learn_get_their_gradient() -> None:
    weight = random(4, 4, 3, 3, dtype=torch.float32).requires_grad_()
    taps = random(4, 4, dtype=torch.float32)
    kernel, squares = bfloat16.prepared(weight, taps)
    (kernel.float().sum() + squares.sum()).backward()
    assert weight.grad is not None and bool(weight.grad.isfinite().all()) and bool(weight.grad.any())
