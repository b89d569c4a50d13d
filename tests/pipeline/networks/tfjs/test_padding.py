from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from pipeline.networks.tfjs.padding import SameConv2d, margins, max_pool_same


@pytest.mark.parametrize("size", range(1, 12))
@pytest.mark.parametrize(("kernel", "stride"), [(1, 2), (2, 2), (3, 1), (3, 2), (5, 2), (7, 3)])
def test_margins_by_counting(size: int, kernel: int, stride: int) -> None:
    """The fewest positions with which the windows number ceil(size / stride), the odd one last."""
    before, after = margins(size, kernel, stride)
    windows = -(-size // stride)
    needed = next(more for more in range(kernel + 1) if (size + more - kernel) // stride + 1 >= windows)
    assert before + after == needed and after - before in (0, 1)


@pytest.mark.parametrize("size", [(6, 6), (5, 6), (7, 7)])
@pytest.mark.parametrize("stride", [1, 2])
def test_convolution_by_its_definition(size: tuple[int, int], stride: int) -> None:
    torch.manual_seed(0)
    maps = torch.randn(2, 3, *size)
    convolution = SameConv2d(3, 4, 3, stride)
    result = convolution(maps)
    top, left = (margins(side, 3, stride)[0] for side in size)
    around = functional.pad(maps, (3, 3, 3, 3))
    assert result.shape == (2, 4, -(-size[0] // stride), -(-size[1] // stride))
    for row in range(result.shape[2]):
        for column in range(result.shape[3]):
            y, x = row * stride - top + 3, column * stride - left + 3
            seen = around[:, None, :, y : y + 3, x : x + 3]
            expected = (seen * convolution.weight).sum(dim=(2, 3, 4)) + convolution.bias
            torch.testing.assert_close(result[:, :, row, column], expected, rtol=1e-5, atol=1e-5)


def test_maxima_see_no_margin() -> None:
    maps = -1 - torch.rand(1, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    pooled = max_pool_same(maps, (3, 3), (2, 2))
    assert pooled.shape == (1, 1, 2, 2)
    assert pooled[0, 0, 1, 1] == maps[0, 0, 2:, 2:].max() and pooled[0, 0, 0, 0] == maps[0, 0, :3, :3].max()
