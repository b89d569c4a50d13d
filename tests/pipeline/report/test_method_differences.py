"""Differences and ranks of a run whose answers are known."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest

from pipeline.report.method_differences import difference_tables
from pipeline.statistics.bootstrap import Bootstrap
from pipeline.tables.schemas import DIFFERENCES, RANKS

CONTROLS = frozenset({"random", "noop"})
NO_SCORES = pd.DataFrame(columns=["protocol", "metric", "network", "attribute", "method", "flag"])


def means(levels: dict[str, float], *, faces: int = 30, spread: float = 0.05, attributes: tuple[str, ...] = ("age",)):
    """FACE_SCORES of `lpips`: methods at these levels, on faces that differ much from each other."""
    rng = np.random.default_rng(4)
    shared = rng.normal(size=faces)
    rows = [
        ("l2l-2022", method, attribute, "lpips", "net", face, level + shared[face] + spread * rng.normal(), 5)
        for method, level in levels.items()
        for attribute in attributes
        for face in range(faces)
    ]
    names = ["protocol", "method", "attribute", "metric", "network", "face_id", "value", "n"]
    return pd.DataFrame(rows, columns=names)


def tables(frame: pd.DataFrame, scores: pd.DataFrame = NO_SCORES, **more) -> tuple[pd.DataFrame, pd.DataFrame]:
    bootstrap = more.pop("bootstrap", Bootstrap(2000))
    found = difference_tables(frame, scores, CONTROLS, bootstrap, more.pop("errors", {}))
    assert found["differences"].schema.equals(DIFFERENCES) and found["ranks"].schema.equals(RANKS)
    return found["differences"].to_pandas(), found["ranks"].to_pandas()


def test_what_differs_is_found_and_what_does_not_is_not() -> None:
    differences, ranks = tables(means({"a": 0.0, "b": 0.0, "c": 0.5, "random": 1.0}))
    own = differences[differences["attribute"] == "age"].set_index(["method", "other"])
    assert len(own) == 6 == own["n_comparisons"].iloc[0]
    assert not own.loc[("a", "b"), "significant"]
    assert own.loc[("a", "c"), "significant"] and own.loc[("a", "c"), "difference"] == pytest.approx(-0.5, abs=0.05)
    assert own.loc[("a", "c"), "ci_high"] < 0
    assert own["control"].tolist() == [False, False, True, False, True, True]
    assert (own["n_faces"] == 30).all() and own["flag"].isna().all()
    places = ranks[ranks["attribute"] == "age"].set_index("method")
    assert places.loc["c", ["rank", "rank_low", "rank_high", "tested_low", "tested_high"]].tolist() == [3] * 5
    assert places.loc["a", ["tested_low", "tested_high"]].tolist() == [1, 2]
    assert sorted(places["rank"][:2]) == [1, 2] and places.loc["c", "first"] == 0
    assert places["control"].tolist() == [False, False, False, True]
    assert places.loc["random", ["rank", "n_methods"]].tolist() == [4, 4] and places.loc["c", "n_methods"] == 3


def test_all_attributes_are_one_more_group_and_the_same_faces() -> None:
    differences, _ = tables(means({"a": 0.0, "b": 0.5}, attributes=("age", "yaw")))
    by_attribute = differences.set_index("attribute")["difference"]
    assert by_attribute["all"] == pytest.approx((by_attribute["age"] + by_attribute["yaw"]) / 2)
    assert differences["n_faces"].tolist() == [30] * 3


def test_flags_are_those_of_the_scores_and_of_few_faces() -> None:
    scores = pd.DataFrame([["l2l-2022", "lpips", "net", "age", "b", "in a loss"]], columns=NO_SCORES.columns)
    differences, ranks = tables(means({"a": 0.0, "b": 0.5}, faces=6), scores)
    assert set(differences["flag"]) == {"in a loss; fewer than 10 faces", "fewer than 10 faces"}
    assert not differences["significant"].any() or differences["p"].min() >= 2**-5
    flagged = ranks[ranks["attribute"] == "age"].set_index("method")["flag"]
    assert flagged["b"].startswith("in a loss") and flagged["a"] == "fewer than 10 faces"


def test_methods_that_share_few_faces_are_told_of() -> None:
    frame = means({"a": 0.0, "b": 0.5}, faces=40)
    frame.loc[frame["method"] == "b", "face_id"] += 28
    differences, ranks = tables(frame)
    assert (differences["n_faces"] == 12).all()
    assert (differences["flag"] == "only 12 of 40 faces are shared").all()
    assert (ranks["n_faces"] == 12).all() and ranks["flag"].str.contains("only 12 of 40").all()
    frame.loc[frame["method"] == "b", "face_id"] += 100
    differences, ranks = tables(frame)
    assert differences["difference"].isna().all() and differences["p"].isna().all()
    assert (differences["n_comparisons"] == 0).all() and not differences["significant"].any()
    assert ranks["rank"].isna().all() and ranks["first"].isna().all()


def test_the_judge_s_error_stands_beside_the_difference() -> None:
    differences, _ = tables(means({"a": 0.0, "b": 0.5}), errors={("lpips", "net", "age"): 0.7})
    assert differences.set_index("attribute")["judge_error"].to_dict() == pytest.approx(
        {"age": 0.7, "all": np.nan}, nan_ok=True
    )


def test_metrics_of_no_direction_or_no_name_have_no_ranks() -> None:
    frame = means({"a": 0.0, "b": 0.5})
    differences, ranks = tables(frame.assign(metric="gone"))
    assert differences.empty and ranks.empty


def test_nothing_depends_on_the_order_of_methods_but_signs() -> None:
    frame = means({"a": 0.0, "b": 0.1, "c": 0.2})
    turned = pd.concat([frame[frame["method"] == name] for name in ("c", "b", "a")], ignore_index=True)
    one, ranks = tables(frame)
    other, turned_ranks = tables(turned)
    key = [("age", "a", "c"), ("age", "c", "a")]
    there, back = (
        table.set_index(["attribute", "method", "other"]).loc[[place]].iloc[0]
        for table, place in zip((one, other), key, strict=True)
    )
    assert there["difference"] == pytest.approx(-back["difference"]) and there["p"] == pytest.approx(back["p"])
    assert ranks.sort_values(["attribute", "method"])["rank"].tolist() == (
        turned_ranks.sort_values(["attribute", "method"])["rank"].tolist()
    )


def test_a_full_run_takes_seconds_of_the_processor() -> None:
    """Fourteen methods, eight attributes, fifty faces: one metric is a ninth of a run."""
    frame = means({f"m{place}": 0.01 * place for place in range(14)}, faces=50, attributes=tuple("abcdefgh"))
    started = time.process_time()
    differences, _ = tables(frame, bootstrap=Bootstrap(10_000))
    assert len(differences) == 91 * 9
    assert time.process_time() - started < 20
