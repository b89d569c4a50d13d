"""Every column of every table, with its unit and meaning. Nobody else spells a column.

A schema only ever gains nullable columns; its version stands in the file's metadata. `tables.py` reads and
writes by these schemas.
"""

from __future__ import annotations

import pyarrow as pa

from pipeline.attributes import NAMES

W_DIM = 512
FORMAT_VERSION = "1"


def _field(name: str, kind: pa.DataType, unit: str, meaning: str, *, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"unit": unit, "meaning": meaning})


def _schema(table: str, fields: list[pa.Field]) -> pa.Schema:
    return pa.schema(fields, metadata={"latentbench.table": table, "latentbench.schema_version": FORMAT_VERSION})


def value_column(attribute: str) -> str:
    """The column that holds a scorer's value of one of the 35 attributes."""
    return f"value_{attribute}"


VALUE_COLUMNS: tuple[str, ...] = tuple(value_column(name) for name in NAMES)


def _values(scorer: str, *, nullable: bool = False) -> list[pa.Field]:
    return [
        _field(value_column(name), pa.float32(), "1", f"{name} in [0, 1], by {scorer}", nullable=nullable)
        for name in NAMES
    ]


def change_column(attribute: str) -> str:
    """The column that holds the signed change of one of the 35 attributes, in standard deviations of its logit."""
    return f"change_{attribute}"


CHANGE_COLUMNS: tuple[str, ...] = tuple(change_column(name) for name in NAMES)
SIGMA = "standard deviation of the logit over unedited images"
ORDERS = "over the orders, by scorer B, mean of the three attributes, or of those with a usable spread; NaN for none"
NO_CHANGE = "mean signed change of it; null where no face reached the level, and where it has no usable spread"
RANDOM_PERSONS = "mean distance of two random persons"


LATENTS = _schema(
    "latents",
    [
        _field("latent_id", pa.int64(), "id", "the latent; z follows from the run's seed and this"),
        _field("w", pa.list_(pa.float32(), W_DIM), "1", "mapped latent, after truncation"),
    ],
)

INVERTED = _schema(
    "inverted",
    [
        _field("latent_id", pa.int64(), "id", "place in this table, counted from 0"),
        _field("photo", pa.string(), "name", "the photograph's file name"),
        _field("photo_sha256", pa.string(), "sha256", "of the photograph's file"),
        _field("domain", pa.string(), "name", "whose generator and judges"),
        _field("generator", pa.string(), "sha256", "of the generator's weights"),
        _field("space", pa.string(), "name", "w: one code for all layers; w+: one for each"),
        _field("w", pa.list_(pa.float32(), W_DIM), "1", "the projection's code; null in w+", nullable=True),
        _field("ws", pa.list_(pa.float32()), "1", "its codes, layer by layer, each of 512; null in w", nullable=True),
        _field("steps", pa.int64(), "1", "steps of the optimisation"),
        _field("seed", pa.int64(), "1", "root of the noise on the code"),
        _field("loss", pa.float32(), "1", "what was minimised, at the end, without noise"),
        _field("lpips", pa.float32(), "1", "perceptual distance of projection and aligned photograph"),
        _field("mean_face_lpips", pa.float32(), "1", "that of the mean face, where the search began"),
        _field("ssim", pa.float32(), "1", "structural similarity of projection and aligned photograph"),
        _field("pixel_error", pa.float32(), "1", "root mean squared difference of pixels in [-1, 1]"),
        _field("identity_recognizer_b", pa.float32(), "cosine distance", "projection against aligned photograph"),
        _field("value_error", pa.float32(), "1", "mean difference, without sign, of scorer B's 35 values"),
        _field("face_probability", pa.float32(), "1", "the detector's on the projection, 0 where it finds no face"),
        _field("displacement", pa.float32(), "mean distance of two random w", "||w - mean w||, mean over layers"),
        _field("side", pa.float32(), "pixel of the photograph", "side of the square that was cut out"),
    ],
)

