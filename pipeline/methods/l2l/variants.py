"""The ablation of L2L: each loss removed, the paper's and the patent's width, W and W+, residual and plain mapper,
attributes in raw units and in standard deviations.
"""

from __future__ import annotations

from pipeline.methods.l2l.method import W_PLUS, W
from pipeline.methods.l2l.scales import DEVIATIONS, RAW
from pipeline.methods.variants import Ablation, HeldOut, Variant

DISTANCE = "mean distance of two random w"

ABLATION = Ablation(
    variants=(
        Variant("no-attribute", "whether anything but the target loss makes edits", {"weight_attribute": 0.0}),
        Variant("no-cycle", "whether an edit can be taken back without being trained to", {"weight_cycle": 0.0}),
        Variant("no-identity", "whether an edit of zero stays one without being trained to", {"weight_identity": 0.0}),
        Variant("no-neighbourhood", "how far edits go when nothing holds them near w", {"weight_neighbourhood": 0.0}),
        Variant("no-face", "what the face recognition loss buys in identity", {"weight_face": 0.0}),
        Variant("width-256", "hidden layers narrower than the code, as in the patent's claim", {"width": 256}),
        Variant("width-512", "hidden layers as wide as the code, as in the paper", {"width": 512}),
        Variant("w", "one edited code for all layers", {"codes": W}),
        Variant("w-plus", "an edited code for each layer", {"codes": W_PLUS}),
        Variant("plain", "f(w, da) = g(w, da): the code goes through the network", {"residual": False}),
        Variant("residual", "f(w, da) = w + g(w, da): the network gives the difference", {"residual": True}),
        Variant("raw", "changes and target loss in attribute values, as printed", {"units": RAW}),
        Variant("deviations", "changes and target loss in units that make attributes equal", {"units": DEVIATIONS}),
    ),
    held_out=(
        HeldOut("cycle", "cycle_error", "||w - f(f(w, da), -da)||: what is left when an edit is taken back", DISTANCE),
        HeldOut("identity", "noop_error", "||w - f(w, 0)||: how far an edit of zero moves", DISTANCE),
        HeldOut(
            "attribute",
            "attribute_error",
            "||(H(G(w')) - a') / u||^2: what is missing to the wanted values, all 35 of them",
            "squared attribute values, each in its attribute's unit",
            role="scorer_a",
        ),
        HeldOut(
            "neighbourhood",
            "squared_displacement",
            "||w - w'||^2: how far edits go",
            f"square of {DISTANCE}",
            "neither",
        ),
        HeldOut(
            "face",
            "face_error",
            "||F(G(w)) - F(G(w'))||^2: what the edit does to the person, by the network of the loss",
            "squared feature distance",
            role="recognizer_a",
        ),
    ),
)
