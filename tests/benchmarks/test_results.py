"""The results page: its verdicts, its correlations, what trainings came to, and that no section is lost."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from benchmarks import results, results_training
from pipeline.methods import registry
from pipeline.report.contents import Contents, contents_of
from pipeline.report.sections.claims import Verdict, verdicts
from tests.builders import random_run
from tests.builders.random_scores import score


@pytest.fixture(scope="module")
def contents() -> Contents:
    return contents_of(random_run.whole())


def ranked_run(distances: dict[str, float], areas: dict[str, float]) -> Contents:
    """Methods ranked by the paper's protocol and by rate curves alone."""
    made = contents_of({**random_run.tables(), "judges": random_run.judges()})
    rows = [
        score(name, "all", "identity_distance", value, network="mtcnn-onet256") for name, value in distances.items()
    ]
    rows += [
        score(name, "all", "acceptance_area", value, network="judge", protocol="rates-1", better="higher")
        for name, value in areas.items()
    ]
    frame = pd.DataFrame(rows)
    frame["level"] = math.nan
    return replace(made, scores=frame, controls=frozenset())


@pytest.mark.parametrize(
    ("holds", "sure", "refuted", "expected"),
    [
        (True, True, False, "holds"),
        (True, False, False, "cannot be said"),
        (False, False, True, "does not hold"),
        (False, False, False, "cannot be said"),
        (None, True, False, "cannot be said"),
    ],
)
def test_a_verdict_needs_a_test_that_tells_apart(holds: bool | None, sure: bool, refuted: bool, expected: str) -> None:
    assert Verdict("l2l is best", "paper", "judge", "", holds, sure, refuted).tested == expected


def test_every_claim_has_its_verdict_and_its_reason(contents: Contents) -> None:
    made = ranked_run({"l2l": 0.3, "interfacegan": 0.1, "styleflow": 0.31, "ganspace": 0.9}, {})
    (claim,) = (one for one in verdicts(made) if one.claim.endswith("over all attributes"))
    assert claim.tested == "does not hold"
    assert "not significantly different from styleflow" in claim.doubt
    line = next(line for line in results.claims(made) if "over all attributes" in line)
    assert line.endswith("**does not hold** |")


def test_rank_correlations_are_over_the_methods_of_both() -> None:
    one = pd.Series({"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0})
    assert results.correlation(one, one) == (pytest.approx(1.0), 4)
    assert results.correlation(one, 5 - one) == (pytest.approx(-1.0), 4)
    assert results.correlation(one, pd.Series({"a": 9.0, "c": 3.0, "d": 1.0, "x": 2.0})) == (pytest.approx(-1.0), 3)
    rho, count = results.correlation(one, one[["a", "b"]])
    assert math.isnan(rho) and count == 2


def test_protocols_that_disagree_say_who_moves() -> None:
    names = ["l2l", "llf", "sefa", "rfm", "higan"]
    made = ranked_run(
        {name: place / 10 + 0.1 for place, name in enumerate(names)},
        {name: place / 10 + 0.1 for place, name in enumerate(names)},
    )
    (row,) = (line for line in results.disagreement(made) if "rate curves" in line)
    assert "| -1.00 | 5 | l2l 1 to 5; higan 5 to 1 |" in row
    assert "1: 0.1 [" in next(line for line in results.ranking(made, "") if line.startswith("| l2l"))
    again = ranked_run({name: 0.5 - place / 10 for place, name in enumerate(names)}, {})
    (row,) = (line for line in results.seeds(made, again) if line.startswith("| identity"))
    assert "| -1.00 | 5 |" in row


def test_the_page_has_every_section_and_says_that_the_run_is_smaller(contents: Contents) -> None:
    text = results.page(contents, second=contents)
    titles = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    assert titles == [
        "What the papers claim",
        "How far the edits go",
        "The ranking under each protocol",
        "Where the protocols disagree",
        "Another seed",
        "Controls",
        "Training",
        "Departures that could matter",
        "Sizes, commit and command",
    ]
    assert contents.run.smaller and all(f"- {words}" in text for words in contents.run.smaller)
    assert "Both have the same seed" in text
    assert contents.run.run_id in text and f"--profile {contents.run.profile}" in text


@pytest.mark.parametrize(
    ("facts", "curve", "held_out"),
    [
        ({"curve": {"steps": [1, 9], "losses": [8.0, 6.0]}, "start": 7.0, "end": 5.0}, ([1, 9], [8, 6]), "7 to 5"),
        (
            {"curve": {"steps": [1], "losses": [[1.0, 0.5]]}, "start": {"total": 2}, "end": {"total": 1.5}},
            ([1], [1.5]),
            "2 to 1.5",
        ),
        (
            {"training": {"curve": [[4, 0.5, 0.9]], "start": {"loss": 1}, "best": {"loss": 0.25}}},
            ([4], [0.5]),
            "1 to 0.25",
        ),
        ({"boundaries": {}}, None, ""),
    ],
    ids=["one loss", "several losses", "contrastive", "without steps"],
)
def test_a_training_is_read_from_what_its_method_publishes(
    facts: dict[str, Any], curve: results_training.Curve | None, held_out: str
) -> None:
    assert results_training.curve_of(facts) == curve
    assert results_training.held_out(facts) == held_out


def test_a_line_of_training_says_steps_losses_and_how_it_ended(contents: Contents) -> None:
    facts = {
        "curve": {"steps": [1, 2, 3], "losses": [3.0, 2.0, 1.0]},
        "regressions": {"age": {"trained": True, "converged": False}, "yaw": {"trained": True, "converged": True}},
        "stopped": "no gain in 100 steps",
    }
    stages = [{"stage": "train", "group": "l2l", "learned": {"facts": facts, "seconds": 12.4}}]
    made = replace(contents, run=replace(contents.run, stages=stages))
    ended = "1 of 2 regressions converged; stopped early: no gain in 100 steps"
    assert results_training.training_lines(made) == [("l2l", "3", "3 to 1", "–", ended, "12")]


def test_departures_are_the_points_of_the_docstrings() -> None:
    points = {name: results_training.departures_of(name) for name in registry.names()}
    assert points["noop"] == []
    assert len(points["llf"]) > 4 and all(line.startswith("- ") for line in points["llf"])
    assert points["interfacegan_z"][0].startswith("Departures from the authors' code: as for `interfacegan`")
    assert not [line for lines in points.values() for line in lines if line.endswith(":")]
    assert results_training.departures_of("no such method") == []


def test_pictures_stand_alone(tmp_path: Path) -> None:
    names = ["l2l", "llf", "sefa"]
    made = ranked_run(dict.fromkeys(names, 0.1), {name: place / 10 for place, name in enumerate(names)})
    facts = {"curve": {"steps": [1, 2], "losses": [3.0, 2.0]}}
    stages = [{"stage": "train", "group": "l2l", "learned": {"facts": facts}}]
    made = replace(made, run=replace(made.run, stages=stages))
    pictures = results.write_pictures(made, tmp_path / "img")
    assert pictures == {"ranks": "img/results-ranks.svg", "training": "img/results-training.svg"}
    for path in pictures.values():
        svg = (tmp_path / path).read_text()
        assert svg.startswith("<svg ") and 'xmlns="http://www.w3.org/2000/svg"' in svg and "currentColor" not in svg
    assert pictures["ranks"] in "\n".join(results.ranking(made, pictures["ranks"]))
