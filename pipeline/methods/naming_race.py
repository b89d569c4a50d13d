"""The arithmetic of naming: which pair of a candidate and a sign gets a name, and which can still get one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.statistics.bootstrap import keyed_rng

if TYPE_CHECKING:
    from torch import Tensor

LEAST_SELECTIVITY = 0.75  # three times the mean change of the other attributes
# In standard deviations. A scorer's values of an image differ by up to 1.6e-5 from batch to batch, means over codes by
# less; attributes that vary have a standard deviation of .02 or more.
CHANGE_NOISE = 1e-3
FIRST_CODES = 16  # after which the first pairs leave the race
RESAMPLES = 200
# A pair stays in the race for an attribute that gives it the name on so many of the resamples.
LEAST_NAMED = 1  # for an attribute that protocols evaluate
LEAST_NAMED_ELSE = 10  # a twentieth, for every other
RESAMPLES_AT_ONCE = 20  # held in memory: 6 MB per thousand pairs each


def looks(codes: int) -> list[slice]:
    """The codes of each look: the first FIRST_CODES, then twice as many in all each time, up to all `codes`.

    >>> looks(80)
    [slice(0, 16, None), slice(16, 32, None), slice(32, 64, None), slice(64, 80, None)]
    """
    ends = [min(FIRST_CODES, codes)]
    while ends[-1] < codes:
        ends.append(min(2 * ends[-1], codes))
    return [slice(first, stop) for first, stop in zip([0, *ends], ends, strict=False)]


def selectivities(changes: Tensor, usable: Tensor | None = None) -> Tensor:
    """c / (c + m) of changes (..., attributes), in [0, 1]; 0 where nothing changes.

    c is the absolute change of an attribute, m the mean absolute change of the others. usable (attributes,) bool: which
    of the others count in m; by default all.
    """
    import torch

    sizes = changes.abs()
    counted = torch.ones(sizes.shape[-1], dtype=torch.bool) if usable is None else usable
    counted = counted.to(sizes)
    others = ((sizes * counted).sum(dim=-1, keepdim=True) - sizes * counted) / (counted.sum() - counted).clamp(min=1)
    total = sizes + others
    return torch.where(total > 0, sizes / total.clamp(min=1e-300), 0.0)


def named(changes: Tensor, selectivity: Tensor) -> tuple[Tensor, Tensor]:
    """The pair (...) that gets each name, and whether it is selective enough (...).

    changes and selectivity (..., P, A), of P pairs and A attributes. The first of pairs whose changes are equal within
    CHANGE_NOISE.

    >>> import torch
    >>> changes = torch.tensor([[2.0], [1.0]])  # the first pair raises the attribute more ...
    >>> named(changes, torch.tensor([[0.5], [0.9]]))  # ... but the second is selective
    (tensor([1]), tensor([True]))
    """
    import torch

    fits = (changes > CHANGE_NOISE) & (selectivity >= LEAST_SELECTIVITY)
    qualified = fits.any(dim=-2, keepdim=True)
    best = torch.where(qualified & ~fits, -torch.inf, changes)
    equal = best >= best.amax(dim=-2, keepdim=True) - CHANGE_NOISE
    return equal.int().argmax(dim=-2), qualified.squeeze(-2)


def still_running(seen: Tensor, usable: Tensor, evaluated: Tensor, seed: int) -> Tensor:
    """Which of P pairs (P,) bool can still get a name, after what was seen (P, codes, A) of their changes per code.

    A pair can, if the rule gives it the name of an attribute on at least LEAST_NAMED of RESAMPLES resamples of the
    codes (LEAST_NAMED_ELSE for attributes that are not `evaluated` (A,) bool), or on the codes themselves. All pairs
    are resampled alike, since all moved the same codes.
    """
    import torch

    pairs, codes, attributes = seen.shape
    counts = keyed_rng(seed, "naming", str(codes)).multinomial(codes, [1 / codes] * codes, RESAMPLES)
    weights = torch.from_numpy(counts).to(seen) / codes
    times = torch.zeros(pairs, attributes, dtype=torch.int64)
    for some in weights.split(RESAMPLES_AT_ONCE):
        changes = torch.einsum("rn,pna->rpa", some, seen)
        winners, _ = named(changes, selectivities(changes, usable))
        times.scatter_add_(0, winners, torch.ones_like(winners))
    now = seen.mean(dim=1)
    winners, _ = named(now, selectivities(now, usable))
    times.scatter_add_(0, winners[None], torch.full_like(winners[None], RESAMPLES))
    least = torch.where(evaluated, LEAST_NAMED, LEAST_NAMED_ELSE)
    return (times >= least).any(dim=1)
