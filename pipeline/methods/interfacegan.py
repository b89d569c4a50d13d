"""InterFaceGAN: the normals of linear boundaries in W."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.attributes import index_of
from pipeline.errors import StageError
from pipeline.methods import validation
from pipeline.methods.boundary import Boundary, between
from pipeline.methods.bytes_taken import Cost
from pipeline.methods.cost import linear_cost
from pipeline.methods.interface import FitData, Method, Paper
from pipeline.methods.learned import EVALUATED_WORD, columns_to_learn, learned_attributes, refuse_others

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from pipeline.domains.base import DomainCard

    Codes = Callable[[np.ndarray], np.ndarray]  # rows (M,) -> codes (M, 512) float32

log = logging.getLogger("latentbench")

OTHERS = "others"
LEAST_PER_SIDE = 4  # an attribute with fewer codes on a side gets no direction
BATCH = 65_536  # codes in memory at once
LEAST_RESIDUAL = 1e-3  # smallest length of a unit normal after its conditions are projected out


class InterFaceGAN(Method):
    """w' = w + s n, with n the unit normal of a linear boundary between high and low values of an attribute.

    Shen et al., "Interpreting the Latent Space of GANs for Semantic Face Editing", CVPR 2020. Codes are sorted by
    the value of scorer A. The top share `chosen` are positives, as many at the bottom are negatives. A random share
    `train_share` of each side trains a linear support vector machine; the rest validates it. The codes in between,
    divided at the middle of the range of values, are a second test. The normal points to higher values; the intercept
    is dropped. As in the authors' code, `chosen` above 1 is a number of codes, half of all codes is the limit, and `c`
    is scikit-learn's C.

    With `conditions`, the part of each normal in the span of the normals of the conditions is subtracted, and the rest
    scaled to unit norm: n - C^T (C C^T)^-1 C n, the authors' formula for three or more conditions, which equals their
    closed forms for one and two.

    Age rises along the first axis of W, so its direction is that axis:

    >>> import torch
    >>> from pipeline.attributes import index_of
    >>> w, values, age = torch.zeros(40, 512), torch.full((40, 35), 0.5), index_of("age")
    >>> w[:, 0], values[:, age] = torch.linspace(-1, 1, 40), torch.linspace(0, 1, 40)
    >>> method = InterFaceGAN(chosen=0.25)
    >>> method.fit(FitData(w, values, None, None, None, seed=0, device=torch.device("cpu")))
    >>> method.directions_[age, :3]
    tensor([1., 0., 0.])
    >>> method.facts()["boundaries"]["age"]["validation_accuracy"]
    1.0

    Departures from the authors' code:

    - their `SVC(kernel="linear")` is LIBSVM, without a limit of iterations. Ours reaches the optimum of the same loss
      by an interior-point method, on any sides (`boundary.py`). In the embedded generator's W, on 5,600 codes a side,
      the normals of the two have a cosine of .999999 (age, yaw); on shuffled labels of one
      attribute LIBSVM was stopped by its bound and LIBLINEAR went on, 177 s together, where ours takes two seconds;
    - an edit is relative, w + s n, which is theirs for W+ codes. For W codes they first move w to the boundary, and s
      is the distance from it. In the embedded generator's W faces lie 1.1 to 2.2 (standard deviation, by attribute)
      from the boundary; two faces lie 29 apart;
    - codes of equal value are ordered by their index, and codes of one value never train both sides.

    `attributes` get a direction, and an edit of another is refused. One with fewer than four codes on a side gets a
    direction of zeros; `facts` say so.
    """

    name: ClassVar[str] = "interfacegan"
    version: ClassVar[int] = 3
    paper: ClassVar[Paper] = Paper(
        "Interpreting the Latent Space of GANs for Semantic Face Editing",
        "CVPR 2020",
        "https://arxiv.org/abs/1907.10786",
    )
    unit: ClassVar[str] = "length in W"
    supervision: ClassVar[str] = "labels"
    exact_undo: ClassVar[bool] = True

    directions_: Tensor  # (35, 512), rows of unit norm, or of zeros where nothing was or could be learned
    facts_: dict[str, Any]

    def __init__(
        self,
        *,
        chosen: float = 0.02,
        train_share: float = 0.7,
        c: float = 1.0,
        conditions: str = "",
        attributes: str = EVALUATED_WORD,
    ) -> None:
        self.chosen = validation.number(self.name, "chosen", chosen, 0.0, 1e9, above=True)
        self.train_share = validation.number(self.name, "train_share", train_share, 0.05, 0.95)
        self.c = validation.number(self.name, "c", c, 0.0, 1e6, above=True)
        self.conditions = validation.attribute_list(self.name, "conditions", conditions, also=(OTHERS,))
        self.attributes = learned_attributes(self.name, attributes)

    def cost(self, card: DomainCard) -> Cost:
        """A row for every attribute, learned or not."""
        return linear_cost()

    def fit(self, data: FitData) -> None:
        """Learn one normal for each of `attributes` and of the conditions. No image is generated."""
        import numpy as np
        import torch

        codes, values = self._codes(data), data.values.cpu().numpy()
        per_side, names = self._per_side(len(values)), data.attributes
        learned = columns_to_learn(self.attributes, names)
        sides = {
            column: self._sides(values[:, column], per_side, np.random.default_rng([data.seed, column]))
            for column in sorted({*learned, *self._conditions(data)})
        }
        found = self._trained(codes, sides, data)
        normals = np.zeros((len(names), codes(np.arange(1)).shape[1]))
        for column, boundary in found.items():
            normals[column] = boundary.normal
        above = _above(found, normals, codes, len(values))
        boundaries = {
            names[column]: side.facts(values[:, column], above[:, column], found.get(column))
            for column, side in sides.items()
        }
        warn_of_unconverged(self.name, boundaries)
        directions = self._conditioned(normals, learned, data)
        shown = [index_of(name) for name in data.evaluated]
        self.directions_ = torch.from_numpy(directions.astype(np.float32)).to(data.device)
        self.facts_ = {
            "boundaries": boundaries,
            "evaluated": list(data.evaluated),
            "cosines": _cosines(normals[shown]),
            "cosines_conditioned": _cosines(directions[shown]),
        }
        data.progress(len(sides), len(sides), "")

    def edit(self, ws: Tensor, strengths: Tensor, values: Tensor) -> Tensor:
        """ws (N, L, 512) plus strengths (N, 35) times the normals, in every layer.

        Raises StageError for an attribute that is not among `attributes`.
        """
        refuse_others(self.name, self.attributes, strengths)
        return ws + (strengths.to(ws) @ self.directions_.to(ws))[:, None]

    def state(self) -> dict[str, Tensor]:
        """The normals."""
        return {"directions": self.directions_}

    def restore(self, state: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Restore normals and facts."""
        self.directions_ = state["directions"]
        self.facts_ = facts

    def facts(self) -> dict[str, Any]:
        """`boundaries`: for each attribute, codes, accuracies, solver; `cosines`: of evaluated normals."""
        return self.facts_

    def _codes(self, data: FitData) -> Codes:
        """The codes that the boundary divides."""
        w = data.w.cpu().numpy()
        return lambda rows: w[rows]

    def _per_side(self, count: int) -> int:
        number = int(count * self.chosen) if self.chosen <= 1 else int(self.chosen)
        return min(number, count // 2)

    def _sides(self, values: np.ndarray, per_side: int, rng: np.random.Generator) -> Sides:
        """The two sides of an attribute with these values (N,), each in random order."""
        import numpy as np

        low, high, rest = choose(values, per_side)
        between = np.zeros(len(values), bool)
        between[rest] = True
        low, high = rng.permutation(low), rng.permutation(high)
        cut_low, cut_high = (max(1, int(len(side) * self.train_share)) for side in (low, high))
        return Sides(low[:cut_low], high[:cut_high], low[cut_low:], high[cut_high:], between)

    def _trained(self, codes: Codes, sides: dict[int, Sides], data: FitData) -> dict[int, Boundary]:
        """The boundaries of the attributes whose sides are large enough, by column.

        Attributes are read together, as many as have BATCH codes, because in Z each read draws all codes again.
        """
        import numpy as np

        found: dict[int, Boundary] = {}
        columns = [column for column, side in sides.items() if side.enough]
        together = max(1, BATCH // max([len(sides[column].training) for column in columns], default=1))
        for start in range(0, len(columns), together):
            group = columns[start : start + together]
            rows = np.unique(np.concatenate([sides[column].training for column in group]))
            points = codes(rows)
            for column in group:
                data.progress(len(found), len(sides), f"boundary of {data.attributes[column]}")
                low, high = (points[np.searchsorted(rows, side)] for side in (sides[column].low, sides[column].high))
                found[column] = between(low, high, self.c)
        return found

    def _conditions(self, data: FitData) -> list[int]:
        """The columns of the attributes that are projected out."""
        names = data.evaluated if self.conditions == OTHERS else validation.split_names(self.conditions)
        return list(dict.fromkeys(index_of(name) for name in names))

    def _conditioned(self, normals: np.ndarray, learned: list[int], data: FitData) -> np.ndarray:
        """The learned of the normals (35, 512), without their parts in the span of the normals of the conditions."""
        import numpy as np

        columns, result = self._conditions(data), np.zeros_like(normals)
        for column in learned:
            normal, name = normals[column], data.attributes[column]
            others = normals[[other for other in columns if other != column and normals[other].any()]]
            result[column] = project_out(normal, others, name, self.name) if len(others) and normal.any() else normal
        return result


@dataclass(frozen=True)
class Sides:
    """Rows of the codes with the lowest and the highest values of an attribute, and the codes in between.

    low, high: train the boundary; held_low, held_high: validate it; between (N,) bool: a second test.
    """

    low: np.ndarray
    high: np.ndarray
    held_low: np.ndarray
    held_high: np.ndarray
    between: np.ndarray

    @property
    def counts(self) -> tuple[int, int]:
        """The numbers of codes on the low and on the high side."""
        return len(self.low) + len(self.held_low), len(self.high) + len(self.held_high)

    @property
    def enough(self) -> bool:
        """Whether there are LEAST_PER_SIDE codes on either side."""
        return min(self.counts) >= LEAST_PER_SIDE

    @property
    def training(self) -> np.ndarray:
        """The rows that train."""
        import numpy as np

        return np.concatenate([self.low, self.high])

    def facts(self, values: np.ndarray, above: np.ndarray, boundary: Boundary | None) -> dict[str, Any]:
        """What there is to say of the boundary; values (N,) of the attribute, above (N,): sides of the boundary."""
        import numpy as np

        negatives, positives = self.counts
        facts: dict[str, Any] = {"positives": positives, "negatives": negatives, "trained": boundary is not None}
        if boundary is None:
            return facts
        high, low = np.concatenate([self.high, self.held_high]), np.concatenate([self.low, self.held_low])
        held_out = np.concatenate([above[self.held_high], ~above[self.held_low]])
        middle = (float(values.max()) + float(values.min())) / 2
        remaining = (above == (values >= middle))[self.between]
        return facts | {
            "lowest_positive": float(values[high].min()),
            "highest_negative": float(values[low].max()),
            "validation_accuracy": _share(held_out),
            "remaining_accuracy": _share(remaining),
            **boundary.facts(),
        }


def choose(values: np.ndarray, per_side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices of the lowest, the highest and the remaining values (N,); the first two have up to `per_side`.

    Equal values are ordered by index. Where the lowest and the highest share a value (a binary attribute with few
    positives), it is removed from the highest, or from the lowest if the highest would be empty.

    >>> import numpy as np
    >>> choose(np.array([0.3, 0.9, 0.1, 0.5]), per_side=1)
    (array([2]), array([1]), array([0, 3]))
    """
    import numpy as np

    order = np.argsort(values, kind="stable")
    low, between, high = np.split(order, [per_side, len(order) - per_side])
    if per_side and values[high[0]] == values[low[-1]]:
        shared = values[low[-1]]
        if values[high[-1]] > shared:
            high = high[values[high] > shared]
        else:
            high, low = high, low[values[low] < shared]
    return low, high, between


def warn_of_unconverged(method: str, boundaries: dict[str, dict[str, Any]]) -> None:
    """Log the attributes on whose boundary neither solver converged, if there are any."""
    names = [name for name, facts in boundaries.items() if facts["trained"] and not facts["converged"]]
    if names:
        log.warning(
            "%s: the boundaries of %s did not converge; their directions are where the solver stopped. Lower c or "
            "chosen in luigi.cfg: [method.%s].",
            method,
            ", ".join(names),
            method,
        )


def project_out(
    normal: np.ndarray, conditions: np.ndarray, name: str = "the attribute", method: str = "interfacegan"
) -> np.ndarray:
    """The unit vector (D,) along `normal` (D,) without its part in the span of the rows of `conditions` (K, D).

    Raises StageError if almost nothing is left.

    >>> import numpy as np
    >>> project_out(np.array([0.6, 0.8]), np.array([[1.0, 0.0]]))
    array([0., 1.])
    """
    import numpy as np

    along = np.linalg.lstsq(conditions.T, normal, rcond=None)[0]
    rest = normal - conditions.T @ along
    length = float(np.linalg.norm(rest))
    if length < LEAST_RESIDUAL:
        raise StageError(
            f"{method}: the normal of {name} lies in the span of its {len(conditions)} conditions, so that "
            f"projecting them out leaves nothing. Name fewer in luigi.cfg: [method.{method}] conditions."
        )
    return rest / length


def _above(boundaries: dict[int, Boundary], normals: np.ndarray, codes: Codes, count: int) -> np.ndarray:
    """Which of `count` codes lie above the boundary of each column (count, 35) bool, without a copy of all codes."""
    import numpy as np

    offsets = np.zeros(len(normals))
    for column, boundary in boundaries.items():
        offsets[column] = boundary.intercept - boundary.centre @ boundary.normal
    blocks = (np.arange(start, min(start + BATCH, count)) for start in range(0, count, BATCH))
    return np.concatenate([codes(block) @ normals.T + offsets > 0 for block in blocks])


def _share(true: np.ndarray) -> float | None:
    return round(float(true.mean()), 6) if len(true) else None


def _cosines(directions: np.ndarray) -> list[list[float]]:
    import numpy as np

    return [[float(cosine) for cosine in row] for row in np.round(directions @ directions.T, 4)]