LABELS = _schema(
    "labels",
    [
        _field("latent_id", pa.int64(), "id", "the latent"),
        *_values("scorer A"),
        _field("face_probability", pa.float32(), "1", "the detector's, 0 where it finds no face"),
    ],
)

RANGES = _schema(
    "ranges",
    [
        _field("method", pa.string(), "name", "the editing method"),
        _field("attribute", pa.string(), "name", "the evaluated attribute"),
        _field("unit", pa.string(), "name", "what a strength of 1 means for this method"),
        _field("low", pa.float64(), "strength", "smallest calibrated strength"),
        _field("high", pa.float64(), "strength", "largest calibrated strength"),
        _field(
            "low_set_by",
            pa.string(),
            "name",
            "detector, cap, plateau (stronger edits move no further), or none (no effect)",
        ),
        _field(
            "high_set_by",
            pa.string(),
            "name",
            "detector, cap, plateau (stronger edits move no further), or none (no effect)",
        ),
        _field("cap", pa.float64(), "mean distance of two random w", "largest displacement allowed"),
        _field("found_share", pa.float64(), "1", "share of these faces that must still be found"),
        _field("n_faces", pa.int64(), "faces", "faces calibrated on"),
        _field("face_ids", pa.list_(pa.int64()), "id", "those faces"),
        _field("face_low", pa.list_(pa.float64()), "strength", "each face's own lower limit"),
        _field("face_high", pa.list_(pa.float64()), "strength", "each face's own upper limit"),
        _field("value_bounded", pa.bool_(), "flag", "the unit is that of the attribute's value (L2L's delta a)"),
    ],
)

EDITS = _schema(
    "edits",
    [
        _field("method", pa.string(), "name", "the editing method"),
        _field("attribute", pa.string(), "name", "the edited attribute"),
        _field("face_id", pa.int64(), "id", "the latent that was edited"),
        _field("step", pa.int32(), "1", "0 to n_steps - 1, from the range's low end to its high end"),
        _field("strength", pa.float64(), "method's unit", "signed strength of the edit"),
        _field("displacement", pa.float32(), "mean distance of two random w", "||w' - w||"),
        _field("detected", pa.bool_(), "flag", "the detector finds a face"),
        _field("probability", pa.float32(), "1", "the detector's, 0 where it finds no face"),
        _field("box_left", pa.float32(), "pixel", "face box; of the whole image where none was found"),
        _field("box_top", pa.float32(), "pixel", "face box"),
        _field("box_right", pa.float32(), "pixel", "face box"),
        _field("box_bottom", pa.float32(), "pixel", "face box"),
        *_values("scorer B"),
        _field("start_value", pa.float32(), "1", "the edited attribute on the unedited image, by scorer B"),
        _field("identity_mtcnn", pa.float32(), "cosine distance", "MTCNN features against the unedited image"),
        _field("identity_recognizer_a", pa.float32(), "cosine distance", "recognizer A against the unedited image"),
        _field("identity_recognizer_b", pa.float32(), "cosine distance", "recognizer B against the unedited image"),
        _field(
            "true_identity_distance",
            pa.float32(),
            "mean distance of two random persons",
            "identity factors, as the truth reader reads them, against the unedited image; null without a known truth",
            nullable=True,
        ),
        _field(
            "true_identity_error",
            pa.float32(),
            "mean distance of two random persons",
            "what the truth reader shows between two pictures of one person; null without a known truth",
            nullable=True,
        ),
        _field("lpips", pa.float32(), "1", "perceptual distance to the unedited image"),
        _field("ssim", pa.float32(), "1", "structural similarity to the unedited image"),
        _field(
            "local_share",
            pa.float32(),
            "1",
            "share of the squared pixel change inside the attribute's true parts; null without a known truth, for an "
            "attribute that is everywhere, and where nothing changed",
            nullable=True,
        ),
        _field(
            "parts_area",
            pa.float32(),
            "1",
            "share of the picture that those parts take up: what an even change would score; null as above",
            nullable=True,
        ),
    ],
)


