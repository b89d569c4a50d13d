"""InterFaceGAN on shuffled labels: the labels are all there, and belong to nobody."""

from __future__ import annotations

import numpy as np
import torch

from pipeline.attributes import EVALUATED, index_of
from pipeline.methods.interfacegan import InterFaceGAN
from pipeline.methods.interfacegan_shuffled import SHUFFLE, InterFaceGANShuffled
from tests.worlds import toy

COLUMNS = [index_of(name) for name in EVALUATED]


def test_it_is_interfacegan_on_permuted_rows() -> None:
    data = toy.fit_data(600)
    method = InterFaceGANShuffled(chosen=0.2)
    method.fit(data)
    order = np.random.default_rng([data.seed, SHUFFLE]).permutation(600)
    by_hand = InterFaceGAN(chosen=0.2)
    by_hand.fit(toy.fit_data(600, values=data.values[torch.from_numpy(order)]))
    assert torch.equal(method.directions_, by_hand.directions_)
    assert torch.equal(data.values, toy.fit_data(600).values), "the labels that it was given are as they were"
    assert InterFaceGANShuffled.control and InterFaceGANShuffled().parameters() == InterFaceGAN().parameters()


def test_it_must_not_work() -> None:
    """On the toy, where the true directions are known and interfacegan finds them."""
    true, shuffled = InterFaceGAN(chosen=0.2), InterFaceGANShuffled(chosen=0.2)
    for method in (true, shuffled):
        method.fit(toy.fit_data(1000))
    truth = toy.DIRECTIONS[COLUMNS]
    found, nothing = ((method.directions_[COLUMNS].cpu() * truth).sum(dim=1) for method in (true, shuffled))
    assert found.min() > 3 * nothing.abs().max()
    accuracies = [shuffled.facts()["boundaries"][name]["validation_accuracy"] for name in ("age", "yaw", "beard")]
    assert abs(np.mean(accuracies) - 0.5) < 0.12
