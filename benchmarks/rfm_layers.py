"""What RFM's directions do in its three layers, in the others, in all: are sign and scaling right, or cannot they.

    python benchmarks/rfm_layers.py

RFM's regressions (150 passes) and a least-squares direction (ridge), both of 12,000 labelled codes of the embedded
generator. Each is moved along in a group of layers by the same root mean square over all layers, with both signs, on
256 other codes. Printed, as Markdown: the mean change of scorer A's logit, in standard deviations.
"""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.tune import FIRST_ID, sampled, seen
from pipeline.attributes import EVALUATED, index_of
from pipeline.domains import base
from pipeline.methods.rfm import RFM
from pipeline.statistics.units import Units, logits_of

SEED, CODES, HELD, PASSES = 0, 12_000, 256, 150
SIZES = (0.15, 0.5)  # mean distances of two random w
RIDGE = 1e-3  # of the mean variance of w


def least_squares(w: Tensor, logits: Tensor) -> Tensor:
    """Directions (512, 35) that predict logits (N, 35) from w (N, 512)."""
    x, y = (w - w.mean(dim=0)).double(), (logits - logits.mean(dim=0)).double()
    covariance = x.T @ x / len(x)
    ridge = RIDGE * covariance.diagonal().mean() * torch.eye(len(covariance))
    return torch.linalg.solve(covariance + ridge, x.T @ y / len(x)).float()


def moved(ws: Tensor, direction: Tensor, layers: range, length: float) -> Tensor:
    """ws (N, L, 512) moved along direction (512,) in these layers, by `length` root mean square over all L."""
    step = torch.zeros(ws.shape[1:])
    step[layers.start : layers.stop] = direction / direction.norm()
    return ws + step * (length / step.norm(dim=1).square().mean().sqrt())


@torch.no_grad()
def main() -> None:
    """A table for each size of the step."""
    domain = base.load("synthface", "cpu")
    _, w, values = sampled(domain, SEED, FIRST_ID, CODES)
    _, held_w, held = sampled(domain, SEED, FIRST_ID + CODES, HELD)
    ws, before = domain.generator.mapping.broadcast(held_w), logits_of(held)
    sigma, plain = Units.of(logits_of(values).numpy()).sigma, least_squares(w, logits_of(values))
    last = domain.generator.num_ws
    groups = [range(3), range(3, last), range(last), *(range(layer, layer + 1) for layer in range(6))]
    own = {}
    for name in EVALUATED:
        column = index_of(name)
        own[name] = torch.from_numpy(RFM(iterations=PASSES)._regression(w.numpy(), values[:, column].numpy(), SEED)[0])
    for size in SIZES:
        print(f"\n| {size} mean distances | layers | rfm + | rfm - | least squares + | least squares - |")
        print("|---" * 6 + "|")
        for name, learned in own.items():
            column = index_of(name)
            for layers in groups if size == SIZES[0] else groups[:3]:
                found = [
                    (
                        logits_of(seen(domain, moved(ws, sign * direction, layers, size * domain.mean_distance))[0])
                        - before
                    )
                    for direction in (learned.float(), plain[:, column])
                    for sign in (1, -1)
                ]
                cells = " | ".join(f"{float(change[:, column].mean() / sigma[column]):+.2f}" for change in found)
                print(f"| {name} | {layers.start}-{layers.stop - 1} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