SPREAD = _schema(
    "spread",
    [
        _field("latent_id", pa.int64(), "id", "the unedited latent"),
        _field("logits_a", pa.list_(pa.float32(), len(NAMES)), "logit", "the 35 logits by scorer A, cut at +-7"),
        _field("logits_b", pa.list_(pa.float32(), len(NAMES)), "logit", "the 35 logits by scorer B, cut at +-7"),
        _field("identity_b", pa.list_(pa.float32()), "1", "recognizer B's embedding, of unit norm"),
    ],
)

RATES = _schema(
    "rates",
    [
        _field("method", pa.string(), "name", "the editing method"),
        _field("attribute", pa.string(), "name", "the edited attribute"),
        _field("face_id", pa.int64(), "id", "the latent that was edited"),
        _field("strength_index", pa.int32(), "1", "1 to rate_strengths, the method's largest"),
        _field("strength", pa.float64(), "method's unit", "signed strength, towards the other side of the label"),
        _field("label", pa.bool_(), "flag", "the edited attribute's label on the unedited image, by scorer B"),
        _field("displacement", pa.float32(), "mean distance of two random w", "||w' - w||"),
        _field("detected", pa.bool_(), "flag", "the detector finds a face"),
        _field("flipped", pa.bool_(), "flag", "the label is the other one, on a face that is found"),
        _field("preserved", pa.float32(), "1", "share of the 34 other labels that are kept; 0 where no face is found"),
        _field("identity_recognizer_b", pa.float32(), "cosine distance", "recognizer B against the unedited image"),
        _field("largest_accepted_distance", pa.float64(), "cosine distance", "at which false_accept_rate is kept"),
        _field("accepted", pa.bool_(), "flag", "recognizer B accepts the same person, on a face that is found"),
    ],
)

CONSISTENCY = _schema(
    "consistency",
    [
        _field("method", pa.string(), "name", "the editing method"),
        _field("face_id", pa.int64(), "id", "the latent that was edited"),
        _field("attributes", pa.list_(pa.string()), "name", "the face's triple of attributes"),
        _field("strengths", pa.list_(pa.float64()), "method's unit", "signed strength of each"),
        _field("displacement", pa.float32(), "mean distance of two random w", "mean ||w' - w|| over the orders' ends"),
        _field("order_score_spread", pa.float32(), SIGMA, ORDERS),
        _field("order_displacement", pa.float32(), "mean distance of two random w", "mean over pairs of orders' ends"),
        _field("order_lpips", pa.float32(), "1", "mean perceptual distance over pairs of orders' ends"),
        _field("at_once_score_difference", pa.float32(), SIGMA, "one edit of all three, against the orders' mean"),
        _field("at_once_displacement", pa.float32(), "mean distance of two random w", "mean to the orders' ends"),
        _field("at_once_lpips", pa.float32(), "1", "mean perceptual distance to the orders' ends"),
        _field("undo_displacement", pa.float32(), "mean distance of two random w", "||w - edit^-1(edit(w))||"),
        _field("undo_identity_recognizer_b", pa.float32(), "cosine distance", "recognizer B, undone and unedited"),
        _field("undo_lpips", pa.float32(), "1", "perceptual distance, undone and unedited"),
        _field(
            "carried",
            pa.string(),
            "name",
            "what an edit by the method carries to the next one; values that none carries are read again by scorer A",
            nullable=True,
        ),
    ],
)

