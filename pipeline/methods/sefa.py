"""SeFa: the directions to which the generator's first affine maps answer the most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.methods import validation
from pipeline.methods.base import FitData, Paper
from pipeline.methods.contrastive.candidates import layer_groups, parse_groups
from pipeline.methods.cost import Cost, layers_of, linear_cost
from pipeline.methods.naming import LinearCandidates, Unnamed

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.domains.base import DomainCard
    from stylegan.generator import AffineWeight

NOUN = "eigenvector"


class SeFa(Unnamed):
    """w'_l = w_l + s n_k in the layers l of a group, with n_k the k-th eigenvector of A^T A of those layers.

    Shen & Zhou, "Closed-Form Factorization of Latent Semantics in GANs", CVPR 2021: the unit vectors n with the largest
    ||A n||^2, whose stationary points are A^T A n = lambda n. A (channels, 512) stacks the weights by which the
    layers of a group make their styles from w, and, as in the authors' code, every row (a channel) has unit norm. So a
    constant gain of a layer, such as the equalised learning rate's, does not matter. Of the layers the convolutions'
    weights are taken, and for the last code, which no convolution reads, those of the last torgb. Nothing but weights
    is read, no code and no label. An edit touches the very layers that were factorised.

    The `groups` are the authors' (all, 0-1, 2-5, 6-13), the last to the end; indices are those of the generator's
    codes, which stand for the same size of feature map at any depth, and what lies beyond the last layer is left out.

    Departures from the authors' code:

    - a symmetric solver in double precision, sorted; theirs is a general one in single precision, whose order is not
      guaranteed (sorted, the vectors are the same to 6 digits). An eigenvector's largest entry is positive;
    - the first `directions` of each group, 64 in place of the 5 that their script shows, are tried for names, by
      the rule that all methods share (`naming.py`);
    - codes are not truncated for an edit (theirs: psi 0.7 on 8 layers).
    """

    name: ClassVar[str] = "sefa"
    version: ClassVar[int] = 1
    paper: ClassVar[Paper] = Paper(
        "Closed-Form Factorization of Latent Semantics in GANs", "CVPR 2021", "https://arxiv.org/abs/2007.06600"
    )
    unit: ClassVar[str] = "length in W, in the layers of its group"
    exact_undo: ClassVar[bool] = True

    found_: dict[str, Any]

    def __init__(self, *, directions: int = 64, groups: str | int = "all, 0-1, 2-5, 6-") -> None:
        self.directions = validation.whole(self.name, "directions", directions, 1, 512)
        self.groups = ", ".join(parse_groups(self.name, "groups", groups))

    def cost(self, card: DomainCard) -> Cost:
        """The directions of every layer group, for which no code is read."""
        layers = layers_of(card)
        groups = layer_groups(self.name, "groups", self.groups, layers, layers)
        return linear_cost(self.directions * len(groups), codes_at_once=0)

    def find(self, data: FitData) -> LinearCandidates:
        """Factorise every layer group of the generator."""
        import torch

        weights = data.generator.affine_weights()
        layers = data.generator.num_ws
        vectors: list[Tensor] = []
        ranges: list[list[int]] = []
        numbers: list[int] = []
        self.found_ = {"groups": []}
        for first, stop in layer_groups(self.name, "groups", self.groups, layers, layers):
            values, found = factorise(stacked(weights, first, stop, layers))
            kept = min(self.directions, len(found))
            vectors.append(found[:kept].float())
            ranges += [[first, stop]] * kept
            numbers += range(kept)
            shares = (values[:kept] / values.sum()).tolist()
            self.found_["groups"].append({"first": first, "stop": stop, "eigenvalue_shares": shares})
        found = torch.cat(vectors) if vectors else torch.zeros(0, data.w.shape[1])
        return LinearCandidates(found.to(data.device), torch.tensor(ranges).reshape(-1, 2), NOUN, numbers)

    def rebuild(self, state: dict[str, Tensor], facts: dict[str, Any]) -> LinearCandidates:
        """The candidates of which `state` and `facts` were kept."""
        self.found_ = {"groups": facts["groups"]}
        numbers = [k for group in facts["groups"] for k in range(len(group["eigenvalue_shares"]))]
        return LinearCandidates(state["vectors"], state["ranges"], NOUN, numbers)

    def facts(self) -> dict[str, Any]:
        """`groups`: their layers and the share of each eigenvalue in the sum of all; and the naming's."""
        return {**self.found_, **super().facts()}


def stacked(weights: Sequence[AffineWeight], first: int, stop: int, layers: int) -> Tensor:
    """The style weights (channels, 512) of the codes `first` to `stop` - 1: convolutions', and torgb's for the last."""
    import torch

    return torch.cat(
        [
            weight.weight
            for weight in weights
            if first <= weight.ws_index < stop and (not weight.name.endswith("torgb") or weight.ws_index == layers - 1)
        ]
    )


def factorise(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (512,), falling, and unit eigenvectors (512, 512), as rows, of A^T A, A's rows scaled to unit norm.

    A is `weight` (channels, 512); a row of zeros stays one. Float64 on the CPU.
    """
    import torch

    rows = torch.nn.functional.normalize(weight.detach().double().cpu(), dim=1)
    values, columns = torch.linalg.eigh(rows.T @ rows)
    vectors = columns.flip(1).T
    peaks = vectors.gather(1, vectors.abs().argmax(dim=1, keepdim=True))
    return values.flip(0).clamp(min=0.0), vectors * peaks.sign()
