"""InterFaceGAN, conditional: the normals of linear boundaries in W, without what they share with the others'."""

from __future__ import annotations

from typing import ClassVar

from pipeline.methods.base import Paper
from pipeline.methods.interfacegan import OTHERS, InterFaceGAN


class InterFaceGANConditional(InterFaceGAN):
    """w' = w + s n_p, with n_p the attribute's normal projected to the orthogonal complement of its conditions'.

    Shen et al., "InterFaceGAN: Interpreting the Disentangled Face Representation Learned by GANs", TPAMI 2020:
    for one condition n_p = n1 - (n1 . n2) n2, and for K of them, the rows of C, n_p = n1 - C^T (C C^T)^-1 C n1, then
    scaled to unit norm; the authors' `project_boundary` has closed forms for one and two and solves for more. The
    three are the same projection, and here one computation serves every K.

    `conditions` names the attributes that an edit must not change; by default each evaluated attribute is conditioned
    on the other seven, and an attribute that is not evaluated on all eight. An attribute without a direction
    conditions nothing.

    Departures from the authors' code: those of `interfacegan`; and the default, where the authors choose the conditions
    of each figure by hand. In the embedded generator's W the normals so conditioned have cosines of .68 (beard), .75
    (gender), .86 (age) and .96 or more (the others) to the plain ones.
    """

    name: ClassVar[str] = "interfacegan_conditional"
    version: ClassVar[int] = 2
    paper: ClassVar[Paper] = Paper(
        "InterFaceGAN: Interpreting the Disentangled Face Representation Learned by GANs",
        "TPAMI 2020",
        "https://arxiv.org/abs/2005.09635",
    )

    def __init__(
        self, *, chosen: float = 0.02, train_share: float = 0.7, c: float = 1.0, conditions: str = OTHERS
    ) -> None:
        super().__init__(chosen=chosen, train_share=train_share, c=c, conditions=conditions)
