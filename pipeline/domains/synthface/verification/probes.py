"""Probes that predict the truth from codes: ridge regression, boosted trees, a small network; held-out R2."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from sklearn.metrics import r2_score
from torch import Tensor, nn
from torch.nn import functional

RIDGE = 1e-3  # share of the codes' mean variance that is added to the diagonal
BINS, TREES, RATE = 32, 100, 0.15
WIDTH, EPOCHS, BATCH, LEARNING_RATE, DECAY = 384, 14, 256, 3e-3, 0.01

Tell = Callable[[float, str], None]


def explained(truth: Tensor, found: Tensor) -> np.ndarray:
    """R2 (K,) of every column of truth (N, K): 1 is perfect, 0 as good as the mean, below 0 worse."""
    return np.asarray(r2_score(truth.numpy(), found.numpy(), multioutput="raw_values"), dtype=np.float64)


def ridge(codes: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """The ridge regression of truth (N, K) on codes (N, D), float64: slopes (D, K) and intercepts (K,)."""
    x, y = codes.double(), truth.double()
    middle, target = x.mean(dim=0), y.mean(dim=0)
    scatter = (x - middle).T @ (x - middle)
    scatter += RIDGE * scatter.diagonal().mean() * torch.eye(len(scatter), dtype=torch.float64)
    slopes = torch.linalg.solve(scatter, (x - middle).T @ (y - target))
    return slopes, target - middle @ slopes


def linear_r2(codes: Tensor, truth: Tensor, train: int) -> np.ndarray:
    """R2 (K,) of a ridge regression: trained on the first `train` rows, measured on the others."""
    slopes, start = ridge(codes[:train], truth[:train])
    return explained(truth[train:], codes[train:].double() @ slopes + start)


def boosted_r2(codes: Tensor, truth: Tensor, train: int, seed: int, tell: Tell = lambda done, note: None) -> np.ndarray:
    """R2 (K,) of boosted histogram trees, one model per column: trained on `train` rows, tested on the rest."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    x, found = codes.numpy(), []
    for column in range(truth.shape[1]):
        trees = HistGradientBoostingRegressor(
            max_iter=TREES, learning_rate=RATE, max_bins=BINS, early_stopping=False, random_state=seed
        ).fit(x[:train], truth[:train, column].numpy())
        found.append(float(r2_score(truth[train:, column].numpy(), trees.predict(x[train:]))))
        tell(column + 1, "")
    return np.array(found)


def network_r2(
    codes: Tensor, truth: Tensor, train: int, seed: int, epochs: int = EPOCHS, tell: Tell = lambda done, note: None
) -> np.ndarray:
    """R2 (K,) of one network with two hidden layers: trained on the first `train` rows, measured on the others.

    Squared error of standardised truths, AdamW, one-cycle rate; initial weights and order depend only on `seed`.
    """
    x = (codes - codes[:train].mean(dim=0)) / codes[:train].std(dim=0).clamp(min=1e-6)
    middle, spread = truth[:train].mean(dim=0), truth[:train].std(dim=0).clamp(min=1e-6)
    target, rng = (truth - middle) / spread, torch.Generator().manual_seed(seed)
    network = _network(codes.shape[1], truth.shape[1], rng)
    batches = max(1, train // BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=epochs * batches)
    loss = torch.zeros(())
    for epoch in range(epochs):
        order = torch.randperm(train, generator=rng)
        for rows in order.split(BATCH)[:batches]:
            loss = functional.mse_loss(network(x[rows]), target[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        tell(epoch + 1, f"loss {float(loss.detach()):.3f}")
    with torch.no_grad():
        return explained(truth[train:], network(x[train:]) * spread + middle)


def _network(inputs: int, outputs: int, rng: torch.Generator) -> nn.Sequential:
    network = nn.Sequential(
        nn.Linear(inputs, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH), nn.SiLU(), nn.Linear(WIDTH, outputs)
    )
    with torch.no_grad():
        for layer in network:
            if isinstance(layer, nn.Linear):
                bound = layer.in_features**-0.5
                layer.weight.copy_((torch.rand(layer.weight.shape, generator=rng) * 2 - 1) * bound)
                layer.bias.zero_()
    return network
