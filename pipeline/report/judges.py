"""Measured errors of the networks that judge, from their cards.

A figure that a card does not have is a row without a value, so that "not measured" is said and not left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import sqrt
from typing import Any

import pandas as pd
import pyarrow as pa

from pipeline.attributes import EVALUATED, NAMES
from pipeline.domains.base import DomainCard, network_name
from pipeline.metrics.base import ALL
from pipeline.statistics.units import Units
from pipeline.tables.schemas import JUDGES

Cards = Mapping[str, Mapping[str, Any]]  # role -> the `measured` of its card
Row = dict[str, Any]
Errors = dict[tuple[str, str, str], float]  # (metric, network, attribute) -> the network's error in the metric's unit

ROLES = ("scorer_a", "scorer_b", "recognizer_a", "recognizer_b", "reader", "detector", "mtcnn", "perception", "lpips")
PERSONS = "mean distance of two random persons"
GENERATED = "generated faces"
UNEDITED = "unedited images of this run"
WITHOUT_UNIT = "without_unit"
OF_LOGITS = ("logit_sigma", "logit_cut_share", WITHOUT_UNIT)  # what the unit of matched change is made of
HELD_OUT = {  # key in a scorer's card -> the faces of the measurement
    "natural": "rendered faces, natural",
    "broad": "rendered faces, broad",
    "validation": "labelled pictures, held out",
}
SHOWN = {column: name for name, column in EVALUATED.items()}  # a column -> the attribute's name in the scores


def judges_table(
    card: DomainCard, measured: Cards, edits: pd.DataFrame, units: Mapping[str, Units] | None = None
) -> pa.Table:
    """JUDGES: every figure of every network that judges in the domain.

    `edits`: EDITS of the run, whose unedited faces give the spread of each attribute, by scorer B. With it a scorer's
    R2 becomes an error in the attribute's own unit: sqrt(1 - R2) times the spread. `units`, by role: of each scorer's
    logits over the run's unedited images; they say what is left out where changes are counted in standard deviations.
    """
    spread = spreads(edits)
    rows: list[Row] = []
    for role in ROLES:
        if role not in card.networks and role != "lpips":
            continue
        found = list(_figures(role, measured, spread)) or [_row("own error", None, "1")]
        found += _units((units or {}).get(role))
        rows += [{"role": role, "network": network_name(card, role), **row} for row in found]
    return pa.Table.from_pylist(rows, schema=JUDGES)


def judge_errors(judges: pd.DataFrame) -> Errors:
    """The error of one reading where a table tells it in the unit of a metric: of scorer B and of the truth reader.

    For `attribute_change` the error of scorer B on generated faces, for all attributes their root mean square; for
    `true_identity_distance` what the reader shows between two pictures of one person.
    """
    errors: Errors = {}
    values = judges.dropna(subset=["value"])
    for metric, role, what in (
        ("attribute_change", "scorer_b", "value_error"),
        ("true_identity_distance", "reader", "error_of_the_distance"),
    ):
        own = values[(values["role"] == role) & (values["what"] == what)]
        for network, attribute, value in own[["network", "attribute", "value"]].itertuples(index=False, name=None):
            errors[metric, network, attribute] = float(value)
            if metric == "true_identity_distance":
                errors |= {(metric, network, name): float(value) for name in EVALUATED}
    return errors


def spreads(edits: pd.DataFrame) -> dict[str, float]:
    """Standard deviation of each edited attribute over the unedited faces, by scorer B; none for a single face."""
    starts = edits.drop_duplicates(["attribute", "face_id"]).groupby("attribute")["start_value"]
    return {str(name): float(value) for name, value in starts.std(ddof=0).items() if starts.count()[name] > 1}


def _figures(role: str, measured: Cards, spread: Mapping[str, float]) -> Iterator[Row]:
    own = measured.get(role, {})
    made = measured.get("generator", {})
    if role.startswith("scorer"):
        for name, faces in HELD_OUT.items():
            yield from _scorer(own.get(name, {}), faces, own.get(f"n_{name}"))
        on_made = {name: {"r2": r2} for name, r2 in made.get(f"r2_{role}", {}).items()}
        found = list(_scorer(on_made, GENERATED, made.get("n")))
        yield from [*found, *_value_errors(found, spread)]
    elif role.startswith("recognizer"):
        for what in ("auc", "equal_error_rate", "correlation_with_true_distance"):
            yield _row(what, own.get(what), "1", own.get("n_pairs"), "pairs of pictures of unseen persons")
    elif role == "reader":
        yield from _reader(own)
    elif role == "detector":
        yield _row("found_share", made.get("mtcnn_found_share"), "share", made.get("n_mtcnn"), GENERATED)
    elif role == "perception":
        yield _row("accuracy", own.get("accuracy"), "share", own.get("n"), "rendered faces")


def _scorer(by_attribute: Mapping[str, Mapping[str, Any]], faces: str, n: Any) -> Iterator[Row]:
    """R2 against the truth, the error it leaves in standard deviations, and the AUC of binary attributes."""
    for column in sorted(by_attribute, key=lambda name: (name not in SHOWN, *_place(name))):
        figures, name = by_attribute[column], SHOWN.get(column, column)
        r2, known = figures.get("r2"), figures.get("n", n)
        yield _row("r2", r2, "1", known, faces, name)
        yield _row("error", None if r2 is None else sqrt(max(0.0, 1 - r2)), "standard deviations", known, faces, name)
        if figures.get("auc") is not None:
            yield _row("auc", figures["auc"], "1", known, faces, name)


def _value_errors(found: list[Row], spread: Mapping[str, float]) -> Iterator[Row]:
    """Errors in the attribute's own unit, and their root mean square over all edited attributes."""
    unit, squares, n = "attribute value", [], None
    for row in found:
        if row["what"] == "error" and row["value"] is not None and row["attribute"] in spread:
            error, n = row["value"] * spread[row["attribute"]], row["n"]
            squares.append(error**2)
            yield _row("value_error", error, unit, n, GENERATED, row["attribute"])
    if squares and len(squares) == len(spread):
        yield _row("value_error", sqrt(sum(squares) / len(squares)), unit, n, GENERATED)


