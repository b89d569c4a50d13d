"""RFM: the coefficients of an L1-regularised logistic regression as directions, in the first layers."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.methods import validation
from pipeline.methods.bytes_taken import Cost
from pipeline.methods.cost import linear_cost
from pipeline.methods.interface import FitData, Method, Paper
from pipeline.methods.learned import EVALUATED_WORD, columns_to_learn, learned_attributes, refuse_others

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from pipeline.domains.base import DomainCard

LEAST_PER_SIDE = 4  # an attribute with fewer codes on a side gets no direction


class RFM(Method):
    """w'_l = w_l + s d_l for the first `layers` layers, with d the coefficients of an L1 logistic regression.

    Yu et al., "Fast 2-Step Regularization on Style Optimization for Real Face Morphing", TechRxiv 2022, as their code
    (disanda/RFM: wd_direction_ms.py, rfm.py) has it: a logistic regression with L1 penalty, solved by SAGA (`c`,
    `iterations`), on the flattened codes (N, L * 512) of the first `samples` faces, predicts who has an attribute
    (value >= 0.5). Its coefficients, not normalised and without the intercept, are one sparse direction per layer.
    Coefficients of size up to `clip` are set to zero. Edits touch only the layers [0, `layers`): the authors' slices
    end before 3, or 4.

    Departures from the authors' code:

    - the regression runs on w (N, 512), and every layer gets 1/L of its coefficients. A generated code is the same in
      all layers, so its flattened form is L copies of w. The penalty depends only on the sum over the copies:
      |b_1| + ... + |b_L| = |b| at the optimum. SAGA starts at zero and treats equal columns equally, so it divides b
      evenly: the same optimum for 1/L of the work (converged on 300 codes, their directions and these have cosines of
      .995 to 1.000; after 50 passes, of .898 to 1.000). `clip` applies to 1/L of a coefficient, as theirs does;
    - where fewer than four codes lie on a side of 0.5, the cut is the middle between the largest and the smallest
      value; the authors set thresholds by hand (0 to 0.8);
    - 12,000 codes, as the names of their published directions say; their script has 8,000 now, whose directions have
      cosines of .93 to .94 to these (age, yaw in the embedded generator's W);
    - edits are made on generated codes; the authors edit inverted photographs.

    SAGA stops after `iterations` passes, 500 in their script, converged or not (`facts` say which). On 12,000 codes it
    has not converged; coefficients after 150 passes have a cosine of .99 to these. By scikit-learn's tolerance it stops
    after some 700 passes, at a cosine of .999 to these and of .951 to the optimum of the loss, which a method of second
    order reaches in less time (age). Directions of 500 passes are the authors', so they are kept.

    In the embedded generator three layers cannot make a smile. With scorer A's logits of 256 codes in standard
    deviations, at a step of .15 mean distances (root mean square over all layers), positive and negative strengths
    change by, for the same coefficients in the layers 0 to 2, 3 to 9, and all (as `python benchmarks/rfm_layers.py`
    does, which draws other codes):

    - smile: +.07 and -.12, +.85 and -1.53, +.76 and -1.46; the layer 4 alone gives most of it;
    - gender: +.69 and -.82, +.40 and -.42, +1.05 and -.89;
    - yaw: +2.95 and -2.86, +.38 and -.41, +1.67 and -1.81.

    So signs and scaling are right, as they are for all eight evaluated attributes: a least-squares direction in the
    same layers gives the same. At .5 mean distances the layers 0 to 2 no longer follow: smile falls for both signs
    (-.08 and -.47), gender is left with +.16. The calibrated ranges reach beyond that, until no face is
    found, and there the grid of `l2l-2022` sees smile and gender fall where they were asked to rise.

    `attributes` get a direction, and an edit of another is refused. One that still has fewer than four codes on a side
    gets a direction of zeros; `facts` say so.

    An edit touches the first layers only:

    >>> import torch
    >>> method = RFM(layers=3)
    >>> method.restore({"directions": torch.eye(35, 512)}, {})
    >>> method.edit(torch.zeros(1, 5, 512), 2 * torch.eye(35)[:1], torch.zeros(1, 35))[0, :, 0]
    tensor([2., 2., 2., 0., 0.])
    """

    name: ClassVar[str] = "rfm"
    version: ClassVar[int] = 1
    paper: ClassVar[Paper] = Paper(
        "Fast 2-Step Regularization on Style Optimization for Real Face Morphing",
        "TechRxiv 2022",
        "https://doi.org/10.36227/techrxiv.19105493",
    )
    unit: ClassVar[str] = "times the logistic coefficients of a layer"
    supervision: ClassVar[str] = "labels"
    space: ClassVar[str] = "W+"
    exact_undo: ClassVar[bool] = True

    directions_: Tensor  # (35, 512), of one layer; zeros where nothing was or could be learned
    facts_: dict[str, Any]

    def __init__(
        self,
        *,
        samples: int = 12_000,
        c: float = 1.0,
        iterations: int = 500,
        clip: float = 0.0,
        layers: int = 3,
        attributes: str = EVALUATED_WORD,
    ) -> None:
        self.samples = validation.whole(self.name, "samples", samples, 2 * LEAST_PER_SIDE, 10**9)
        self.c = validation.number(self.name, "c", c, 0.0, 1e6, above=True)
        self.iterations = validation.whole(self.name, "iterations", iterations, 1, 10**6)
        self.clip = validation.number(self.name, "clip", clip, 0.0, 1e6)
        self.layers = validation.whole(self.name, "layers", layers, 1, 64)
        self.attributes = learned_attributes(self.name, attributes)

    def cost(self, card: DomainCard) -> Cost:
        """A row for every attribute, learned or not."""
        return linear_cost()

    def amount(self, latents: int, codes: int) -> tuple[int, str]:
        """Passes over the latents that are read, one for each of the solver's iterations."""
        return min(latents, self.samples) * self.iterations, "latents, iterations"

    def fit(self, data: FitData) -> None:
        """Learn one direction for each of `attributes`. No image is generated."""
        import numpy as np
        import torch

        w = data.w[: self.samples].cpu().numpy()
        values = data.values[: self.samples].cpu().numpy()
        directions = np.zeros((len(data.attributes), w.shape[1]), np.float32)
        regressions: dict[str, dict[str, Any]] = {}
        learned = columns_to_learn(self.attributes, data.attributes)
        for column in learned:
            name = data.attributes[column]
            data.progress(len(regressions), len(learned), f"regression of {name}")
            seed = int(np.random.default_rng([data.seed, column]).integers(2**31))
            coefficients, regressions[name] = self._regression(w, values[:, column], seed)
            direction = coefficients / data.generator.num_ws
            directions[column] = np.where(np.abs(direction) > self.clip, direction, 0.0)
            regressions[name]["kept"] = int(np.count_nonzero(directions[column]))
        self.directions_ = torch.from_numpy(directions).to(data.device)
        self.facts_ = {"regressions": regressions, "depth": data.generator.num_ws}
        data.progress(len(learned), len(learned), "")

    def edit(self, ws: Tensor, strengths: Tensor, values: Tensor) -> Tensor:
        """ws (N, L, 512) plus strengths (N, 35) times the directions in the first layers.

        Raises StageError for an attribute that is not among `attributes`.
        """
        refuse_others(self.name, self.attributes, strengths)
        edited = ws.clone()
        edited[:, : self.layers] += (strengths.to(ws) @ self.directions_.to(ws))[:, None]
        return edited

    def state(self) -> dict[str, Tensor]:
        """The directions."""
        return {"directions": self.directions_}

    def restore(self, state: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Restore directions and facts."""
        self.directions_ = state["directions"]
        self.facts_ = facts

    def facts(self) -> dict[str, Any]:
        """`regressions`: per attribute, the number of codes on each side, accuracy on them, number of non-zero
        coefficients, SAGA's passes, and whether it converged."""
        return self.facts_

    def _regression(self, w: np.ndarray, values: np.ndarray, seed: int) -> tuple[np.ndarray, dict[str, Any]]:
        """The coefficients (512,) on w and their facts; zeros where a side has fewer than LEAST_PER_SIDE codes."""
        import numpy as np
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        cut, has = divide(values)
        facts: dict[str, Any] = {"cut": cut, "with": int(has.sum()), "without": int((~has).sum()), "trained": False}
        if min(facts["with"], facts["without"]) < LEAST_PER_SIDE:
            return np.zeros(w.shape[1]), facts
        regression = LogisticRegression(
            l1_ratio=1.0, solver="saga", C=self.c, max_iter=self.iterations, random_state=seed
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the authors stop there too; `facts` say so
            regression.fit(w, has)
        facts |= {
            "trained": True,
            "iterations": int(regression.n_iter_[0]),
            "converged": bool(regression.n_iter_[0] < self.iterations),
            "accuracy": round(float(regression.score(w, has)), 6),
            "non_zero": int(np.count_nonzero(regression.coef_)),
        }
        return regression.coef_[0].astype(np.float64), facts


def divide(values: np.ndarray) -> tuple[float, np.ndarray]:
    """The cut and which values (N,) reach it. The cut is 0.5, or the middle of the range if a side has too few codes.

    >>> import numpy as np
    >>> divide(np.array([0.0, 0.1, 0.2, 0.3, 0.6, 0.7, 0.8, 0.9]))[0]
    0.5
    >>> cut, has = divide(np.array([0.0, 0.0, 0.0, 0.0, 0.3, 0.3, 0.4, 0.4]))
    >>> cut, int(has.sum())
    (0.2, 4)
    """
    has: np.ndarray = values >= 0.5
    if min(int(has.sum()), int((~has).sum())) >= LEAST_PER_SIDE:
        return 0.5, has
    middle = (float(values.max()) + float(values.min())) / 2
    return middle, values >= middle
