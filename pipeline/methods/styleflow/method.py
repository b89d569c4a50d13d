"""StyleFlow: a flow conditioned on attributes; an edit encodes with the old values and decodes with the new."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.attributes import ATTRIBUTES, EVALUATED, INDEX, NAMES
from pipeline.errors import StageError
from pipeline.methods import validation
from pipeline.methods.bytes_taken import Cost
from pipeline.methods.cost import stepped_cost
from pipeline.methods.interface import Faces, FitData, Paper
from pipeline.methods.layer_table import layer_masks
from pipeline.methods.styleflow.training import PROBE, StyleFlowTraining, TrainableStyleFlow
from pipeline.tables.fields import W_DIM

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from pipeline.domains.base import DomainCard
    from pipeline.methods.styleflow.flow import Flow

EVALUATED_WORD = "evaluated"
# Factors by which the authors' sliders multiply a change (attr_degree_list of their user interface).
GAINS = {"gender": 1.5, "glasses": 2.5, "baldness": 2.0, "beard": 1.7, "age": 0.93}
ENCODED = "encoded"  # carried by prepared faces: the code of each layer in the flow's normal distribution (N, L, 512)
LEAST_SPREAD = 1e-3  # smallest standard deviation by which a condition is divided


class StyleFlow(TrainableStyleFlow):
    """z = Phi(w, a), w' = Phi^-1(z, a + g da) in the layers of the changed attribute; w in the others.

    Abdal et al., "StyleFlow: Attribute-conditioned Exploration of StyleGAN-Generated Images using Conditional
    Continuous Normalizing Flows", ACM TOG 2021. Phi is a moving batch norm, the flow dy/dt = f(y, t, a) of
    concat-squash layers from 0 to a learned T, and a second norm (`flow.py`). It is trained on labelled codes by
    maximum likelihood: -mean log p(w | a) with log p = log N(z; 0, 1) + log |det dz/dw|. Hutchinson's estimator of the
    trace uses Gaussian noise that is fixed for a solve. As in the authors' code: norms use running statistics, which
    start at 0 and 1, in training too; dopri5, six layers of 512, tanh, Adam with a constant rate of 1e-3, gains g on
    the changes, and the table of layers that keep an edit. The other layers are copied back from w, so an edit of zero
    is w itself. An edit carries a + g da, not clipped, to the next one, which encodes with it in every layer, whatever
    scorer A would read. So an edit of one attribute is undone exactly.

    Departures from the authors' code:

    - codes are codes in W, one for all layers. The authors pass the same code 18 times, which weighs the loss by 18 and
      averages 18 draws of the noise; here batches of 64, drawn at random, replace their ordered batches of 5;
    - conditions are the eight evaluated attributes. The authors add nine coefficients of light, which scorer A does not
      measure; `conditions` may name more of its 35 values, such as exposure;
    - conditions are standardised. `standardise = false` gives raw units (degrees, years), as theirs: after 100 steps
      -log p of held-out codes is 1,027 with raw units, and 661 standardised;
    - gradients pass through the steps of the solver and not through its adjoint, and the tolerance of the solver in
      training is `training_tolerance`; theirs is 1e-5 throughout (a difference of .004 in a -log p of 660, gradients
      with a cosine of 1.000; after 1,700 steps on 400,000 codes .3 in 466, by 38 evaluations of the field a step
      instead of 104). The last step ends at T; theirs goes beyond and interpolates;
    - their number of steps, 6,000, of 64 different codes each instead of 5. Three passes through 400,000 codes would be
      18,750 steps: five hours of a core, since a step becomes slower while the field becomes steeper;
    - the error of a step is the error of the worst code of a batch, so no code is less exact in a batch;
    - several attributes at once: each layer changes the attributes that the table assigns to it, in one pass. With one
      attribute this is the authors' edit; they change several one after the other, and encode again in between;
    - the table of layers, made for 18 layers, is scaled to the depth of the generator (`layer_table.py`);
    - a + g da may leave the range of values; the authors' sliders end at 0 and 1 (20 degrees, 65 years).

    Where the equation cannot be solved, the edit is NaN.

    In raw units, a value of .5 of age is 37.5 years:

    >>> centre, scale = StyleFlow(standardise=False).scaling(("age",), None)
    >>> (0.5 - centre) / scale
    tensor([37.5000])
    """

    name: ClassVar[str] = "styleflow"
    version: ClassVar[int] = 3
    paper: ClassVar[Paper] = Paper(
        "StyleFlow: Attribute-conditioned Exploration of StyleGAN-Generated Images using Conditional Continuous "
        "Normalizing Flows",
        "ACM TOG 2021",
        "https://arxiv.org/abs/2008.02401",
    )
    unit: ClassVar[str] = "difference of the attribute's value, before the authors' gain"
    supervision: ClassVar[str] = "labels"
    space: ClassVar[str] = "W+"
    exact_undo: ClassVar[bool] = True
    carries: ClassVar[tuple[str, ...]] = ("values",)
    value_bounded: ClassVar[bool] = True

    flow_: Flow
    centre_: Tensor  # (conditions,), and
    scale_: Tensor  # (conditions,): a condition is (value - centre) / scale
    facts_: dict[str, Any]

    def __init__(
        self,
        *,
        conditions: str = EVALUATED_WORD,
        standardise: bool = True,
        gains: bool = True,
        copy_back: bool = True,
        layers: int = 5,
        width: int = 512,
        batch: int = 64,
        learning_rate: float = 0.001,
        training_tolerance: float = 0.001,
        tolerance: float = 0.00001,
        steps: int = 6000,
    ) -> None:
        self.conditions = validation.attribute_list(self.name, "conditions", conditions, also=(EVALUATED_WORD,))
        self.standardise = validation.flag(self.name, "standardise", standardise)
        self.gains = validation.flag(self.name, "gains", gains)
        self.copy_back = validation.flag(self.name, "copy_back", copy_back)
        self.layers = validation.whole(self.name, "layers", layers, 1, 64)
        self.width = validation.whole(self.name, "width", width, 1, 65_536)
        self.batch = validation.whole(self.name, "batch", batch, 2, 65_536)
        self.learning_rate = validation.number(self.name, "learning_rate", learning_rate, 0.0, 10.0, above=True)
        self.training_tolerance = validation.number(self.name, "training_tolerance", training_tolerance, 1e-9, 1.0)
        self.tolerance = validation.number(self.name, "tolerance", tolerance, 1e-9, 1.0)
        self.steps = validation.whole(self.name, "steps", steps, 1, 10**8)

    def cost(self, card: DomainCard) -> Cost:
        """The flow; no step makes an image."""
        evaluated = self.conditions == EVALUATED_WORD
        conditions = len(EVALUATED) if evaluated else len(validation.split_names(self.conditions))
        widths = (W_DIM, *[self.width] * self.layers, W_DIM)
        # Of each layer the linear map, and the gate and the bias that read the time and the conditions.
        each = (outputs * (inputs + 1 + 2 * (1 + conditions) + 1) for inputs, outputs in pairwise(widths))
        return stepped_cost(sum(each) + 8 * W_DIM)

    def fit(self, data: FitData) -> None:
        """Train the flow on w and values. Resumes from a checkpoint of the same settings and data if there is one.

        A resumed training gives the same bits as an uninterrupted one (on as many threads), because the draws of step k
        depend on (seed, k) only. Raises TrainingDivergedError.
        """
        names = self.condition_names(data)
        held_out = min(PROBE, len(data.w) // 4)
        values = data.values[: len(data.w) - held_out, [INDEX[name] for name in names]]
        centre, scale = self.scaling(names, values)
        self.facts_ = {"conditions": list(names)}
        self.centre_, self.scale_ = centre.to(data.device), scale.to(data.device)
        training = StyleFlowTraining(self, data, held_out)
        training.run()
        self.flow_ = training.flow.eval().requires_grad_(False)
        self.facts_ |= training.facts()

    def edit(self, ws: Tensor, strengths: Tensor, values: Tensor) -> Tensor:
        """The codes of values (N, 35) plus gains times strengths (N, 35), in the layers of the attributes; (N, L, 512).

        Raises StageError for an attribute that the flow was not conditioned on.
        """
        return self._edited(ws, strengths, values, None)

    def prepared(self, faces: Faces) -> Faces:
        """The faces, encoded once for every edit of them."""
        import torch

        encoded, every = torch.empty_like(faces.ws), faces.ws.new_ones(len(faces.ws), dtype=torch.bool)
        source = self.condition(faces.values.to(faces.ws))
        with torch.no_grad():
            for code, _, layers in _groups(faces.ws, every.new_ones(1, faces.ws.shape[1])):
                encoded[:, layers] = self._solve("encode", faces.ws[:, code], source, every)[:, None]
        return replace(faces, carried={**faces.carried, ENCODED: encoded})

    def edit_faces(self, faces: Faces, strengths: Tensor) -> Tensor:
        """As `edit`; prepared faces are not encoded again."""
        encoded = faces.carried.get(ENCODED)
        known = encoded is not None and not encoded.isnan().any()  # NaN: another edit moved the face since then
        return self._edited(faces.ws, strengths, faces.values, encoded if known else None)

    def _edited(self, ws: Tensor, strengths: Tensor, values: Tensor, known: Tensor | None) -> Tensor:
        """`edit`, with the codes in the flow's normal distribution (N, L, 512) if they are known."""
        import torch

        self._refuse_others(strengths)
        columns = self.columns()
        change = strengths[:, columns].to(ws) * self._gains(ws)
        source = self.condition(values.to(ws))
        edited = ws.clone()
        masks = self.masks(ws.shape[1]).to(ws.device)
        encoded: dict[int, Tensor] = {}
        with torch.no_grad():
            for code, kept, layers in _groups(ws, masks & change.any(dim=0)[:, None]):
                rows = (change * kept).any(dim=1).nonzero()[:, 0]
                if not len(rows):
                    continue
                if known is not None:
                    encoded[code] = known[:, code]
                elif code not in encoded:
                    encoded[code] = self._solve("encode", ws[:, code], source, change.any(dim=1))
                target = source + change * kept / self.scale_.to(ws)
                moved = self._solve("decode", encoded[code], target, (change * kept).any(dim=1))
                for layer in layers:
                    edited[rows, layer] = moved[rows]
        return edited

    def after(self, faces: Faces, strengths: Tensor, ws: Tensor) -> Faces:
        """The faces at ws (N, L, 512), with the values of the conditions for which this edit asked."""
        moved, columns = super().after(faces, strengths, ws), self.columns()
        values = moved.values.clone()
        values[:, columns] = faces.values[:, columns] + strengths[:, columns].to(values) * self._gains(values)
        return replace(moved, values=values)

    def state(self) -> dict[str, Tensor]:
        """The weights and norms of the flow, and the centre and scale of the conditions."""
        return dict(self.flow_.state_dict()) | {"centre": self.centre_, "scale": self.scale_}

    def restore(self, state: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Restore flow, scaling and facts."""
        weights = {key: value for key, value in state.items() if key not in ("centre", "scale")}
        self.centre_, self.scale_ = state["centre"], state["scale"]
        flow = self.new_flow(len(weights["first.mean"]), len(self.centre_), None).to(self.centre_.device)
        flow.load_state_dict(weights)
        self.flow_ = flow.eval().requires_grad_(False)
        self.facts_ = facts

    def facts(self) -> dict[str, Any]:
        """`conditions`; `start`, `end`: -log p of held-out codes; `round_trip` in W; `end_time` T; `curve`."""
        return self.facts_

    def new_flow(self, w_dim: int, conditions: int, rng: torch.Generator | None) -> Flow:
        """An untrained flow with these hyper-parameters."""
        from pipeline.methods.styleflow.flow import Flow

        return Flow(w_dim, (self.width,) * self.layers, conditions, rng=rng)

    def condition_names(self, data: FitData) -> tuple[str, ...]:
        """The names of the attributes on which the flow is conditioned."""
        evaluated = self.conditions == EVALUATED_WORD
        names = data.evaluated if evaluated else validation.split_names(self.conditions)
        return tuple(dict.fromkeys(EVALUATED.get(name, name) for name in names))

    def columns(self) -> list[int]:
        """The columns of the conditions among the 35 attributes."""
        return [INDEX[name] for name in self.facts_["conditions"]]

    def scaling(self, names: tuple[str, ...], values: Tensor) -> tuple[Tensor, Tensor]:
        """Centre and scale (conditions,): mean and standard deviation of `values` (N, conditions), or of raw units."""
        import torch

        if self.standardise:
            spread, mean = torch.std_mean(values.double().cpu(), dim=0)
            return mean.float(), spread.clamp(min=LEAST_SPREAD).float()
        attributes = [ATTRIBUTES[INDEX[name]] for name in names]
        scale = torch.tensor([1.0 / (attribute.high - attribute.low) for attribute in attributes])
        return -torch.tensor([attribute.low for attribute in attributes]) * scale, scale

    def condition(self, values: Tensor) -> Tensor:
        """The conditions (N, conditions) of values (N, 35)."""
        return (values[:, self.columns()] - self.centre_.to(values)) / self.scale_.to(values)

    def masks(self, depth: int) -> Tensor:
        """Whether each layer keeps an edit of each condition: (conditions, depth) bool."""
        masks = layer_masks(depth, tuple(self.facts_["conditions"]))
        return masks if self.copy_back else masks.new_ones(masks.shape)

    def _gains(self, like: Tensor) -> Tensor:
        gains = {EVALUATED[name]: gain for name, gain in GAINS.items()} if self.gains else {}
        return like.new_tensor([gains.get(name, 1.0) for name in self.facts_["conditions"]])

    def _refuse_others(self, strengths: Tensor) -> None:
        known = self.columns()
        others = [name for column, name in enumerate(NAMES) if column not in known and strengths[:, column].any()]
        if others:
            raise StageError(
                f"styleflow was conditioned on {', '.join(self.facts_['conditions'])} and cannot change "
                f"{', '.join(others)}. Name it in luigi.cfg: [method.styleflow] conditions."
            )

    def _solve(self, way: str, codes: Tensor, conditions: Tensor, wanted: Tensor) -> Tensor:
        """Rows of codes (N, 512) through the flow where `wanted` (N,), others as they are.

        Where the equation has no solution, halves are tried, down to the single code, which becomes NaN.
        """
        from pipeline.methods.styleflow.flow import UnsolvableError

        result, pending = codes.clone(), [wanted.nonzero()[:, 0]]
        while pending:
            rows = pending.pop()
            try:
                result[rows] = getattr(self.flow_, way)(codes[rows], conditions[rows], self.tolerance)
            except UnsolvableError:
                if len(rows) > 1:
                    pending += rows.tensor_split(2)
                else:
                    result[rows] = math.nan
        return result


def _groups(ws: Tensor, active: Tensor) -> list[tuple[int, Tensor, list[int]]]:
    """Layers that one pass serves: the first layer of the same codes, what they change (conditions,), the layers.

    ws (N, L, 512); active (conditions, L) bool. Codes of W are one for all layers.
    """
    import torch

    groups: dict[tuple[int, tuple[bool, ...]], list[int]] = {}
    first: list[int] = []
    for layer in range(ws.shape[1]):
        same = next((code for code in first if torch.equal(ws[:, code], ws[:, layer])), layer)
        if same == layer:
            first.append(layer)
        groups.setdefault((same, tuple(active[:, layer].tolist())), []).append(layer)
    return [(code, active[:, layers[0]], layers) for (code, _), layers in groups.items()]
