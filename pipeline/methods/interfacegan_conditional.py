"""InterFaceGAN, conditional: normals of linear boundaries in W, without what they share with other attributes."""

from __future__ import annotations

from typing import ClassVar

from pipeline.methods.interface import Paper
from pipeline.methods.interfacegan import OTHERS, InterFaceGAN
from pipeline.methods.learned import EVALUATED_WORD


class InterFaceGANConditional(InterFaceGAN):
    """w' = w + s n_p, with n_p the normal of the attribute, projected orthogonally to the normals of its conditions.

    Shen et al., "InterFaceGAN: Interpreting the Disentangled Face Representation Learned by GANs", TPAMI 2020:
    for one condition n_p = n1 - (n1 . n2) n2, and for K conditions, the rows of C, n_p = n1 - C^T (C C^T)^-1 C n1, then
    scaled to unit norm. The authors' `project_boundary` has closed forms for one and two conditions and solves for
    more. All three are the same projection (`interfacegan.project_out`), which is computed in one way here.

    `conditions` names the attributes that an edit must not change. By default each evaluated attribute is conditioned
    on the other seven, and any other attribute on all eight. An attribute without a direction conditions nothing.

    Departures from the authors' code: as for `interfacegan`; and the default conditions, where the authors choose
    conditions by hand for each figure. In the embedded generator's W the conditioned normals have cosines of .68
    (beard), .75 (gender), .86 (age) and .96 or more (the others) to the plain ones.

    Age rises along the first two axes of W, beard along the first; age, conditioned on beard, is the second:

    >>> import torch
    >>> from pipeline.attributes import index_of
    >>> from pipeline.methods.interface import FitData
    >>> w, values, age, beard = torch.zeros(81, 512), torch.full((81, 35), 0.5), index_of("age"), index_of("beard")
    >>> w[:, :2] = torch.cartesian_prod(torch.linspace(-1, 1, 9), torch.linspace(-1, 1, 9))
    >>> values[:, age], values[:, beard] = (w[:, 0] + w[:, 1]) / 4 + 0.5, w[:, 0] / 2 + 0.5
    >>> method = InterFaceGANConditional(chosen=0.25, conditions="beard")
    >>> method.fit(FitData(w, values, None, None, None, seed=0, device=torch.device("cpu")))
    >>> bool(method.directions_[age, 1] > 0.99), bool(method.directions_[beard, 0] > 0.99)
    (True, True)
    """

    name: ClassVar[str] = "interfacegan_conditional"
    version: ClassVar[int] = 3
    paper: ClassVar[Paper] = Paper(
        "InterFaceGAN: Interpreting the Disentangled Face Representation Learned by GANs",
        "TPAMI 2020",
        "https://arxiv.org/abs/2005.09635",
    )

    def __init__(
        self,
        *,
        chosen: float = 0.02,
        train_share: float = 0.7,
        c: float = 1.0,
        conditions: str = OTHERS,
        attributes: str = EVALUATED_WORD,
    ) -> None:
        super().__init__(chosen=chosen, train_share=train_share, c=c, conditions=conditions, attributes=attributes)