MATCHED = _schema(
    "matched",
    [
        _field("method", pa.string(), "name", "the editing method"),
        _field("attribute", pa.string(), "name", "the edited attribute"),
        _field("face_id", pa.int64(), "id", "the latent that was edited"),
        _field("direction", pa.int32(), "1", "+1: the attribute shall rise, -1: fall, as scorer A sees it"),
        _field("level", pa.float64(), SIGMA, "how far it shall move, by scorer A"),
        _field("reached", pa.bool_(), "flag", "it moves so far and a face is still found; else nothing is measured"),
        _field(
            "unreached",
            pa.string(),
            "name",
            "why not: weak (no strength moves it so far), ceiling (nothing could: the logit would be beyond its cut), "
            "jump (the change leaps over the level), lost (no face is found there), unedited (no face is found without "
            "an edit), no unit (scorer A's logit has no usable spread over unedited images); null where reached",
            nullable=True,
        ),
        _field("tolerance", pa.float64(), SIGMA, "how near to the level counts as reached"),
        _field("strength", pa.float64(), "method's unit", "signed strength; null where none was found", nullable=True),
        _field("displacement", pa.float32(), "mean distance of two random w", "||w' - w||", nullable=True),
        _field("detected", pa.bool_(), "flag", "the detector finds a face at that strength", nullable=True),
        _field("change_a", pa.float32(), SIGMA, "the edited attribute's signed change by scorer A", nullable=True),
        _field("change_b", pa.float32(), SIGMA, "the same by scorer B", nullable=True),
        *_values("scorer B", nullable=True),
        *(
            _field(
                change_column(name),
                pa.float32(),
                SIGMA,
                f"signed change of {name}, by scorer B; null where its logit has no usable spread (`judges`)",
                nullable=True,
            )
            for name in NAMES
        ),
        _field("identity_mtcnn", pa.float32(), "cosine distance", "as in `edits`", nullable=True),
        _field("identity_recognizer_a", pa.float32(), "cosine distance", "as in `edits`", nullable=True),
        _field("identity_recognizer_b", pa.float32(), "cosine distance", "as in `edits`", nullable=True),
        _field("true_identity_distance", pa.float32(), RANDOM_PERSONS, "as in `edits`", nullable=True),
        _field("true_identity_error", pa.float32(), RANDOM_PERSONS, "as in `edits`", nullable=True),
        _field("lpips", pa.float32(), "1", "perceptual distance to the unedited image", nullable=True),
        _field("ssim", pa.float32(), "1", "structural similarity to the unedited image", nullable=True),
    ],
)

RESCORING = _schema(
    "rescoring",
    [
        _field("method", pa.string(), "name", "the editing method"),
        _field("attribute", pa.string(), "name", "the edited attribute"),
        _field("direction", pa.int32(), "1", "+1: it rises, -1: it falls, as scorer A sees it"),
        _field("level", pa.float64(), SIGMA, "how far it moves, by scorer A"),
        _field("scored_attribute", pa.string(), "name", "one of the 35 attributes"),
        _field("network", pa.string(), "name", "the network that scores it"),
        _field("change", pa.float64(), SIGMA, NO_CHANGE, nullable=True),
        _field("ci_low", pa.float64(), SIGMA, "lower end of the 95 % interval", nullable=True),
        _field("ci_high", pa.float64(), SIGMA, "upper end of the 95 % interval", nullable=True),
        _field("n_faces", pa.int64(), "faces", "faces that reached the level, of which this is the mean"),
    ],
)


def features(width: int, classes: int) -> pa.Schema:
    """Schema of `features`: one image's perception vector (width) and class logits (classes)."""
    return _schema(
        "features",
        [
            _field("attribute", pa.string(), "name", "the edited attribute; empty for reference images"),
            _field("face_id", pa.int64(), "id", "the latent"),
            _field("step", pa.int32(), "1", "step of the edit; 0 for reference images"),
            _field("feature", pa.list_(pa.float32(), width), "1", "perception vector"),
            _field("logits", pa.list_(pa.float32(), classes), "1", "perception net's class logits"),
        ],
    )


