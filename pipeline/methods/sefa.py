"""SeFa: the directions to which the generator's first affine maps respond most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.methods import validation
from pipeline.methods.bytes_taken import Cost
from pipeline.methods.contrastive.candidates import layer_groups, parse_groups
from pipeline.methods.cost import layers_of, linear_cost
from pipeline.methods.interface import FitData, Paper
from pipeline.methods.naming import Unnamed, expected_images
from pipeline.methods.unnamed_directions import LinearCandidates

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.domains.base import DomainCard
    from stylegan.generator import AffineWeight

NOUN = "eigenvector"


class SeFa(Unnamed):
    """w'_l = w_l + s n_k in the layers l of a group, with n_k the k-th eigenvector of A^T A of those layers.

    Shen & Zhou, "Closed-Form Factorization of Latent Semantics in GANs", CVPR 2021: the unit vectors n with the largest
    ||A n||^2, whose stationary points satisfy A^T A n = lambda n. A (channels, 512) stacks the affine weights by which
    the layers of a group make their styles from w. As in the authors' code, every row (a channel) is scaled to unit
    norm, so a constant gain of a layer, such as the one of the equalised learning rate, does not matter. A holds the
    weights of the convolutions; the last code, which no convolution reads, contributes the weights of the last torgb.
    The method reads weights only: no code and no label. An edit touches exactly the layers that were factorised.

    The `groups` are the authors' (all, 0-1, 2-5, 6-13), with the last open to the end. Indices are layers of the
    generator's codes; a layer has the same size of feature map at any depth. Layers beyond the last are left out.

    Departures from the authors' code:

    - a symmetric solver in double precision, sorted; theirs is a general solver in single precision, whose order is not
      guaranteed (sorted, the vectors are the same to 6 digits). The largest entry of an eigenvector is positive;
    - the first `directions` of each group, 64 where their script shows 5, are candidates for names, by the rule that
      all methods share (`naming.py`);
    - codes are not truncated for an edit (theirs: psi 0.7 on 8 layers).

    Two of three channels read the first axis of w, so it is the first eigenvector, whatever the gains:

    >>> import torch
    >>> values, vectors = factorise(torch.tensor([[3.0, 0.0], [2.0, 0.0], [0.0, 9.0]]))
    >>> values, vectors
    (tensor([2., 1.], dtype=torch.float64), tensor([[1., 0.],
            [0., 1.]], dtype=torch.float64))
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

    def amount(self, latents: int, codes: int) -> tuple[int, str]:
        """Images of the naming, of every direction in every layer group."""
        groups = len(parse_groups(self.name, "groups", self.groups))
        return expected_images(self.directions * groups, codes), "images"

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
        """The candidates that `state` and `facts` describe."""
        self.found_ = {"groups": facts["groups"]}
        numbers = [k for group in facts["groups"] for k in range(len(group["eigenvalue_shares"]))]
        return LinearCandidates(state["vectors"], state["ranges"], NOUN, numbers)

    def facts(self) -> dict[str, Any]:
        """`groups`: layers, and the share of each eigenvalue in the sum of all; and the facts of naming."""
        return {**self.found_, **super().facts()}


def stacked(weights: Sequence[AffineWeight], first: int, stop: int, layers: int) -> Tensor:
    """The affine weights (channels, 512) of layers `first` to `stop` - 1: of convolutions, and the last torgb."""
    import torch

    return torch.cat(
        [
            weight.weight
            for weight in weights
            if first <= weight.ws_index < stop and (not weight.name.endswith("torgb") or weight.ws_index == layers - 1)
        ]
    )


def factorise(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues (512,), falling, and unit eigenvectors (512, 512), as rows, of A^T A; float64 on the CPU.

    A is `weight` (channels, 512) with rows scaled to unit norm; a row of zeros stays zero.
    """
    import torch

    rows = torch.nn.functional.normalize(weight.detach().double().cpu(), dim=1)
    values, columns = torch.linalg.eigh(rows.T @ rows)
    vectors = columns.flip(1).T
    peaks = vectors.gather(1, vectors.abs().argmax(dim=1, keepdim=True))
    return values.flip(0).clamp(min=0.0), vectors * peaks.sign()
