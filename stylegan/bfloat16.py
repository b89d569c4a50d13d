"""Convolutions in bfloat16 on a CPU, for processors that multiply matrices of it (AVX512_BF16, AMX).

There a convolution costs less than the passes over memory around it, so one choice of `stylegan.fused` turns around:
upsampling and its low-pass filter are one convolution with four kernels, one for each parity of a pixel's row and
column. That is 36 products for each pair of channels where 9 and a filter were, and no pass over the large image.

bfloat16 has float32's range, so neither weights nor activations are scaled or bounded, as float16's are. Kernels, and
the squared norms that demodulation needs, are prepared once for weights that record no gradient.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.weak import WeakTensorKeyDictionary

Prepared = tuple[Tensor, Tensor]  # kernel for `convolve`; squared norms (channels out, channels in)

_PREPARED = WeakTensorKeyDictionary()  # weight -> (its version, whether it upsamples), what was prepared


def convolve(x: Tensor, kernel: Tensor, upsampling: bool) -> Tensor:
    """x (batch, in, height, width) with a prepared kernel: (batch, out, height, width), or twice as large."""
    x = functional.conv2d(x, kernel, padding=kernel.shape[2] // 2)
    if not upsampling:
        return x
    batch, parities, height, width = x.shape
    channels = parities // 4
    x = x.permute(0, 2, 3, 1).reshape(batch, height, width, 2, 2, channels).transpose(2, 3)
    return x.reshape(batch, 2 * height, 2 * width, channels).permute(0, 3, 1, 2)


def prepared(weight: Tensor, upsampling_kernel: Tensor | None) -> Prepared:
    """The kernel in bfloat16 with channels last, and the squared norms of the weight by pairs of channels.

    Kept for as long as the weight lives and is not written to, unless it records gradients.
    """
    fixed = not (weight.is_inference() or (weight.requires_grad and torch.is_grad_enabled()))
    key = (weight._version, upsampling_kernel is not None) if fixed else None
    if fixed and weight in _PREPARED and _PREPARED[weight][0] == key:
        kept: Prepared = _PREPARED[weight][1]
        return kept
    if not fixed:
        return _prepare(weight, upsampling_kernel)
    with torch.inference_mode(False), torch.no_grad():  # usable whether gradients are recorded later or not
        result = _prepare(weight, upsampling_kernel)
    _PREPARED[weight] = (key, result)
    return result


def _prepare(weight: Tensor, upsampling_kernel: Tensor | None) -> Prepared:
    kernel = weight if upsampling_kernel is None else parity_kernels(weight, upsampling_kernel)
    kernel = kernel.to(torch.bfloat16).contiguous(memory_format=torch.channels_last)
    return kernel, weight.square().sum(dim=(2, 3))


def parity_kernels(weight: Tensor, upsampling_kernel: Tensor) -> Tensor:
    """Kernels (4 out, in, 3, 3) that upsample, convolve and filter an image of the low resolution at once.

    weight (out, in, 3, 3), upsampling_kernel (4, 4). In turn for the results at even rows and columns, even and odd,
    odd and even, odd and odd.

    A transposed convolution of stride two takes pixel i to 2 i + u by weight[u]; the filter of four taps with one pixel
    of padding spreads that over six pixels, 2 i - 2 to 2 i + 3. The result at 2 i + p reads pixel i + d by element
    p + 2 - 2 d of the six, for d = -1, 0, 1.
    """
    out, channels = weight.shape[:2]
    taps = 4 * upsampling_kernel.to(weight.dtype)
    spread = functional.conv_transpose2d(weight.reshape(out * channels, 1, 3, 3), taps[None, None])
    spread = spread.reshape(out, channels, 6, 6).flip(2, 3)  # elements 5 to 0: for p = 1 they are the even ones
    return torch.cat([spread[:, :, 1 - row :: 2, 1 - column :: 2] for row in range(2) for column in range(2)])
