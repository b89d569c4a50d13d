"""Tables of scores: of methods, of single faces, of their differences and ranks, of ablations, of the judges."""

from __future__ import annotations

from pipeline.tables.fields import (
    ANY_ATTRIBUTE,
    BETTER,
    DOMAIN,
    EDITED_ATTRIBUTE,
    FACE_ID,
    MEAN_METRIC,
    METHOD,
    METHOD_VERSION,
    NETWORK,
    PROFILE,
    RULE,
    RUN_DATE,
    SCORE,
    SIGMA,
    flag,
    index,
    interval,
    number,
    reservation,
    schema,
    scored,
    whole,
    word,
)

RUN_ID = word("run_id", "the run that published the score")
NO_CHANGE = "mean signed change of it; null where no face reached the level, and where it has no usable spread"

SCORES = schema(
    "scores",
    [
        RUN_ID,
        RUN_DATE,
        DOMAIN,
        PROFILE,
        RULE,
        METHOD,
        METHOD_VERSION,
        *scored("independent faces"),
        whole(
            "naming_candidates",
            "directions",
            "signed directions that scorer A looked at to give the method's their names; null if they had names",
            nullable=True,
        ),
        number(
            "level",
            "protocol's unit",
            "matched-change-1: the change, in standard deviations of the logit; rates-1: the rate; else null",
            nullable=True,
        ),
    ],
)

# Scores as their stage keeps them, which runs of several profiles may share; publication adds the run's columns.
RUN_COLUMNS = ("run_id", "run_date", "profile", "naming_candidates")
STAGE_SCORES = schema("scores", [field for field in SCORES if field.name not in RUN_COLUMNS])

RESCORING = schema(
    "rescoring",
    [
        METHOD,
        EDITED_ATTRIBUTE,
        index("direction", "+1: it rises, -1: it falls, as scorer A sees it"),
        number("level", SIGMA, "how far it moves, by scorer A"),
        word("scored_attribute", "one of the 35 attributes"),
        word("network", "the network that scores it"),
        number("change", SIGMA, NO_CHANGE, nullable=True),
        *interval(SIGMA),
        whole("n_faces", "faces", "faces that reached the level, of which this is the mean"),
    ],
)

ABLATION = schema(
    "ablation",
    [
        DOMAIN,
        PROFILE,
        word("protocol", "rule that chose images and strengths; held-out-codes: the training's"),
        word("method", "the method that is ablated"),
        METHOD_VERSION,
        word("variant", "what was tried; `base` is the method as configured"),
        word("changed", "the settings that differ from the base's; empty for the base"),
        *scored("independent faces, or held-out codes,"),
        number(
            "difference",
            SCORE,
            "the score minus the base's, over the faces that both have; null for the base",
            nullable=True,
        ),
        number(
            "difference_low",
            SCORE,
            "lower end of the difference's 95 % interval, paired over faces; null for what is no mean over faces",
            nullable=True,
        ),
        number("difference_high", SCORE, "upper end of the difference's interval", nullable=True),
        number("training_seconds", "second", "what the variant's training took", nullable=True),
        number(
            "training_loss",
            "1",
            "weighted loss on held-out codes after training; other weights make it another quantity",
            nullable=True,
        ),
        word("commit", "the code that computed the variant's scores"),
        word("fingerprint", "of the variant's scores", unit="sha256"),
    ],
)

FACE_SCORES = schema(
    "face_scores",
    [
        RULE,
        METHOD,
        EDITED_ATTRIBUTE,
        MEAN_METRIC,
        NETWORK,
        FACE_ID,
        number("value", SCORE, "the metric's mean over this face alone"),
        whole("n", "1", "what that mean is over: the face's images, or its edits of whole ranges"),
    ],
)

DIFFERENCES = schema(
    "differences",
    [
        RULE,
        MEAN_METRIC,
        NETWORK,
        ANY_ATTRIBUTE,
        word("method", "one editing method"),
        word("other", "another"),
        number("difference", SCORE, "method minus other, over faces that both have; may be NaN"),
        *interval(SCORE, "its 95 % interval, uncorrected"),
        number("p", "1", "two-sided studentised bootstrap over faces", nullable=True),
        number("p_holm", "1", "p after Holm's correction within the family", nullable=True),
        whole("n_comparisons", "1", "the family: pairs of one metric, network and attribute"),
        whole("n_faces", "faces", "faces that both have"),
        flag("significant", "p_holm is at most 1 - the level of the intervals"),
        BETTER,
        word("unit", "unit of the difference"),
        flag("control", "at least one of the two is a control"),
        number(
            "judge_error",
            SCORE,
            "the judge's own error of one reading, as in `judges`; null where none is known in that unit",
            nullable=True,
        ),
        reservation("difference"),
    ],
)

RANKS = schema(
    "ranks",
    [
        RULE,
        word("metric", "a metric that is a mean, and of which lower or higher is better"),
        NETWORK,
        ANY_ATTRIBUTE,
        METHOD,
        flag("control", "not a competitor; its rank is what it would be if it alone joined them"),
        whole("rank", "1", "1 is best; equal ones share the better rank", nullable=True),
        whole("rank_low", "1", "best end of the 95 % interval by resampling faces", nullable=True),
        whole("rank_high", "1", "worst end of that interval", nullable=True),
        whole("tested_low", "1", "1 + the competitors that are significantly better"),
        whole("tested_high", "1", "number of methods less those that are significantly worse"),
        number("first", "1", "share of resamples in which no competitor is better", nullable=True),
        whole("n_methods", "methods", "competitors, and the control if the row is one's"),
        whole("n_faces", "faces", "faces that all of these methods have"),
        reservation("rank"),
    ],
)

JUDGES = schema(
    "judges",
    [
        word("role", "what the network is in its domain"),
        word("network", "the network, as scores name it"),
        word("what", "the figure"),
        word("attribute", "the attribute it is of, or `all`"),
        number("value", "unit", "the figure; null where it was not measured", nullable=True),
        word("unit", "unit of the value"),
        whole("n", "1", "images, pairs or persons it was measured on", nullable=True),
        word("measured_on", "what it was measured on; empty where it was not"),
    ],
)