SCORES = _schema(
    "scores",
    [
        _field("run_id", pa.string(), "name", "the run that published the score"),
        _field("run_date", pa.timestamp("us", tz="UTC"), "time", "when the run was published"),
        _field("domain", pa.string(), "name", "generator and judges"),
        _field("profile", pa.string(), "name", "named set of sizes; only `full` is the published protocol's"),
        _field("protocol", pa.string(), "name", "named, versioned rule that chose images and strengths"),
        _field("method", pa.string(), "name", "the editing method"),
        _field("method_version", pa.int64(), "1", "version of the method's code"),
        _field("attribute", pa.string(), "name", "the edited attribute, or `all`"),
        _field("metric", pa.string(), "name", "the metric"),
        _field("network", pa.string(), "name", "the network whose judgement this is, or `none`"),
        _field("value", pa.float64(), "metric's unit", "the score"),
        _field("ci_low", pa.float64(), "metric's unit", "lower end of the 95 % interval", nullable=True),
        _field("ci_high", pa.float64(), "metric's unit", "upper end of the 95 % interval", nullable=True),
        _field("n_faces", pa.int64(), "faces", "independent faces behind the score"),
        _field("n_images", pa.int64(), "images", "images behind the score"),
        _field("better", pa.string(), "name", "lower, higher, or neither"),
        _field("unit", pa.string(), "name", "unit of the value"),
        _field("flag", pa.string(), "name", "why the score should not be relied on", nullable=True),
        _field(
            "naming_candidates",
            pa.int64(),
            "directions",
            "signed directions that scorer A looked at to give the method's their names; null if they had names",
            nullable=True,
        ),
        _field(
            "level",
            pa.float64(),
            "protocol's unit",
            "matched-change-1: the change, in standard deviations of the logit; rates-1: the rate; else null",
            nullable=True,
        ),
    ],
)

# Scores as their stage keeps them, which runs of several profiles may share; publication adds the run's columns.
RUN_COLUMNS = ("run_id", "run_date", "profile", "naming_candidates")
STAGE_SCORES = _schema("scores", [field for field in SCORES if field.name not in RUN_COLUMNS])

TIMINGS = _schema(
    "timings",
    [
        _field("method", pa.string(), "name", "the editing method"),
        _field("repetition", pa.int32(), "1", "one edit of one face, batch 1, warm"),
        _field("seconds_per_edit", pa.float64(), "second", "the edit of the code alone"),
        _field("seconds_per_edit_and_synthesis", pa.float64(), "second", "the edit and its image"),
    ],
)

GALLERY = _schema(
    "gallery",
    [
        _field("method", pa.string(), "name", "the editing method"),
        _field("attribute", pa.string(), "name", "the edited attribute"),
        _field("face_id", pa.int64(), "id", "the latent that was edited"),
        _field("step", pa.int32(), "1", "step of the edit, as in `edits`"),
        _field("strength", pa.float64(), "method's unit", "signed strength of the edit"),
        _field("value", pa.float32(), "1", "the edited attribute on this image, by scorer B"),
        _field("detected", pa.bool_(), "flag", "the detector finds a face"),
        _field("png", pa.binary(), "PNG", "the edited image"),
    ],
)

RUNS = _schema(
    "runs",
    [
        _field("run_id", pa.string(), "name", "time and digest"),
        _field("run_date", pa.timestamp("us", tz="UTC"), "time", "when the run was published"),
        _field("domain", pa.string(), "name", "generator and judges"),
        _field("profile", pa.string(), "name", "named set of sizes"),
        _field("status", pa.string(), "name", "complete"),
        _field("fingerprint", pa.string(), "sha256", "digest of everything that can change a number"),
        _field("settings", pa.string(), "JSON", "every setting that can change a number"),
        _field("weights", pa.string(), "JSON", "sha256 of every weight file, by role"),
        _field("packages", pa.string(), "JSON", "version of every package that computes"),
        _field("commit", pa.string(), "git", "commit of the code, `+changes` if the tree was dirty"),
        _field("machine", pa.string(), "JSON", "processor, cores, memory, device, workers, threads"),
        _field("stages", pa.string(), "JSON", "per stage: fingerprint, wall seconds, whether it was reused"),
        _field("n_latents", pa.int64(), "latents", "labelled latents"),
        _field("n_faces", pa.int64(), "faces", "edited faces"),
        _field(
            "faces",
            pa.string(),
            "name",
            "what the edited faces are: sampled latents, or inverted photographs; null in older runs",
            nullable=True,
        ),
        _field("n_steps", pa.int64(), "images", "images per face and attribute"),
        _field("edits_per_method", pa.int64(), "images", "edits generated per method"),
    ],
)

