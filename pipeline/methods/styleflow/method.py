"""StyleFlow: a flow that is conditioned on attributes; an edit goes in with the old values and out with the new."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.attributes import ATTRIBUTES, EVALUATED, INDEX, NAMES
from pipeline.errors import StageError
from pipeline.methods import validation
from pipeline.methods.cost import Cost, stepped_cost
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
# By how much the authors' sliders multiply a wanted change (attr_degree_list of their user interface).
GAINS = {"gender": 1.5, "glasses": 2.5, "baldness": 2.0, "beard": 1.7, "age": 0.93}
LEAST_SPREAD = 1e-3  # that a condition's standard deviation is taken for


class StyleFlow(TrainableStyleFlow):
    """z = Phi(w, a), w' = Phi^-1(z, a + g da), kept in the layers of the changed attribute; w elsewhere.

    Abdal et al., "StyleFlow: Attribute-conditioned Exploration of StyleGAN-Generated Images using Conditional
    Continuous Normalizing Flows", ACM TOG 2021. Phi is a moving batch norm, the flow dy/dt = f(y, t, a) of
    concat-squash layers from 0 to a learned T, and a second norm (`networks/flow.py`). It is trained on labelled codes
    by maximum likelihood: -mean log p(w | a) with log p = log N(z; 0, 1) + log |det dz/dw|, its trace estimated by
    Hutchinson with Gaussian noise that is fixed for a solve. As in the authors' code: norms by running statistics,
    which start at 0 and 1, in training too; dopri5, six layers of 512, tanh, Adam with a constant rate of 1e-3, gains g
    on the wanted changes, and the table of layers that keep an edit. The other layers are copied back from w, so an
    edit of zero is w itself. An edit carries a + g da, not clipped, to the next one, which goes in with it in every
    layer, whatever scorer A would read: so an edit of one attribute is undone exactly.

    Departures from the authors' code:

    - codes are those of W, one for all layers. The authors pass the same code 18 times, which weighs the loss by 18 and
      averages 18 draws of the noise; here batches of 64 in place of 5 do that, drawn at random and not in order;
    - conditions are the eight evaluated attributes. The authors add nine coefficients of light, of which scorer A has
      none; `conditions` may name more of its 35 values, such as exposure;
    - conditions are standardised; `standardise = false` gives raw units (degrees, years), as theirs: after 100 steps
      the -log p of held-out codes is 1,027 so, and 661 standardised;
    - gradients go through the solver's steps and not through its adjoint, and the solver's tolerance in training is
      `training_tolerance`, theirs 1e-5 throughout (.004 of a -log p of 660, gradients of cosine 1.000); the last step
      ends at T, theirs goes beyond and interpolates;
    - a step's error is that of the worst code of a batch, so that none is less exact for standing beside others;
    - several attributes at once: each layer changes the attributes whose span it is in, in one pass. With one
      attribute this is the authors' edit; they change several one after the other, encoding again in between;
    - the table of layers, for a generator of 18, is scaled to the generator's depth (`layers.py`);
    - a + g da may leave the range of values; the authors' sliders end at 0 and 1 (20 degrees, 65 years).

    Where the equation cannot be solved, the edit is NaN.
    """

    name: ClassVar[str] = "styleflow"
    version: ClassVar[int] = 2
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
        steps: int = 18_750,
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
        """Train the flow on w and values alone, going on from a checkpoint of the same settings and data.

        A resumed training gives the very bits of an undisturbed one (on as many threads): what step k draws
        depends on (seed, k) alone. Raises TrainingDivergedError.
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
        """ws (N, L, 512) with strengths (N, 35) added to values (N, 35), times the gains, in the attributes' layers.

        Raises StageError for an attribute that the flow was not conditioned on.
        """
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
                if code not in encoded:
                    encoded[code] = self._solve("encode", ws[:, code], source, change.any(dim=1))
                target = source + change * kept / self.scale_.to(ws)
                moved = self._solve("decode", encoded[code], target, (change * kept).any(dim=1))
                for layer in layers:
                    edited[rows, layer] = moved[rows]
        return edited

    def after(self, faces: Faces, strengths: Tensor, ws: Tensor) -> Faces:
        """The faces at ws (N, L, 512), with the values of the conditions that this edit asked for."""
        moved, columns = super().after(faces, strengths, ws), self.columns()
        values = moved.values.clone()
        values[:, columns] = faces.values[:, columns] + strengths[:, columns].to(values) * self._gains(values)
        return replace(moved, values=values)

    def state(self) -> dict[str, Tensor]:
        """The flow's weights and norms, and what scales the conditions."""
        return dict(self.flow_.state_dict()) | {"centre": self.centre_, "scale": self.scale_}

    def restore(self, state: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Take back flow, scaling and facts."""
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
        """An untrained flow of these hyper-parameters."""
        from pipeline.methods.styleflow.flow import Flow

        return Flow(w_dim, (self.width,) * self.layers, conditions, rng=rng)

    def condition_names(self, data: FitData) -> tuple[str, ...]:
        """The columns that the flow is conditioned on."""
        evaluated = self.conditions == EVALUATED_WORD
        names = data.evaluated if evaluated else validation.split_names(self.conditions)
        return tuple(dict.fromkeys(EVALUATED.get(name, name) for name in names))

    def columns(self) -> list[int]:
        """Their places among the 35."""
        return [INDEX[name] for name in self.facts_["conditions"]]

    def scaling(self, names: tuple[str, ...], values: Tensor) -> tuple[Tensor, Tensor]:
        """Centre and scale of the conditions: of `values` (N, conditions), or those of raw units."""
        import torch

        if self.standardise:
            spread, mean = torch.std_mean(values.double().cpu(), dim=0)
            return mean.float(), spread.clamp(min=LEAST_SPREAD).float()
        of = [ATTRIBUTES[INDEX[name]] for name in names]
        scale = torch.tensor([1.0 / (attribute.high - attribute.low) for attribute in of])
        return -torch.tensor([attribute.low for attribute in of]) * scale, scale

    def condition(self, values: Tensor) -> Tensor:
        """The flow's conditions (N, conditions) of values (N, 35)."""
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
