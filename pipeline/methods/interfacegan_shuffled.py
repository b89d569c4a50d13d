"""InterFaceGAN on shuffled labels: a control that must not work."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from pipeline.methods.interface import FitData, Paper
from pipeline.methods.interfacegan import InterFaceGAN

SHUFFLE = 7_011  # purpose of the random stream that shuffles


class InterFaceGANShuffled(InterFaceGAN):
    """InterFaceGAN on latents with the labels of other latents: w' = w + s n, with n a meaningless normal.

    One permutation, which depends on the seed only, moves all 35 values of a latent together. So labels keep their
    distributions and correlations, and lose their latent. Everything else, settings included, is `interfacegan`. The
    control scores what the procedure gives without information. If it changed attributes as asked, labels would leak
    somewhere, and no score of a method that learns from labels would mean anything.

    >>> InterFaceGANShuffled.control, InterFaceGANShuffled().parameters() == InterFaceGAN().parameters()
    (True, True)
    """

    name: ClassVar[str] = "interfacegan_shuffled"
    version: ClassVar[int] = 3
    paper: ClassVar[Paper] = Paper("Control of this benchmark", "none")
    control: ClassVar[bool] = True

    def fit(self, data: FitData) -> None:
        """Learn one normal per attribute from the shuffled labels."""
        import numpy as np
        import torch

        order = np.random.default_rng([data.seed, SHUFFLE]).permutation(len(data.values))
        super().fit(replace(data, values=data.values[torch.from_numpy(order).to(data.values.device)]))