def _units(units: Units | None) -> Iterator[Row]:
    """Of each attribute's logit the standard deviation, the share that is cut, and whether it is left out (1 or 0)."""
    if units is None:
        return
    for place, name in enumerate(NAMES):
        yield _row("logit_sigma", float(units.sigma[place]), "logit", units.n_images, UNEDITED, name)
        yield _row("logit_cut_share", float(units.cut[place]), "share", units.n_images, UNEDITED, name)
        yield _row(WITHOUT_UNIT, float(not units.usable[place]), "flag", units.n_images, UNEDITED, name)


def _reader(own: Mapping[str, Any]) -> Iterator[Row]:
    people = own.get("held_out_people", {})
    persons, unseen = people.get("n_persons"), "two pictures of one unseen person"
    yield _row("error_of_the_distance", own.get("error_of_the_distance"), PERSONS, persons, unseen)
    yield _row("two_persons_mean", people.get("two_persons_mean"), PERSONS, persons, "pictures of two unseen persons")
    for key, faces in (("held_out_people", "unseen persons"), ("renders", "rendered faces"), ("made", GENERATED)):
        part = own.get(key, {})
        n = part.get("n", part.get("n_persons"))
        yield _row("correlation_with_true_distance", part.get("correlation_with_true_distance"), "1", n, faces)
        if key != "held_out_people":
            yield _row("r2_mean_of_identity", part.get("r2_mean_of_identity"), "1", n, faces)
    for name, value in own.get("unchanged_identity_with_one_attribute_driven", {}).items():
        faces = "faces of which only this attribute changes"
        yield _row("distance_of_the_same_person", value, PERSONS, None, faces, name)


def _row(what: str, value: Any, unit: str, n: Any = None, faces: str = "", attribute: str = ALL) -> Row:
    known = isinstance(value, (int, float)) and not isinstance(value, bool)
    return {
        "what": what,
        "attribute": attribute,
        "value": float(value) if known else None,
        "unit": unit,
        "n": int(n) if known and isinstance(n, (int, float)) else None,
        "measured_on": faces if known else "",
    }


def _place(column: str) -> tuple[int, str]:
    return (NAMES.index(column) if column in NAMES else len(NAMES), column)


# For readers


def attributes_left_out(judges: pd.DataFrame) -> str:
    """Which attributes' changes are not counted in standard deviations, and why, in one sentence; empty for none."""
    names = [
        f"{name} (cut on {row['logit_cut_share']:.0%}, standard deviation {row['logit_sigma']:.2g})"
        for name, row in _without_unit(judges).iterrows()
    ]
    if not names:
        return ""
    return (
        "Left out of attribute dependency and of every other change in standard deviations, since scorer B's logit "
        f"hardly varies over unedited images or is cut on most of them: {', '.join(names)}."
    )


def names_left_out(judges: pd.DataFrame) -> list[str]:
    """The attributes whose changes are not counted in standard deviations, the least varying first."""
    return [str(name) for name in _without_unit(judges).index]


def _without_unit(judges: pd.DataFrame) -> pd.DataFrame:
    """What is known of scorer B's logits of these attributes: one row each, by attribute."""
    own = judges[(judges["role"] == "scorer_b") & judges["what"].isin(OF_LOGITS)]
    table = own.pivot_table(index="attribute", columns="what", values="value")
    return table if table.empty else table[table[WITHOUT_UNIT] > 0].sort_values("logit_sigma")


def judge_line(judges: pd.DataFrame, network: str) -> str:
    """What is known of a network's own error, in one sentence; empty if the run knows nothing of the network."""
    own = judges[judges["network"] == network]
    if own.empty:
        return ""
    values = own.dropna(subset=["value"])
    if values.empty:
        return "The judge's own error was not measured."
    texts = []
    for faces, known_by in ((GENERATED, "the truth"), (HELD_OUT["validation"], "the labels")):
        made = values[(values["what"] == "r2") & (values["measured_on"] == faces)]
        made = made[made["attribute"].isin(list(EVALUATED))]
        if len(made):
            worst = made.loc[made["value"].idxmin()]
            texts.append(
                f"R2 against {known_by} {made['value'].mean():.2f} in the mean of the edited attributes, "
                f"{worst['value']:.2f} for {worst['attribute']}, on {faces}"
            )
    for what, text in (
        ("value_error", "its error of one reading is {:.3f} of the attribute's range"),
        ("auc", "tells one person from two with an AUC of {:.3f}"),
        ("equal_error_rate", "errs on {:.1%} of pairs where both errors are equal"),
        ("error_of_the_distance", "shows a distance of {:.2f} between two pictures of one person"),
        ("correlation_with_true_distance", "its distances correlate with the true ones by {:.2f}"),
        ("found_share", "finds {:.1%} of unedited faces"),
        ("accuracy", "names the kind of {:.1%} of rendered faces"),
    ):
        known = values[(values["what"] == what) & (values["attribute"] == ALL)]
        if len(known):
            texts.append(text.format(float(known["value"].iloc[0])))
    return f"The judge's own error: {'; '.join(texts)}." if texts else "The judge's own error is in the tables."
