"""LatentCLR: directions whose effects on the generator's features are easy to distinguish."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.errors import ConfigError
from pipeline.methods import validation
from pipeline.methods.bytes_taken import Cost
from pipeline.methods.contrastive.candidates import (
    DirectionCandidates,
    cosines,
    directions_cost,
    draw_alphas,
    feature_changes,
    groups_named,
    layer_groups,
    layers_seen,
    parse_groups,
    rebuild_candidates,
)
from pipeline.methods.contrastive.training import ContrastiveTraining, StepLoss, contrastive_loss, unit_rows
from pipeline.methods.interface import FitData, Paper
from pipeline.methods.naming import Unnamed, expected_images
from pipeline.methods.precision import full_precision
from pipeline.optimisation.stepped import frozen

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from pipeline.domains.base import DomainCard
    from pipeline.methods.contrastive.directions import Directions

MODELS = ("global", "linear", "nonlinear")
START = 0  # purpose of the random stream of the start values
NOUN = "direction"


class LatentCLR(Unnamed):
    """w' = w + s d_k(w) / ||d_k(w)||, with K directions trained to have distinguishable effects on features.

    Yuksel et al., "LatentCLR: A Contrastive Learning Approach for Unsupervised Discovery of Interpretable Directions",
    ICCV 2021. The generator is frozen; no labels. With w_k,i = w_i + a d_k(w_i) / ||d_k(w_i)|| and F the feature map
    after block `tap`, flattened and scaled to unit length, each step draws `batch` codes and takes the differences

        h_k,i = (F(w_k,i) - F(w_i)) / ||F(w_k,i) - F(w_i)||

    and for each of them, with S(h, h') = exp(t |h . h'|) and t = 0.5, the loss

        l_k,i = -log( mean_{j != i} S(h_k,i, h_k,j) / mean_{j, m != k} S(h_k,i, h_m,j) ):

    A direction should change all faces alike, and no two directions should be alike. Adam with weight decay 0.001
    minimises the mean over k and i; the learning rate is multiplied by 0.2 at steps 1,000 and 5,000. The loss lies in
    [-t, t] = [-0.5, 0.5], because |h . h'| lies in [0, 1] (`training.contrastive_loss` shows it); `facts` give the loss
    on held-out codes and this bound. t multiplies, as in the authors' code: the textbook temperature is 2.

    `model` is the form of d_k: `global`, a free vector; `linear`, an affine map of w (the authors configure it without
    a bias, but their first layer always has one); `nonlinear`, `depth` fully connected layers 512 wide, batch norm and
    ReLU between them, the last without a bias. The authors' released FFHQ model is "nonlinear" of depth 1, which is
    `linear` here. a is drawn evenly from [alpha_low, alpha_high] at each step, for each direction, or once for all
    directions with `global`. `feed` names the layers that w' feeds in training; empty means all.

    `unit_features = false` takes differences of unscaled F, as their projector's `normalize: False`. The gradient of
    that objective has a cosine of .94 to the gradient of this one. 300 steps from the same start (12 directions of the
    embedded generator) end at directions whose mean |cosine| to the ones here is .37, with a loss of -.203 by this
    objective (here: -.206) and of -.212 by the unscaled objective (here: -.203).

    An edit goes s along d_k in one step. With `edit_step` above 0 it goes in steps of that length and takes d_k again
    at each (`iterative`, the default of their generation settings; their README's command and their demo turn it off,
    and so does our default). s is then the length of the path: an edit of s followed by one of t is the edit of s + t
    if s is a whole number of steps, which does not hold for single steps along a direction that turns. The learned
    directions turn little: at strengths of 0.15, 0.5 and 1 mean distances of two w, paths with steps of 0.1 end .02,
    .06 and .09 of their length away from the single step.

    Departures from the authors' code:

    - the tap is `b16`, which sees layers 0 to 4; theirs for FFHQ is the 4 px block, which sees only layer 0;
    - a feature difference of length 0 is left out of the loss, where theirs divides by it;
    - of their projectors of features only the default exists here, the identity with unit length;
    - settings: theirs are configured for 32 directions, a = 0.1 and batches of 32; their README trains FFHQ with 100, 1
      and 8, and their released FFHQ model had 100, 0.1 and 8;
    - codes come from the training latents, with their truncation; no new ones are drawn;
    - directions are named by the rule that all methods share (`naming.py`), theirs by eye. `groups` are the layers that
      the candidates edit. Layers beyond the ones that the tap sees were never trained, as in their released edits;
    - the model that was best on held-out codes is kept; theirs saves the best and the last.

    The strength is a length in W. Training moves codes by 0.1, a finite difference, so edits extrapolate, as theirs do.

    Two directions that each change two faces alike, and are orthogonal, reach the bound of the loss:

    >>> import torch
    >>> rows = torch.eye(2)[:, None].expand(2, 2, 2)  # direction, face, feature
    >>> loss, accuracy = contrastive_loss(rows, torch.ones(2, 2, dtype=torch.bool))
    >>> float(loss), accuracy
    (-0.5, 1.0)
    """

    name: ClassVar[str] = "latentclr"
    version: ClassVar[int] = 3
    paper: ClassVar[Paper] = Paper(
        "LatentCLR: A Contrastive Learning Approach for Unsupervised Discovery of Interpretable Directions",
        "ICCV 2021",
        "https://arxiv.org/abs/2104.00820",
    )
    unit: ClassVar[str] = "length in W, in the layers of its group"
    supervision: ClassVar[str] = "none"

    candidates_: DirectionCandidates
    found_: dict[str, Any]

    def __init__(
        self,
        *,
        model: str = "nonlinear",
        depth: int = 3,
        directions: int = 32,
        tap: str = "b16",
        alpha_low: float = 0.1,
        alpha_high: float = 0.1,
        unit_features: bool = True,
        edit_step: float = 0.0,
        feed: str | int = "",
        groups: str | int = "all, 0-1, 2-5, 6-",
        batch: int = 8,
        learning_rate: float = 0.001,
        steps: int = 2_000,
    ) -> None:
        if model not in MODELS:
            raise ConfigError(f"[method.{self.name}] model: expected {', '.join(MODELS)}, found {model!r}.")
        self.model, self.tap = model, str(tap)
        self.depth = validation.whole(self.name, "depth", depth, 2, 16)
        self.directions = validation.whole(self.name, "directions", directions, 2, 1000)
        self.alpha_low = validation.number(self.name, "alpha_low", alpha_low, -1000.0, 1000.0)
        self.alpha_high = validation.number(self.name, "alpha_high", alpha_high, self.alpha_low, 1000.0)
        self.unit_features = validation.flag(self.name, "unit_features", unit_features)
        self.edit_step = validation.number(self.name, "edit_step", edit_step, 0.0, 1000.0)
        self.feed = ", ".join(parse_groups(self.name, "feed", feed))
        self.groups = ", ".join(parse_groups(self.name, "groups", groups))
        self.batch = validation.whole(self.name, "batch", batch, 2, 4096)
        self.learning_rate = validation.number(self.name, "learning_rate", learning_rate, 0.0, 10.0, above=True)
        self.steps = validation.whole(self.name, "steps", steps, 1, 10**8)

    @property
    def network_depth(self) -> int:
        """The depth of a direction's network; 0 is a free vector."""
        return {"global": 0, "linear": 1}.get(self.model, self.depth)

    def cost(self, card: DomainCard) -> Cost:
        """K networks, or K vectors, trained through the generator's blocks up to `tap`."""
        return directions_cost(card, self.tap, self.directions, self.network_depth, self.batch)

    def amount(self, latents: int, codes: int) -> tuple[int, str]:
        """Images of the training and of the naming."""
        candidates = self.directions * groups_named(self.name, self.groups, self.tap)
        return self.steps * self.batch * (1 + self.directions) + expected_images(candidates, codes), "images"

    def find(self, data: FitData) -> DirectionCandidates:
        """Train the directions. Resumes from a checkpoint of the same settings and data if there is one.

        Raises TrainingDivergedError; ConfigError if the generator has no block `tap`.
        """
        import torch
        from torch import nn

        from pipeline.methods.contrastive.directions import Directions

        layers, seen = data.generator.num_ws, layers_seen(data, self.name, self.tap)
        spans = layer_groups(self.name, "groups", self.groups, layers, seen)
        fed = layer_groups(self.name, "feed", self.feed, layers, seen)
        networks = Directions(self.directions, data.w.shape[1], depth=self.network_depth, rng=data.rng(START))
        models = nn.ModuleList([networks.to(data.device)])

        def objective(turn: int, w: Tensor, rng: torch.Generator) -> StepLoss:
            return self.objective(data, networks, w, fed, rng)

        with frozen(data.generator), full_precision(data.generator):
            training = ContrastiveTraining(
                self,
                data,
                models,
                objective,
                steps=self.steps,
                batch=self.batch,
                learning_rate=self.learning_rate,
            )
            training.run()
        with torch.no_grad():
            shown = networks(data.w[training.trained :].to(data.device))
        self.found_ = {"training": training.facts(), "cosines": cosines(shown), "layers_seen": seen}
        return DirectionCandidates([networks], spans, [NOUN], self.edit_step)

    def objective(
        self,
        data: FitData,
        networks: Directions,
        w: Tensor,
        fed: list[tuple[int, int]],
        rng: torch.Generator,
    ) -> StepLoss:
        """The contrastive loss of codes w (B, 512) on the device."""
        drawn = 1 if self.model == "global" else self.directions
        alphas = draw_alphas(drawn, self.alpha_low, self.alpha_high, rng).expand(self.directions)
        before, after = feature_changes(data, networks(w), w, self.tap, alphas, fed)
        before, after = before.flatten(1), after.flatten(2)
        if self.unit_features:
            before, after = unit_rows(before)[0], unit_rows(after)[0]
        rows, there = unit_rows(after - before)
        loss, accuracy = contrastive_loss(rows, there)
        return StepLoss(loss, float(loss.detach()), accuracy, 1 - float(there.float().mean()))

    def rebuild(self, state: dict[str, Tensor], facts: dict[str, Any]) -> DirectionCandidates:
        """The candidates that `state` and `facts` describe."""
        self.found_ = {key: facts[key] for key in ("training", "cosines", "layers_seen")}
        return rebuild_candidates(state, self.network_depth, [NOUN], self.edit_step)

    def facts(self) -> dict[str, Any]:
        """`training`: losses and their bound; `cosines`: between directions and between codes; the facts of naming."""
        return {**self.found_, **super().facts()}
