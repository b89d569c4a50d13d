"""The MobileStyleGAN generator, with the contract of the StyleGAN2 generator."""

from __future__ import annotations

from typing import ClassVar

from stylegan.architecture import Architecture
from stylegan.generator import Generator
from stylegan.mobile.architecture import MobileArchitecture
from stylegan.mobile.synthesis import MobileSynthesis
from stylegan.synthesis import SynthesisNetwork


class MobileGenerator(Generator):
    """A MobileStyleGAN generator, with random weights until weights are loaded.

    Belousov, arXiv 2104.04767. Mapping network, truncation and fixed noise are StyleGAN2's, and the same w means the
    same face. It has two codes and one feature map less than StyleGAN2 of the same resolution; its layers are named
    b4.conv1, b8.up, b8.conv1, b8.conv2, ..., and the last one b1024.torgb.

    >>> import torch
    >>> generator = MobileGenerator(resolution=16, channels={4: 16, 8: 16}, z_dim=32, w_dim=32)
    >>> ws = generator.mapping(torch.randn(2, 32), truncation_psi=0.7)
    >>> tuple(ws.shape), tuple(generator.synthesis(ws).shape), tuple(generator.features(ws, "b8").shape)
    ((2, 4, 32), (2, 3, 16, 16), (2, 16, 8, 8))
    >>> [(layer.name, layer.ws_index) for layer in generator.affine_weights()]
    [('b4.conv1', 0), ('b8.up', 1), ('b8.conv1', 1), ('b8.conv2', 2), ('b16.torgb', 3)]
    """

    architecture_type: ClassVar[type[Architecture]] = MobileArchitecture
    synthesis_type: ClassVar[type[SynthesisNetwork]] = MobileSynthesis
