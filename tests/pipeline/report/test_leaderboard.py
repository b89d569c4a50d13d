"""The leaderboard: whose scores, in whose order, with which ranks."""

from __future__ import annotations

from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from pipeline.report.contents import Contents, contents_of
from pipeline.report.leaderboard import Leaderboard, ScoreColumn, leaderboard, sound_cells
from tests.builders import random_run, random_scores

LITTLE = "fewer than 50% of the changes were reached"
DISTANCES = {"l2l": 0.1, "interfacegan": 0.2, "random": 0.05}


@cache
def whole() -> dict[str, pa.Table]:
    return random_run.whole()


def contents(doubted: str = "") -> Contents:
    """A run in which every face keeps the identity best by l2l; `doubted` has a flag of its own at matched change."""
    tables = whole()
    methods = tables["matched"].column("method").to_pylist()
    reached = tables["matched"].column("reached").to_pylist()
    distances = [DISTANCES[name] if there else None for name, there in zip(methods, reached, strict=True)]
    flags = [
        LITTLE if (row["method"], row["protocol"]) == (doubted, "matched-change-1") else row["flag"]
        for row in tables["scores"].select(["method", "protocol", "flag"]).to_pylist()
    ]
    return contents_of(
        tables
        | {
            "matched": _with(tables["matched"], "identity_recognizer_b", distances),
            "scores": _with(tables["scores"], "flag", flags),
        }
    )


def _with(table: pa.Table, name: str, values: list[Any]) -> pa.Table:
    field = table.schema.field(name)
    return table.set_column(table.schema.get_field_index(name), field, pa.array(values, field.type))


def board(doubted: str = "") -> Leaderboard:
    found = leaderboard(contents(doubted))
    assert found is not None
    return found


def column(found: Leaderboard, name: str) -> ScoreColumn:
    return next(one for one in found.columns if one.row.name == name)


def methods(found: Leaderboard, places: list[int]) -> list[str]:
    return [found.grid.methods[place] for place in places]


def test_methods_stand_by_their_rank_at_matched_change_and_controls_apart() -> None:
    found = board()
    assert methods(found, found.competitors) == ["l2l", "interfacegan"]
    assert set(methods(found, found.controls)) == {"random", "noop"}
    ranks = dict(zip(found.grid.methods, column(found, "identity distance").standings, strict=True))
    shown = {name: (one.rank, one.low, one.high, one.first) for name, one in ranks.items() if one is not None}
    assert shown == {"l2l": (1, 1, 1, 1.0), "interfacegan": (2, 2, 2, 0.0)}, "no control competes"


def test_a_score_with_a_flag_of_its_own_takes_no_rank_and_stands_last() -> None:
    found = board("l2l")
    assert methods(found, found.competitors)[-1] == "l2l"
    assert column(found, "identity distance").standings == (), "one method alone has no rank"


def test_its_scores_are_the_published_ones() -> None:
    found, scores = board(), random_scores.scores().to_pandas()
    assert [one.row.name for one in found.columns][:3] == [
        "identity distance",
        "change of other attributes",
        "changes not reached",
    ]
    for one in found.columns:
        same = scores[(scores["metric"] == one.row.metric) & (scores["network"] == one.row.network)]
        values = {float(value) for value in same[same["attribute"] == "all"]["value"]}
        assert {cell.value for cell in one.row.cells if cell is not None} <= values


def test_ranks_over_ranges_are_those_of_the_published_table() -> None:
    found, ranks = board(), whole()["ranks"].to_pandas()
    change = ranks[(ranks["metric"] == "attribute_change") & (ranks["attribute"] == "all")].set_index("method")
    standings = column(found, "attribute change").standings
    assert standings and [one.rank for one in standings if one] == [change.loc[n, "rank"] for n in found.grid.methods]


def test_a_run_without_matched_change_is_led_by_the_identity_over_ranges() -> None:
    tables = whole()
    bare = tables["scores"].filter(pc.equal(tables["scores"]["protocol"], "l2l-2022"))
    found = leaderboard(contents_of(tables | {"scores": bare}))
    assert found is not None and found.columns[0].row.metric == "identity_distance"
    assert found.columns[0].where == "over each method's range"


def test_a_flag_that_all_competitors_have_is_no_reason_of_its_own() -> None:
    of_run = contents()
    cells = board().columns[0].row.cells
    assert any(cells) and sound_cells(of_run, cells) == [name not in of_run.controls for name in of_run.methods]


@pytest.mark.parametrize("name", ["identity distance", "change of other attributes"])
def test_every_column_has_a_cell_for_every_method(name: str) -> None:
    found = board()
    assert len(column(found, name).row.cells) == len(found.grid.methods) == len(found.order)
