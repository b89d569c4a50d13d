"""Tables of the chain's stages: latents, labels, ranges, edits of every protocol, features, timings, pictures."""

from __future__ import annotations

import pyarrow as pa

from pipeline.attributes import NAMES
from pipeline.tables.fields import (
    COSINE,
    DETECTED,
    EDIT_KEY,
    FACE_ID,
    METHOD,
    PERSONS,
    SIGMA,
    SIGNED_STRENGTH,
    STRENGTH,
    W_DIM,
    W_DISTANCE,
    changes,
    column,
    displacement,
    flag,
    index,
    measure,
    number,
    schema,
    values,
    whole,
    word,
)

ORDERS = "over the orders, by scorer B, mean of the three attributes, or of those with a usable spread; NaN for none"
END_SET_BY = "detector, cap, plateau (stronger edits move no further), or none (no effect)"
FACE_PROBABILITY = "the detector's, 0 where it finds no face"
UNEDITED = -1  # the step, in the gallery, of the unedited face: no edit's
B_AGAINST_UNEDITED = measure("identity_recognizer_b", COSINE, "recognizer B against the unedited image")

LATENTS = schema(
    "latents",
    [
        whole("latent_id", "id", "the latent; z follows from the run's seed and this"),
        column("w", pa.list_(pa.float32(), W_DIM), "1", "mapped latent, after truncation"),
    ],
)

INVERTED = schema(
    "inverted",
    [
        whole("latent_id", "id", "place in this table, counted from 0"),
        word("photo", "the photograph's file name"),
        word("photo_sha256", "of the photograph's file", unit="sha256"),
        word("domain", "whose generator and judges"),
        word("generator", "of the generator's weights", unit="sha256"),
        word("space", "w: one code for all layers; w+: one for each"),
        column("w", pa.list_(pa.float32(), W_DIM), "1", "the projection's code; null in w+", nullable=True),
        column("ws", pa.list_(pa.float32()), "1", "its codes, layer by layer, each of 512; null in w", nullable=True),
        whole("steps", "1", "steps of the optimisation"),
        whole("seed", "1", "root of the noise on the code"),
        measure("loss", "1", "what was minimised, at the end, without noise"),
        measure("lpips", "1", "perceptual distance of projection and aligned photograph"),
        measure("mean_face_lpips", "1", "that of the mean face, where the search began"),
        measure("ssim", "1", "structural similarity of projection and aligned photograph"),
        measure("pixel_error", "1", "root mean squared difference of pixels in [-1, 1]"),
        measure("identity_recognizer_b", COSINE, "projection against aligned photograph"),
        measure("value_error", "1", "mean difference, without sign, of scorer B's 35 values"),
        measure("face_probability", "1", "the detector's on the projection, 0 where it finds no face"),
        displacement("||w - mean w||, mean over layers"),
        measure("side", "pixel of the photograph", "side of the square that was cut out"),
    ],
)

LABELS = schema(
    "labels",
    [
        whole("latent_id", "id", "the latent"),
        *values("scorer A"),
        measure("face_probability", "1", FACE_PROBABILITY),
    ],
)

RANGES = schema(
    "ranges",
    [
        METHOD,
        word("attribute", "the evaluated attribute"),
        word("unit", "what a strength of 1 means for this method"),
        number("low", "strength", "smallest calibrated strength"),
        number("high", "strength", "largest calibrated strength"),
        word("low_set_by", END_SET_BY),
        word("high_set_by", END_SET_BY),
        number("cap", W_DISTANCE, "largest displacement allowed"),
        number("found_share", "1", "share of these faces that must still be found"),
        whole("n_faces", "faces", "faces calibrated on"),
        column("face_ids", pa.list_(pa.int64()), "id", "those faces"),
        column("face_low", pa.list_(pa.float64()), "strength", "each face's own lower limit"),
        column("face_high", pa.list_(pa.float64()), "strength", "each face's own upper limit"),
        flag("value_bounded", "the unit is that of the attribute's value (L2L's delta a)"),
    ],
)


def _against_unedited(*, of_edits: bool) -> list[pa.Field]:
    """An image against the unedited one; tables other than `edits` refer to it, and have nulls where nothing is."""
    described = {
        "identity_mtcnn": (COSINE, "MTCNN features against the unedited image"),
        "identity_recognizer_a": (COSINE, "recognizer A against the unedited image"),
        "identity_recognizer_b": (COSINE, "recognizer B against the unedited image"),
        "true_identity_distance": (
            PERSONS,
            "identity factors, as the truth reader reads them, against the unedited image; null without a known truth",
        ),
        "true_identity_error": (
            PERSONS,
            "what the truth reader shows between two pictures of one person; null without a known truth",
        ),
    }
    return [
        *(
            measure(
                name,
                unit,
                meaning if of_edits else "as in `edits`",
                nullable=not of_edits or unit == PERSONS,
            )
            for name, (unit, meaning) in described.items()
        ),
        measure("lpips", "1", "perceptual distance to the unedited image", nullable=not of_edits),
        measure("ssim", "1", "structural similarity to the unedited image", nullable=not of_edits),
    ]


