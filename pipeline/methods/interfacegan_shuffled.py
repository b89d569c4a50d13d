"""InterFaceGAN on shuffled labels: a control that must not work."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from pipeline.methods.base import FitData, Paper
from pipeline.methods.interfacegan import InterFaceGAN

SHUFFLE = 7_011  # the purpose of the stream that shuffles


class InterFaceGANShuffled(InterFaceGAN):
    """InterFaceGAN, each latent given the labels of another: w' = w + s n, with n a normal that means nothing.

    One permutation, of the seed alone, moves all 35 values of a latent together, so labels keep their distributions
    and their correlations and lose the latent that they are of. Everything else is `interfacegan`, settings too. What
    it scores is what the procedure gives without any information; should it change an attribute as it is told to, then
    labels leak somewhere, and no score of a method that learns from labels means anything.
    """

    name: ClassVar[str] = "interfacegan_shuffled"
    version: ClassVar[int] = 2
    paper: ClassVar[Paper] = Paper("Control of this benchmark", "none")
    control: ClassVar[bool] = True

    def fit(self, data: FitData) -> None:
        """Learn one normal per attribute from the shuffled labels."""
        import numpy as np
        import torch

        order = np.random.default_rng([data.seed, SHUFFLE]).permutation(len(data.values))
        super().fit(replace(data, values=data.values[torch.from_numpy(order).to(data.values.device)]))