ABLATION = _schema(
    "ablation",
    [
        _field("domain", pa.string(), "name", "generator and judges"),
        _field("profile", pa.string(), "name", "named set of sizes; only `full` is the published protocol's"),
        _field("protocol", pa.string(), "name", "rule that chose images and strengths; held-out-codes: the training's"),
        _field("method", pa.string(), "name", "the method that is ablated"),
        _field("method_version", pa.int64(), "1", "version of the method's code"),
        _field("variant", pa.string(), "name", "what was tried; `base` is the method as configured"),
        _field("changed", pa.string(), "name", "the settings that differ from the base's; empty for the base"),
        _field("attribute", pa.string(), "name", "the edited attribute, or `all`"),
        _field("metric", pa.string(), "name", "the metric"),
        _field("network", pa.string(), "name", "the network whose judgement this is, or `none`"),
        _field("value", pa.float64(), "metric's unit", "the score"),
        _field("ci_low", pa.float64(), "metric's unit", "lower end of the 95 % interval", nullable=True),
        _field("ci_high", pa.float64(), "metric's unit", "upper end of the 95 % interval", nullable=True),
        _field("n_faces", pa.int64(), "faces", "independent faces, or held-out codes, behind the score"),
        _field("n_images", pa.int64(), "images", "images behind the score"),
        _field("better", pa.string(), "name", "lower, higher, or neither"),
        _field("unit", pa.string(), "name", "unit of the value"),
        _field("flag", pa.string(), "name", "why the score should not be relied on", nullable=True),
        _field(
            "difference",
            pa.float64(),
            "metric's unit",
            "the score minus the base's, over the faces that both have; null for the base",
            nullable=True,
        ),
        _field(
            "difference_low",
            pa.float64(),
            "metric's unit",
            "lower end of the difference's 95 % interval, paired over faces; null for what is no mean over faces",
            nullable=True,
        ),
        _field(
            "difference_high", pa.float64(), "metric's unit", "upper end of the difference's interval", nullable=True
        ),
        _field("training_seconds", pa.float64(), "second", "what the variant's training took", nullable=True),
        _field(
            "training_loss",
            pa.float64(),
            "1",
            "weighted loss on held-out codes after training; other weights make it another quantity",
            nullable=True,
        ),
        _field("commit", pa.string(), "name", "the code that computed the variant's scores"),
        _field("fingerprint", pa.string(), "sha256", "of the variant's scores"),
    ],
)

FACE_SCORES = _schema(
    "face_scores",
    [
        _field("protocol", pa.string(), "name", "named, versioned rule that chose images and strengths"),
        _field("method", pa.string(), "name", "the editing method"),
        _field("attribute", pa.string(), "name", "the edited attribute"),
        _field("metric", pa.string(), "name", "a metric that is a mean"),
        _field("network", pa.string(), "name", "the network whose judgement this is, or `none`"),
        _field("face_id", pa.int64(), "id", "the latent that was edited"),
        _field("value", pa.float64(), "metric's unit", "the metric's mean over this face alone"),
        _field("n", pa.int64(), "1", "what that mean is over: the face's images, or its edits of whole ranges"),
    ],
)

