"""Claims and orders of methods, from scores whose answers are known."""

from __future__ import annotations

from dataclasses import replace
from html import unescape

import pandas as pd

from pipeline.attributes import EVALUATED
from pipeline.report.contents import Contents, contents_of
from pipeline.report.sections.claims import L2L_RIVALS, QUALITY_CLAIM, orders, verdicts
from tests.builders import random_run
from tests.builders.random_scores import score

MTCNN = "mtcnn-onet256"
PAPER = {"l2l": 0.2, "interfacegan": 0.3, "styleflow": 0.4, "ganspace": 0.5}


def identity(values: dict[str, float], best_for_l2l: int, **more: object) -> list[dict[str, object]]:
    """Identity distances: L2L lowest on the first so many attributes, GANSpace on the others."""
    rows = []
    for method, value in values.items():
        for place, attribute in enumerate(EVALUATED):
            swapped = place >= best_for_l2l
            own = {"l2l": values["ganspace"], "ganspace": values["l2l"]}.get(method, value) if swapped else value
            rows.append(score(method, attribute, "identity_distance", own, network=MTCNN, **more))
        rows.append(score(method, "all", "identity_distance", value, network=MTCNN, **more))
    return rows


def contents(rows: list[dict[str, object]], **tables: pd.DataFrame) -> Contents:
    made = contents_of({**random_run.tables(), "judges": random_run.judges()})
    scores = pd.DataFrame(rows)
    scores["level"] = scores["level"] if "level" in scores else None
    scores["level"] = scores["level"].astype(float)
    return replace(made, scores=scores, controls=frozenset(), **tables)


def found(made: Contents) -> dict[str, tuple[bool | None, str]]:
    return {verdict.claim: (verdict.holds, verdict.found) for verdict in verdicts(made)}


def test_most_attributes_is_a_matter_of_counting() -> None:
    holds, told = found(contents(identity(PAPER, 5)))["l2l keeps the identity best on most attributes"]
    assert (
        holds and told.startswith("lowest on 5 of 8, significantly below every rival on 0;") and "ganspace on 3" in told
    )
    assert not found(contents(identity(PAPER, 4)))["l2l keeps the identity best on most attributes"][0], "a draw"


def test_a_test_that_tells_apart_is_counted() -> None:
    rows = [
        {
            **dict.fromkeys(("protocol", "metric"), "l2l-2022"),
            "metric": "identity_distance",
            "network": MTCNN,
            "attribute": attribute,
            "method": "l2l",
            "other": rival,
            "p": 0.001,
            "significant": attribute == "age" or rival == "ganspace",
        }
        for attribute in (*EVALUATED, "all")
        for rival in L2L_RIVALS
    ]
    made = found(contents(identity(PAPER, 8), differences=pd.DataFrame(rows)))
    assert "significantly below every rival on 1;" in made["l2l keeps the identity best on most attributes"][1]
    told = made["l2l keeps the identity best over all attributes"][1]
    assert "interfacegan 0.3 [0.27, 0.33] (not significant)" in told and told.endswith("ganspace 0.5 [0.45, 0.55]")


def test_without_a_test_intervals_that_overlap_tell_nothing_apart() -> None:
    rows = [score(name, "all", "kid_same_codes", value, network="perception") for name, value in PAPER.items()]
    rows[1] |= {"value": 0.21, "ci_low": 0.19, "ci_high": 0.23}
    holds, told = found(contents([*identity(PAPER, 8), *rows]))[f"l2l {QUALITY_CLAIM}"]
    assert holds and "interfacegan 0.21 [0.19, 0.23] (not significant)" in told and "0.4 [0.36, 0.44];" in told
    kid = next(one for one in verdicts(contents([*identity(PAPER, 8), *rows])) if one.claim.endswith("best KID)"))
    assert kid.verdict == "holds, but not surely"


def test_a_flagged_score_supports_no_claim_and_takes_no_rank() -> None:
    few = "fewer than 50% of the changes were reached"
    rows = identity(PAPER, 8, protocol="matched-change-1", level=1.0)
    for row in rows:
        row["flag"] = few if row["method"] == "l2l" and row["attribute"] in ("all", *list(EVALUATED)[:5]) else None
    holds, told = found(contents(rows))["l2l keeps the identity best on most attributes, at a matched change of 1"]
    assert holds is None and told.startswith("lowest on 3 of 3") and "5 more cannot be compared" in told
    assert [order.ranks for order in orders(contents(rows))] == [(None, 1, 2, 3)]
    kids = [
        score(name, "all", "kid_same_codes", value, network="perception", flag=few) for name, value in PAPER.items()
    ]
    assert found(contents([*identity(PAPER, 8), *kids]))[f"l2l {QUALITY_CLAIM}"][0] is None


def test_a_claim_whose_rivals_were_not_run_is_not_judged() -> None:
    assert found(contents(identity({"l2l": 0.1, "ganspace": 0.2}, 8))) == {}


def test_the_network_of_a_loss_judges_no_claim() -> None:
    rows = [row | {"network": random_run.NETWORKS["recognizer_a"]} for row in identity(PAPER, 8)]
    assert found(contents(rows)) == {} and orders(contents(rows)) == []


def test_protocols_rank_methods_each_its_own_way() -> None:
    turned = {"l2l": 0.5, "interfacegan": 0.4, "styleflow": 0.3, "ganspace": 0.2}
    rows = identity(PAPER, 8) + identity(turned, 8, protocol="matched-change-1", level=1.0)
    rows += [
        score(name, "all", "acceptance_area", v, protocol="rates-1", better="higher") for name, v in turned.items()
    ]
    made = orders(contents(rows))
    assert [order.ranks for order in made] == [(1, 2, 3, 4), (4, 3, 2, 1), (1, 2, 3, 4)]
    assert "matched change 1" in made[1].title


def test_the_page_shows_both() -> None:
    from pipeline.report.page import render

    made = contents_of(random_run.whole())
    text = render(made)
    assert ('id="table-claims"' in text) == bool(verdicts(made))
    assert 'id="table-orders"' in text and orders(made)[0].title in unescape(text)


def test_a_judge_s_last_digits_decide_no_claim_and_no_rank() -> None:
    """Two methods whose identity distances differ by less than one image's do in two batches."""
    close = {"l2l": 0.2, "interfacegan": 0.2 + 1e-5, "styleflow": 0.3, "ganspace": 0.4}
    made = contents(identity(close, 8))
    holds, told = found(made)["l2l keeps the identity best on most attributes"]
    assert not holds and told.startswith("lowest on 0 of 8")
    assert not found(made)["l2l keeps the identity best over all attributes"][0]
    assert [sorted(order.ranks) for order in orders(made)] == [[1, 1, 3, 4]]
