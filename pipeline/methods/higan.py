"""HiGAN: InterFaceGAN's boundaries, applied only in the layers that change the attribute."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.attributes import index_of
from pipeline.domains.microbatches import in_microbatches
from pipeline.methods import validation
from pipeline.methods.checkpoints import method_checkpoint
from pipeline.methods.interface import FitData, Paper
from pipeline.methods.interfacegan import InterFaceGAN
from pipeline.methods.learned import EVALUATED_WORD, columns_to_learn, refuse_others

if TYPE_CHECKING:
    from torch import Tensor

DRAW = 1  # purpose of the random stream that draws the codes to re-score


class HiGAN(InterFaceGAN):
    """w'_l = w_l + s n in the layers l that re-scoring selects, w'_l = w_l in the others.

    Yang et al., "Semantic Hierarchy Emerges in Deep Generative Representations for Scene Synthesis", IJCV 2021:
    n is the unit normal of a linear boundary in W. Re-scoring moves `rescored` codes by `distance` along n, in all
    layers and in each layer alone, and takes the mean of max(f(G(w')) - f(G(w)), 0), where f is the attribute's value:
    their equation for the change of a semantic, by which their `rescore.py --layerwise_rescoring` ranks layers. Where w
    is truncated, the step is scaled by psi, as theirs is.

    Departures from the authors' code:

    - the authors choose layers by eye; here the layers with the largest changes are taken until they hold the share
      `kept` of the sum over all layers (`choose_layers`);
    - the boundary is `interfacegan`'s, from the same share of codes (theirs: 2,000 per side), with its
      departures. 400 codes per side, which 20,000 codes give, and 2,000 have normals with cosines of .64 to .86
      (age, yaw, gender in the embedded generator's W); the rank correlations of these normals with the values are .74
      to .92 and .80 to .93. `chosen = 2000` is theirs;
    - codes are taken from the training set; psi holds in every layer, as this benchmark truncates.

    Attributes that are not evaluated are not re-scored. Their edits touch all layers, as do edits of an attribute that
    no single layer raises. The layers belong to the generator on which the method was fitted.

    An edit of 2 along a normal that two of three layers get:

    >>> import torch
    >>> method, layers = HiGAN(), torch.ones(35, 3)
    >>> layers[0] = torch.tensor([1.0, 0.0, 1.0])
    >>> method.restore({"directions": torch.eye(35, 512), "layers": layers}, {})
    >>> method.edit(torch.zeros(1, 3, 512), 2 * torch.eye(35)[:1], torch.zeros(1, 35))[0, :, 0]
    tensor([2., 0., 2.])
    """

    name: ClassVar[str] = "higan"
    version: ClassVar[int] = 3
    paper: ClassVar[Paper] = Paper(
        "Semantic Hierarchy Emerges in Deep Generative Representations for Scene Synthesis",
        "IJCV 2021",
        "https://arxiv.org/abs/1911.09267",
    )
    unit: ClassVar[str] = "length in W at each chosen layer"
    space: ClassVar[str] = "W+"

    layers_: Tensor  # (35, L) float32, 1 where the attribute's edit touches the layer, else 0

    def __init__(
        self,
        *,
        chosen: float = 0.02,
        train_share: float = 0.7,
        c: float = 1.0,
        rescored: int = 2000,
        distance: float = 2.0,
        kept: float = 0.75,
        attributes: str = EVALUATED_WORD,
    ) -> None:
        super().__init__(chosen=chosen, train_share=train_share, c=c, attributes=attributes)
        self.rescored = validation.whole(self.name, "rescored", rescored, 1, 10**7)
        self.distance = validation.number(self.name, "distance", distance, 0.0, 1e6, above=True)
        self.kept = validation.number(self.name, "kept", kept, 0.0, 1.0, above=True)

    def amount(self, latents: int, codes: int) -> tuple[int, str]:
        """The re-scored codes, each generated once per layer and evaluated attribute: most of the work."""
        return min(latents, self.rescored), "codes"

    def fit(self, data: FitData) -> None:
        """Learn the normals, then generate images of the moved codes and choose layers."""
        import torch

        learned = columns_to_learn(self.attributes, data.attributes)
        rescored = [name for name in data.evaluated if index_of(name) in learned]
        jobs, normals = len(rescored), len(learned)

        def progress(done: int, total: int, message: str) -> None:
            data.progress(done, normals + jobs, message)

        super().fit(replace(data, progress=progress))
        layers = torch.ones(len(data.attributes), data.generator.num_ws)
        rescoring = _Rescoring(self, data)
        found: dict[str, Any] = {}
        for job, name in enumerate(rescored):
            progress(normals + job, 0, f"layers of {name}")
            changes = rescoring.changes(name)
            ranked = choose_layers(changes[1:], self.kept)
            layers[index_of(name)] = 0.0
            layers[index_of(name), ranked] = 1.0
            found[name] = {"all": changes[0], "layers": changes[1:], "chosen": ranked}
        self.layers_ = layers.to(data.device)
        self.facts_ = {**self.facts_, "rescoring": found}
        progress(normals + jobs, 0, "")

    def edit(self, ws: Tensor, strengths: Tensor, values: Tensor) -> Tensor:
        """ws (N, L, 512) plus strengths (N, 35) times the normals, each in its attribute's layers.

        Raises StageError for an attribute that is not among `attributes`.
        """
        import torch

        refuse_others(self.name, self.attributes, strengths)
        steps = torch.einsum("na,al,ad->nld", strengths.to(ws), self.layers_.to(ws), self.directions_.to(ws))
        return ws + steps

    def state(self) -> dict[str, Tensor]:
        """The normals and the layers of each attribute."""
        return {"directions": self.directions_, "layers": self.layers_}

    def restore(self, state: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Restore normals, layers and facts."""
        super().restore(state, facts)
        self.layers_ = state["layers"]

    def facts(self) -> dict[str, Any]:
        """InterFaceGAN's, and `rescoring`: per evaluated attribute the changes by all layers and each, the chosen."""
        return self.facts_


def choose_layers(changes: list[float], kept: float) -> list[int]:
    """The layers with the largest changes, largest first, until they hold the share `kept` of the sum of all.

    All layers if the sum is not positive.

    >>> choose_layers([0.5, 0.1, 0.3, 0.1], kept=0.75)
    [0, 2]
    """
    ranked = sorted(range(len(changes)), key=lambda layer: (-changes[layer], layer))
    total = sum(changes)
    if total <= 0:
        return ranked
    held, count = 0.0, 0
    while count < len(ranked) and held < kept * total * (1 - 1e-9):
        held += changes[ranked[count]]
        count += 1
    return ranked[:count]


class _Rescoring:
    """The codes to re-score, their values unedited, and the attributes that were finished before an interruption."""

    def __init__(self, method: HiGAN, data: FitData) -> None:
        import torch

        self.method, self.data = method, data
        rows = torch.randperm(len(data.w), generator=data.rng(DRAW))[: method.rescored].to(data.w.device)
        self.ws = data.generator.mapping.broadcast(data.w[rows].to(data.device))
        self.checkpoint = method_checkpoint(method, data)
        self.done: dict[str, list[float]] = (self.checkpoint.load(data.device) or {"done": {}})["done"]
        self.before = self._scores(None, 0)

    def changes(self, name: str) -> list[float]:
        """Mean rise of an attribute's value by a step in all layers, then in each layer alone."""
        if name not in self.done:
            column, depth = index_of(name), self.ws.shape[1]
            rises = []
            for layers in (slice(0, depth), *(slice(layer, layer + 1) for layer in range(depth))):
                after = self._scores(layers, column)[:, column]
                rises.append(round(float((after - self.before[:, column]).clamp(min=0.0).mean()), 7))
            self.done[name] = rises
            self.checkpoint.save({"done": self.done})
        return self.done[name]

    def _scores(self, layers: slice | None, column: int) -> Tensor:
        """Scores (N, 35) of the codes, moved along an attribute's normal in these layers, or as they are."""
        import torch

        step = self.method.distance * self.data.truncation_psi * self.method.directions_[column]

        def see(rows: slice) -> Tensor:
            ws = self.ws[rows].clone()
            if layers is not None:
                ws[:, layers] += step
            return self.data.scorer_a(self.data.generator.synthesis(ws)).double().cpu()

        with torch.no_grad():
            return torch.cat(in_microbatches(see, len(self.ws), self.data.generator.resolution, self.data.device))
