"""Columns: one constructor per type, and the groups of columns that several tables share."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from pipeline.attributes import NAMES

W_DIM = 512
FORMAT_VERSION = "1"

# Units that several tables use.
SIGMA = "standard deviation of the logit over unedited images"
W_DISTANCE = "mean distance of two random w"
COSINE = "cosine distance"
PERSONS = "mean distance of two random persons"
STRENGTH = "method's unit"
SCORE = "metric's unit"


def schema(table: str, fields: Sequence[pa.Field]) -> pa.Schema:
    """A table's schema; files have its name and version in their metadata."""
    return pa.schema(fields, metadata={"latentbench.table": table, "latentbench.schema_version": FORMAT_VERSION})


def column(name: str, kind: pa.DataType, unit: str, meaning: str, *, nullable: bool = False) -> pa.Field:
    """A column with its unit and meaning, both in the metadata of every file."""
    return pa.field(name, kind, nullable=nullable, metadata={"unit": unit, "meaning": meaning})


def word(name: str, meaning: str, *, unit: str = "name", nullable: bool = False) -> pa.Field:
    """A column of names or other texts."""
    return column(name, pa.string(), unit, meaning, nullable=nullable)


def flag(name: str, meaning: str, *, nullable: bool = False) -> pa.Field:
    """A column of true and false."""
    return column(name, pa.bool_(), "flag", meaning, nullable=nullable)


def whole(name: str, unit: str, meaning: str, *, nullable: bool = False) -> pa.Field:
    """A column of whole numbers: ids and counts, int64."""
    return column(name, pa.int64(), unit, meaning, nullable=nullable)


def index(name: str, meaning: str) -> pa.Field:
    """A column of small whole numbers, int32."""
    return column(name, pa.int32(), "1", meaning)


def number(name: str, unit: str, meaning: str, *, nullable: bool = False) -> pa.Field:
    """A column of computed numbers, float64."""
    return column(name, pa.float64(), unit, meaning, nullable=nullable)


def measure(name: str, unit: str, meaning: str, *, nullable: bool = False) -> pa.Field:
    """A column of measurements of a network or an image, float32."""
    return column(name, pa.float32(), unit, meaning, nullable=nullable)


def value_column(attribute: str) -> str:
    """The column that holds a scorer's value of one of the 35 attributes."""
    return f"value_{attribute}"


def change_column(attribute: str) -> str:
    """The column that holds the signed change of one of the 35 attributes, in standard deviations of its logit."""
    return f"change_{attribute}"


VALUE_COLUMNS: tuple[str, ...] = tuple(value_column(name) for name in NAMES)
CHANGE_COLUMNS: tuple[str, ...] = tuple(change_column(name) for name in NAMES)


def values(scorer: str, *, nullable: bool = False) -> list[pa.Field]:
    """A scorer's values of the 35 attributes, in the order of `attributes.NAMES`."""
    return [measure(value_column(name), "1", f"{name} in [0, 1], by {scorer}", nullable=nullable) for name in NAMES]


def changes() -> list[pa.Field]:
    """Signed changes of the 35 attributes by scorer B, in the order of `attributes.NAMES`."""
    meaning = "signed change of {}, by scorer B; null where its logit has no usable spread (`judges`)"
    return [measure(change_column(name), SIGMA, meaning.format(name), nullable=True) for name in NAMES]


# What was edited, and by what.
METHOD = word("method", "the editing method")
EDITED_ATTRIBUTE = word("attribute", "the edited attribute")
ANY_ATTRIBUTE = word("attribute", "the edited attribute, or `all`")
FACE_ID = whole("face_id", "id", "the latent that was edited")
EDIT_KEY = (METHOD, EDITED_ATTRIBUTE, FACE_ID)
DETECTED = flag("detected", "the detector finds a face")
SIGNED_STRENGTH = number("strength", STRENGTH, "signed strength of the edit")


def displacement(meaning: str = "||w' - w||", *, name: str = "displacement", nullable: bool = False) -> pa.Field:
    """A length in W, in mean distances of two random w."""
    return measure(name, W_DISTANCE, meaning, nullable=nullable)


# What was scored, and by what.
RULE = word("protocol", "named, versioned rule that chose images and strengths")
METRIC = word("metric", "the metric")
MEAN_METRIC = word("metric", "a metric that is a mean")
NETWORK = word("network", "the network whose judgement this is, or `none`")
BETTER = word("better", "lower, higher, or neither")
RUN_DATE = column("run_date", pa.timestamp("us", tz="UTC"), "time", "when the run was published")
DOMAIN = word("domain", "generator and judges")
METHOD_VERSION = whole("method_version", "1", "version of the method's code")
PROFILE = word("profile", "named set of sizes; only `full` is the published protocol's")


def interval(unit: str, of: str = "the 95 % interval") -> list[pa.Field]:
    """The two ends of a confidence interval."""
    return [
        number("ci_low", unit, f"lower end of {of}", nullable=True),
        number("ci_high", unit, f"upper end of {of}", nullable=True),
    ]


def scored(faces: str) -> list[pa.Field]:
    """One score: of which attribute, by which metric and network, with its interval; `faces` are behind it."""
    return [
        ANY_ATTRIBUTE,
        METRIC,
        NETWORK,
        number("value", SCORE, "the score"),
        *interval(SCORE),
        whole("n_faces", "faces", f"{faces} behind the score"),
        whole("n_images", "images", "images behind the score"),
        BETTER,
        word("unit", "unit of the value"),
        reservation("score"),
    ]


def reservation(what: str) -> pa.Field:
    """Why a number should not be relied on; null where nothing speaks against it."""
    return word("flag", f"why the {what} should not be relied on", nullable=True)
