"""The judges' own errors from cards whose figures are known, whole and with holes."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pandas as pd
import pytest

from pipeline.attributes import NAMES, index_of
from pipeline.domains import base
from pipeline.report import judges
from pipeline.report.contents import contents_of
from pipeline.report.markdown import markdown
from pipeline.report.sections import certainty, matched
from pipeline.statistics.units import Units
from pipeline.tables.schemas import JUDGES
from tests.builders import random_edits, random_run


@pytest.fixture(scope="module")
def edits() -> pd.DataFrame:
    return random_edits.edits(("l2l", "noop")).to_pandas()


@pytest.fixture(scope="module")
def table(edits: pd.DataFrame) -> pd.DataFrame:
    found = judges.judges_table(random_run.CARD, random_run.MEASURED, edits)
    assert found.schema.equals(JUDGES)
    return found.to_pandas()


def value(table: pd.DataFrame, role: str, what: str, attribute: str = "all", on: str = "") -> float:
    rows = table[(table["role"] == role) & (table["what"] == what) & (table["attribute"] == attribute)]
    rows = rows[rows["measured_on"].str.contains(on)]
    assert len(rows) == 1
    return float(rows["value"].iloc[0])


def test_figures_are_those_of_the_cards(table: pd.DataFrame) -> None:
    assert value(table, "scorer_b", "r2", "age", "natural") == 0.84
    assert value(table, "scorer_b", "error", "age", "natural") == pytest.approx(0.4)
    assert value(table, "scorer_b", "auc", "age", "natural") == 0.9
    assert value(table, "scorer_b", "r2", "expression", "generated") == 0.75, "the column smile"
    assert value(table, "scorer_b", "error", "blur", "generated") == pytest.approx(sqrt(1.2))
    assert value(table, "recognizer_b", "equal_error_rate") == 0.1
    assert value(table, "reader", "error_of_the_distance") == 0.3
    own = table[(table["role"] == "recognizer_b") & (table["what"] == "auc")].iloc[0]
    assert (own["n"], own["network"], own["unit"]) == (500, "recognizer_b", "1")


def test_what_was_not_measured_is_said(table: pd.DataFrame) -> None:
    for role in ("scorer_a", "mtcnn", "lpips"):
        rows = table[table["role"] == role]
        assert rows["what"].tolist() == ["own error"] and rows["value"].isna().all()
        assert rows["measured_on"].tolist() == [""] and rows["n"].isna().all()
    missing = table[(table["role"] == "recognizer_b") & (table["what"] == "correlation_with_true_distance")]
    assert missing["value"].isna().all() and len(missing) == 1


def test_a_scorer_s_error_in_the_attribute_s_unit_is_its_share_of_the_spread(
    table: pd.DataFrame, edits: pd.DataFrame
) -> None:
    starts = edits[edits["attribute"] == "age"].groupby("face_id")["start_value"].first()
    # synthetic faces start elsewhere for each method; the first method's stand for the face
    first = edits[(edits["attribute"] == "age") & (edits["method"] == "l2l")].groupby("face_id")["start_value"].first()
    assert len(starts) == len(first) == 6
    assert value(table, "scorer_b", "value_error", "age") == pytest.approx(sqrt(1 - 0.91) * np.std(first), rel=1e-5)
    assert table[(table["what"] == "value_error") & (table["attribute"] == "all")].empty, "not of all attributes"
    errors = judges.judge_errors(table)
    assert errors["attribute_change", "scorer_b", "age"] == value(table, "scorer_b", "value_error", "age")
    assert errors["true_identity_distance", "reader", "all"] == 0.3 == errors["true_identity_distance", "reader", "yaw"]


def test_the_error_over_all_is_the_root_mean_square(edits: pd.DataFrame) -> None:
    two = edits[edits["attribute"].isin(["age", "expression"])]
    found = judges.judges_table(random_run.CARD, random_run.MEASURED, two).to_pandas()
    parts = [value(found, "scorer_b", "value_error", name) for name in ("age", "expression")]
    assert value(found, "scorer_b", "value_error") == pytest.approx(sqrt((parts[0] ** 2 + parts[1] ** 2) / 2))


def test_a_judge_in_a_sentence(table: pd.DataFrame) -> None:
    line = judges.judge_line(table, "scorer_b")
    assert "R2 against the truth 0.83" in line and "0.75 for expression" in line
    assert "10.0% of pairs" in judges.judge_line(table, "recognizer_b")
    assert judges.judge_line(table, "mtcnn-onet256") == "The judge's own error was not measured."
    assert judges.judge_line(table, "unheard of") == ""


def test_a_domain_without_cards_says_that_nothing_was_measured(edits: pd.DataFrame) -> None:
    found = judges.judges_table(random_run.CARD, {}, edits).to_pandas()
    assert found["value"].isna().all()
    assert {"scorer_b", "recognizer_a", "reader", "detector", "perception"} <= set(found["role"])
    assert judges.judge_errors(found) == {}


def test_the_embedded_domain_s_cards_are_read() -> None:
    measured = base.measured("synthface")
    card = base.describe("synthface")
    edits = random_edits.edits(("l2l",)).to_pandas()
    found = judges.judges_table(card, measured, edits).to_pandas()
    known = found.dropna(subset=["value"])
    for role, what in (
        ("scorer_b", "r2"),
        ("scorer_b", "value_error"),
        ("recognizer_b", "auc"),
        ("reader", "error_of_the_distance"),
    ):
        assert ((known["role"] == role) & (known["what"] == what)).any(), (role, what)
    assert set(known["network"]) <= set(card.networks.values())


def test_a_scorer_of_photographs_is_shown_by_its_held_out_pictures(edits: pd.DataFrame) -> None:
    figures = {"age": {"n": 900, "mean": 0.4, "r2": 0.84}, "glasses": {"n": 950, "mean": 0.2, "r2": 0.7, "auc": 0.98}}
    found = judges.judges_table(
        random_run.CARD, {"scorer_b": {"validation": figures, "n_validation": 1000}}, edits
    ).to_pandas()
    assert value(found, "scorer_b", "r2", "age", "labelled pictures") == 0.84
    assert value(found, "scorer_b", "auc", "glasses", "labelled pictures") == 0.98
    own = found[(found["role"] == "scorer_b") & (found["attribute"] == "age") & (found["what"] == "r2")]
    assert own["n"].tolist() == [900]
    line = judges.judge_line(found, own["network"].iloc[0])
    assert "R2 against the labels 0.77 in the mean of the edited attributes, 0.70 for glasses" in line


def units() -> Units:
    """Every attribute varies, but one that is cut on 97 % of the images."""
    sigma, cut = np.full(len(NAMES), 2.0), np.zeros(len(NAMES))
    sigma[index_of("eye_occluded")], cut[index_of("eye_occluded")] = 0.097, 0.97
    return Units(sigma, cut, 512)


def test_what_is_left_out_is_a_row_and_a_sentence(edits: pd.DataFrame) -> None:
    found = judges.judges_table(random_run.CARD, random_run.MEASURED, edits, {"scorer_b": units()}).to_pandas()
    assert value(found, "scorer_b", "without_unit", "eye_occluded") == 1
    assert value(found, "scorer_b", "without_unit", "age") == 0
    assert value(found, "scorer_b", "logit_sigma", "eye_occluded") == pytest.approx(0.097)
    assert value(found, "scorer_b", "logit_cut_share", "eye_occluded") == pytest.approx(0.97)
    rows = found[found["what"] == "without_unit"]
    assert len(rows) == len(NAMES) and set(rows["n"]) == {512} and rows["value"].sum() == 1
    sentence = judges.attributes_left_out(found)
    assert "eye_occluded (cut on 97%, standard deviation 0.097)." in sentence and "beard" not in sentence
    rows = found[~found["what"].isin(judges.OF_LOGITS)]
    assert judges.attributes_left_out(rows) == "", "a run that was published before"


def test_every_form_of_the_report_says_what_is_left_out(edits: pd.DataFrame) -> None:
    table = judges.judges_table(random_run.CARD, random_run.MEASURED, edits, {"scorer_b": units()})
    contents = contents_of(random_run.whole() | {"judges": table})
    grids = [grid for grid in matched.matched_tables(contents) if not grid.folded]
    notes = {grid.key: grid.note for grid in grids}
    assert "eye_occluded" in notes["matched-attribute_dependency_mean-scorer_b"]
    assert "eye_occluded" not in notes["matched-unreached_share-scorer_a"]
    assert markdown(contents).count("eye_occluded (cut on 97%") == 1
    assert judges.attributes_left_out(contents.judges) == matched.SECTION.remark(contents) != ""
    assert not [line for line in certainty.judge_lines(contents) if line["what"].startswith(("logit", "without"))]
