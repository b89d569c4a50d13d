"""NVIDIA's formulas for a StyleGAN2 generator, in NumPy and float64, with loops: from a state dict to images.

Nothing of `stylegan` is used: the equations of Karras et al., CVPR 2020, with the constants of
stylegan2-ada-pytorch, on arrays under its names.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Floats = np.ndarray[Any, Any]

TAPS = np.array([1.0, 3.0, 3.0, 1.0]) / 8.0


def leaky(x: Floats) -> Floats:
    return np.where(x < 0, 0.2 * x, x) * math.sqrt(2.0)


def map_to_w(state: dict[str, Floats], z: Floats) -> Floats:
    w = z / np.sqrt((z**2).mean(axis=1, keepdims=True) + 1e-8)
    layer = 0
    while f"mapping.fc{layer}.weight" in state:
        weight, bias = state[f"mapping.fc{layer}.weight"], state[f"mapping.fc{layer}.bias"]
        w = leaky(w @ weight.T * (0.01 / math.sqrt(weight.shape[1])) + bias * 0.01)
        layer += 1
    return w


def low_pass(x: Floats, before: int, after: int) -> Floats:
    """Each row, then each column, with the four taps; the gain of two each is that of upsampling."""
    for _ in range(2):
        padded = np.pad(x, ((0, 0), (0, 0), (before, after)))
        size = padded.shape[2] - 3
        x = sum(2 * TAPS[3 - tap] * padded[:, :, tap : tap + size] for tap in range(4)).swapaxes(1, 2)
    return x


def convolve(x: Floats, kernel: Floats, *, upsampling: bool) -> Floats:
    """x (in, h, w) with a kernel (out, in, k, k): a correlation, or a transposed convolution and the low pass."""
    channels_out, _, size, _ = kernel.shape
    _, height, width = x.shape
    if upsampling:
        full = np.zeros((channels_out, 2 * height + size - 2, 2 * width + size - 2))
        for row in range(height):
            for column in range(width):
                patch = np.einsum("i,oikl->okl", x[:, row, column], kernel)
                full[:, 2 * row : 2 * row + size, 2 * column : 2 * column + size] += patch
        return low_pass(full, 1, 1)
    margin = size // 2
    padded = np.pad(x, ((0, 0), (margin, margin), (margin, margin)))
    result = np.zeros((channels_out, height, width))
    for row in range(height):
        for column in range(width):
            result[:, row, column] = np.einsum(
                "ikl,oikl->o", padded[:, row : row + size, column : column + size], kernel
            )
    return result


def styles(state: dict[str, Floats], layer: str, w: Floats) -> Floats:
    weight = state[f"{layer}.affine.weight"]
    return w @ weight.T / math.sqrt(weight.shape[1]) + state[f"{layer}.affine.bias"]


def styled(state: dict[str, Floats], layer: str, x: Floats, w: Floats, noise: str, clamp: float | None) -> Floats:
    kernel = state[f"{layer}.weight"] * styles(state, layer, w)[None, :, None, None]
    kernel = kernel / np.sqrt((kernel**2).sum(axis=(1, 2, 3), keepdims=True) + 1e-8)
    x = convolve(x, kernel, upsampling=layer.endswith("conv0"))
    if noise == "const":
        x = x + state[f"{layer}.noise_const"] * state[f"{layer}.noise_strength"]
    x = leaky(x + state[f"{layer}.bias"][:, None, None])
    return x if clamp is None else x.clip(-clamp, clamp)


def to_rgb(state: dict[str, Floats], layer: str, x: Floats, w: Floats, clamp: float | None) -> Floats:
    weight = state[f"{layer}.weight"]
    kernel = weight * (styles(state, layer, w) / math.sqrt(weight.shape[1]))[None, :, None, None]
    image = convolve(x, kernel, upsampling=False) + state[f"{layer}.bias"][:, None, None]
    return image if clamp is None else image.clip(-clamp, clamp)


def upsampled(image: Floats) -> Floats:
    spread = np.zeros((image.shape[0], 2 * image.shape[1], 2 * image.shape[2]))
    spread[:, ::2, ::2] = image
    return low_pass(spread, 2, 1)


def images(
    state: dict[str, Floats], z: Floats, *, psi: float = 1.0, noise: str = "const", clamp: float | None = None
) -> Floats:
    """z (n, z_dim) -> images (n, 3, size, size)."""
    average = state["mapping.w_avg"]
    made = []
    for w in average + psi * (map_to_w(state, z) - average):
        x, image, resolution = state["synthesis.b4.const"], None, 4
        while f"synthesis.b{resolution}.conv1.weight" in state:
            block = f"synthesis.b{resolution}"
            for layer in ("conv0", "conv1"):
                if f"{block}.{layer}.weight" in state:
                    x = styled(state, f"{block}.{layer}", x, w, noise, clamp)
            rgb = to_rgb(state, f"{block}.torgb", x, w, clamp)
            image = rgb if image is None else upsampled(image) + rgb
            resolution *= 2
        made.append(image)
    return np.stack(made)