EDITS = schema(
    "edits",
    [
        *EDIT_KEY,
        index("step", "0 to n_steps - 1, from the range's low end to its high end"),
        SIGNED_STRENGTH,
        displacement(),
        DETECTED,
        measure("probability", "1", FACE_PROBABILITY),
        measure("box_left", "pixel", "face box; of the whole image where none was found"),
        *(measure(f"box_{side}", "pixel", "face box") for side in ("top", "right", "bottom")),
        *values("scorer B"),
        measure("start_value", "1", "the edited attribute on the unedited image, by scorer B"),
        *_against_unedited(of_edits=True),
        measure(
            "local_share",
            "1",
            "share of the squared pixel change inside the attribute's true parts; null without a known truth, for an "
            "attribute that is everywhere, and where nothing changed",
            nullable=True,
        ),
        measure(
            "parts_area",
            "1",
            "share of the picture that those parts take up: what an even change would score; null as above",
            nullable=True,
        ),
    ],
)

SPREAD = schema(
    "spread",
    [
        whole("latent_id", "id", "the unedited latent"),
        column("logits_a", pa.list_(pa.float32(), len(NAMES)), "logit", "the 35 logits by scorer A, cut at +-7"),
        column("logits_b", pa.list_(pa.float32(), len(NAMES)), "logit", "the 35 logits by scorer B, cut at +-7"),
        column("identity_b", pa.list_(pa.float32()), "1", "recognizer B's embedding, of unit norm"),
    ],
)

RATES = schema(
    "rates",
    [
        *EDIT_KEY,
        index("strength_index", "1 to rate_strengths, the method's largest"),
        number("strength", STRENGTH, "signed strength, towards the other side of the label"),
        flag("label", "the edited attribute's label on the unedited image, by scorer B"),
        displacement(),
        DETECTED,
        flag("flipped", "the label is the other one, on a face that is found"),
        measure("preserved", "1", "share of the 34 other labels that are kept; 0 where no face is found"),
        B_AGAINST_UNEDITED,
        number("largest_accepted_distance", COSINE, "at which false_accept_rate is kept"),
        flag("accepted", "recognizer B accepts the same person, on a face that is found"),
    ],
)

CONSISTENCY = schema(
    "consistency",
    [
        METHOD,
        FACE_ID,
        column("attributes", pa.list_(pa.string()), "name", "the face's triple of attributes"),
        column("strengths", pa.list_(pa.float64()), STRENGTH, "signed strength of each"),
        displacement("mean ||w' - w|| over the orders' ends"),
        measure("order_score_spread", SIGMA, ORDERS),
        displacement("mean over pairs of orders' ends", name="order_displacement"),
        measure("order_lpips", "1", "mean perceptual distance over pairs of orders' ends"),
        measure("at_once_score_difference", SIGMA, "one edit of all three, against the orders' mean"),
        displacement("mean to the orders' ends", name="at_once_displacement"),
        measure("at_once_lpips", "1", "mean perceptual distance to the orders' ends"),
        displacement("||w - edit^-1(edit(w))||", name="undo_displacement"),
        measure("undo_identity_recognizer_b", COSINE, "recognizer B, undone and unedited"),
        measure("undo_lpips", "1", "perceptual distance, undone and unedited"),
        word(
            "carried",
            "what an edit by the method carries to the next one; values that none carries are read again by scorer A",
            nullable=True,
        ),
    ],
)

MATCHED = schema(
    "matched",
    [
        *EDIT_KEY,
        index("direction", "+1: the attribute shall rise, -1: fall, as scorer A sees it"),
        number("level", SIGMA, "how far it shall move, by scorer A"),
        flag("reached", "it moves so far and a face is still found; else nothing is measured"),
        word(
            "unreached",
            "why not: weak (no strength moves it so far), ceiling (nothing could: the logit would be beyond its cut), "
            "jump (the change leaps over the level), lost (no face is found there), unedited (no face is found without "
            "an edit), no unit (scorer A's logit has no usable spread over unedited images); null where reached",
            nullable=True,
        ),
        number("tolerance", SIGMA, "how near to the level counts as reached"),
        number("strength", STRENGTH, "signed strength; null where none was found", nullable=True),
        displacement(nullable=True),
        flag("detected", "the detector finds a face at that strength", nullable=True),
        measure("change_a", SIGMA, "the edited attribute's signed change by scorer A", nullable=True),
        measure("change_b", SIGMA, "the same by scorer B", nullable=True),
        *values("scorer B", nullable=True),
        *changes(),
        *_against_unedited(of_edits=False),
    ],
)


def features(width: int, classes: int) -> pa.Schema:
    """Schema of `features`: one image's perception vector (width) and class logits (classes)."""
    return schema(
        "features",
        [
            word("attribute", "the edited attribute; empty for reference images"),
            whole("face_id", "id", "the latent"),
            index("step", "step of the edit; 0 for reference images"),
            column("feature", pa.list_(pa.float32(), width), "1", "perception vector"),
            column("logits", pa.list_(pa.float32(), classes), "1", "perception net's class logits"),
        ],
    )


TIMINGS = schema(
    "timings",
    [
        METHOD,
        index("repetition", "one edit of one face, batch 1, warm"),
        number("seconds_per_edit", "second", "the edit of the code alone"),
        number("seconds_per_edit_and_synthesis", "second", "the edit and its image"),
    ],
)

GALLERY = schema(
    "gallery",
    [
        *EDIT_KEY,
        index("step", "step of the edit, as in `edits`"),
        SIGNED_STRENGTH,
        measure("value", "1", "the edited attribute on this image, by scorer B"),
        DETECTED,
        column("png", pa.binary(), "PNG", "the edited image"),
        column(
            "regions",
            pa.binary(),
            "PNG",
            "the unedited face under the colours of the method's regions; null for edits, and for a method without",
            nullable=True,
        ),
    ],
)