DIFFERENCES = _schema(
    "differences",
    [
        _field("protocol", pa.string(), "name", "named, versioned rule that chose images and strengths"),
        _field("metric", pa.string(), "name", "a metric that is a mean"),
        _field("network", pa.string(), "name", "the network whose judgement this is, or `none`"),
        _field("attribute", pa.string(), "name", "the edited attribute, or `all`"),
        _field("method", pa.string(), "name", "one editing method"),
        _field("other", pa.string(), "name", "another"),
        _field(
            "difference", pa.float64(), "metric's unit", "method minus other, over faces that both have; may be NaN"
        ),
        _field("ci_low", pa.float64(), "metric's unit", "lower end of its 95 % interval, uncorrected", nullable=True),
        _field("ci_high", pa.float64(), "metric's unit", "upper end of its 95 % interval, uncorrected", nullable=True),
        _field("p", pa.float64(), "1", "two-sided studentised bootstrap over faces", nullable=True),
        _field("p_holm", pa.float64(), "1", "p after Holm's correction within the family", nullable=True),
        _field("n_comparisons", pa.int64(), "1", "the family: pairs of one metric, network and attribute"),
        _field("n_faces", pa.int64(), "faces", "faces that both have"),
        _field("significant", pa.bool_(), "flag", "p_holm is at most 1 - the level of the intervals"),
        _field("better", pa.string(), "name", "lower, higher, or neither"),
        _field("unit", pa.string(), "name", "unit of the difference"),
        _field("control", pa.bool_(), "flag", "at least one of the two is a control"),
        _field(
            "judge_error",
            pa.float64(),
            "metric's unit",
            "the judge's own error of one reading, as in `judges`; null where none is known in that unit",
            nullable=True,
        ),
        _field("flag", pa.string(), "name", "why the difference should not be relied on", nullable=True),
    ],
)

RANKS = _schema(
    "ranks",
    [
        _field("protocol", pa.string(), "name", "named, versioned rule that chose images and strengths"),
        _field("metric", pa.string(), "name", "a metric that is a mean, and of which lower or higher is better"),
        _field("network", pa.string(), "name", "the network whose judgement this is, or `none`"),
        _field("attribute", pa.string(), "name", "the edited attribute, or `all`"),
        _field("method", pa.string(), "name", "the editing method"),
        _field("control", pa.bool_(), "flag", "not a competitor; its rank is what it would be if it alone joined them"),
        _field("rank", pa.int64(), "1", "1 is best; equal ones share the better rank", nullable=True),
        _field("rank_low", pa.int64(), "1", "best end of the 95 % interval by resampling faces", nullable=True),
        _field("rank_high", pa.int64(), "1", "worst end of that interval", nullable=True),
        _field("tested_low", pa.int64(), "1", "1 + the competitors that are significantly better"),
        _field("tested_high", pa.int64(), "1", "number of methods less those that are significantly worse"),
        _field("first", pa.float64(), "1", "share of resamples in which no competitor is better", nullable=True),
        _field("n_methods", pa.int64(), "methods", "competitors, and the control if the row is one's"),
        _field("n_faces", pa.int64(), "faces", "faces that all of these methods have"),
        _field("flag", pa.string(), "name", "why the rank should not be relied on", nullable=True),
    ],
)

JUDGES = _schema(
    "judges",
    [
        _field("role", pa.string(), "name", "what the network is in its domain"),
        _field("network", pa.string(), "name", "the network, as scores name it"),
        _field("what", pa.string(), "name", "the figure"),
        _field("attribute", pa.string(), "name", "the attribute it is of, or `all`"),
        _field("value", pa.float64(), "unit", "the figure; null where it was not measured", nullable=True),
        _field("unit", pa.string(), "name", "unit of the value"),
        _field("n", pa.int64(), "1", "images, pairs or persons it was measured on", nullable=True),
        _field("measured_on", pa.string(), "name", "what it was measured on; empty where it was not"),
    ],
)

# The tables of a report, in the order in which the page and `latentbench query` know them.
PUBLISHED: dict[str, pa.Schema] = {
    "scores": SCORES,
    "ranges": RANGES,
    "edits": EDITS,
    "matched": MATCHED,
    "rescoring": RESCORING,
    "rates": RATES,
    "consistency": CONSISTENCY,
    "runs": RUNS,
    "differences": DIFFERENCES,
    "ranks": RANKS,
    "judges": JUDGES,
    "face_scores": FACE_SCORES,
}
# Runs that were published before these existed lack them.
LATER = ("matched", "rescoring", "rates", "consistency", "differences", "ranks", "judges", "face_scores")
