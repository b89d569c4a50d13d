"""The paper's tables from scores whose answers are known."""

from __future__ import annotations

import pyarrow as pa
import pytest

from pipeline.report import grids
from pipeline.report.contents import Contents, contents_of
from pipeline.report.sections import further, paper
from pipeline.tables.schemas import SCORES
from tests.builders import random_run
from tests.builders.random_scores import DATE, score

RUN = {"run_id": "20261120T031500Z-1a2b3c4d", "run_date": DATE}
JUDGES = random_run.judges()
TABLES = {**random_run.tables(), "judges": JUDGES}
MTCNN = {"network": "mtcnn-onet256"}


def contents(rows: list[dict[str, object]]) -> Contents:
    table = pa.Table.from_pylist([{**RUN, **row} for row in rows], schema=SCORES)
    return contents_of({**TABLES, "scores": table})


def identity(values: dict[str, float], **more: object) -> grids.Row:
    rows = [score(method, "age", "identity_distance", value, **{**MTCNN, **more}) for method, value in values.items()]
    return paper.identity_grids(contents(rows))[0].rows[0]


def marks(row: grids.Row) -> list[str]:
    return ["best" if cell and cell.best else "close" if cell and cell.close else "" for cell in row.cells]


def test_the_lowest_is_best_and_controls_do_not_compete() -> None:
    row = identity({"interfacegan": 0.5, "l2l": 0.3, "random": 0.2, "noop": 0.0})
    assert [cell.value for cell in row.cells if cell] == [0.5, 0.3, 0.2, 0.0]
    assert marks(row) == ["", "best", "", ""]


def test_what_the_intervals_cannot_tell_apart_is_close() -> None:
    assert marks(identity({"interfacegan": 0.31, "l2l": 0.3})) == ["close", "best"]


def test_equal_scores_are_both_best() -> None:
    assert marks(identity({"interfacegan": 0.3, "l2l": 0.3})) == ["best", "best"]


def test_higher_may_be_better() -> None:
    assert marks(identity({"interfacegan": 0.9, "l2l": 0.3}, better="higher")) == ["best", ""]


def test_a_flagged_score_and_a_direction_of_neither_have_no_best() -> None:
    assert marks(identity({"interfacegan": 0.9, "l2l": 0.3}, flag="too few images")) == ["", ""]
    assert marks(identity({"interfacegan": 0.9, "l2l": 0.3}, better="neither")) == ["", ""]


def test_one_competitor_wins_nothing() -> None:
    assert marks(identity({"l2l": 0.3, "noop": 0.0})) == ["", ""]


def test_the_identity_table_has_the_attributes_of_the_protocol_and_their_mean() -> None:
    grid = paper.identity_grids(contents_of(TABLES))[0]
    names = ["age", "baldness", "beard", "expression", "gender", "glasses", "pitch", "yaw", "mean"]
    assert [row.name for row in grid.rows] == names
    assert grid.methods == ("interfacegan", "l2l", "random", "noop")
    assert (grid.domain, grid.network, grid.protocol) == ("synthface", "mtcnn-onet256", "l2l-2022")
    assert [row.mean for row in grid.rows] == [False] * 8 + [True]


def test_the_paper_s_measure_is_first_and_a_network_of_some_method_s_training_last() -> None:
    tables = paper.identity_grids(contents_of(TABLES))
    assert [grid.network for grid in tables] == ["mtcnn-onet256", "recognizer_b", "recognizer_a"]
    assert grids.doubtful(tables) == tables[2:]
    assert tables[2].flags == ["in the training loss of l2l"]


def test_a_network_with_one_more_reason_against_it_is_doubtful_however_many_are_flagged() -> None:
    rows = [
        score(method, "age", "identity_distance", 0.3, network=network, flag=flag)
        for method in ("l2l", "random")
        for network, flag in (
            ("synthface-recognizer_a-0a1b2c3d", "in the training loss of l2l; fewer than 10 faces"),
            ("synthface-recognizer_b-0a1b2c3d", "fewer than 10 faces"),
            ("mtcnn-onet256", "fewer than 10 faces"),
        )
    ]
    tables = paper.identity_grids(contents(rows))
    assert grids.doubtful(tables) == tables[2:]
    titles = [grid.title.split(", ")[1] for grid in tables]
    assert titles == ["the paper's measure", "by recognizer_b", "by recognizer_a"]


def test_a_flag_of_every_score_is_said_once() -> None:
    rows = [score(method, "age", "identity_distance", 0.3, **MTCNN, flag="few faces") for method in ("l2l", "random")]
    assert paper.identity_grids(contents(rows))[0].common_flag == "few faces"


def test_quality_rows_are_the_paper_s_with_the_two_inception_figures_apart() -> None:
    grid = paper.quality_grid(contents_of(random_run.tables()))
    assert grid is not None
    names = ["KID", "FID", "inception score", "inception score spread", "inception score difference"]
    assert [row.name for row in grid.rows] == names
    assert grid.network == "perception"


def test_every_score_stands_in_some_table() -> None:
    all_of_it = contents_of(random_run.tables())
    tables = [*paper.paper_tables(all_of_it), *further.further_tables(all_of_it)]
    cells = sum(cell is not None for grid in tables for row in grid.rows for cell in row.cells)
    assert cells == (all_of_it.scores["protocol"] == "l2l-2022").sum()


def test_an_unknown_metric_and_protocol_find_their_place() -> None:
    rows = [score("l2l", "age", "leakage_at_1", 0.2, protocol="matched-1", network="scorer_b")]
    grid = further.further_tables(contents(rows))[0]
    assert (grid.title, grid.protocol, grid.rows[0].name) == ("Leakage at 1", "matched-1", "age")


def test_a_missing_interval_and_a_missing_method_are_dashes() -> None:
    rows = [
        score("interfacegan", "age", "identity_distance", 0.4, **MTCNN, ci_low=None, ci_high=None),
        score("l2l", "yaw", "identity_distance", 0.4, **MTCNN),
    ]
    grid = paper.identity_grids(contents(rows))[0]
    first = grid.rows[0].cells[0]
    assert first is not None and first.low is None
    assert grid.rows[0].cells[1] is None


@pytest.mark.parametrize(
    ("values", "decimals", "texts"),
    [
        ([0.77, 0.5], 3, ["0.770", "0.500"]),
        ([43.16, 1.0], 2, ["43.16", "1.00"]),
        ([0.0118], 4, ["0.0118"]),
        ([1234.5], 0, ["1,234"]),
        ([0.0, float("nan")], 3, ["0.000", "–"]),
        ([-0.0001, 0.5], 3, ["0.000", "0.500"]),
    ],
)
def test_numbers_have_the_digits_of_their_size(values: list[float], decimals: int, texts: list[str]) -> None:
    assert grids.decimals_for(values) == decimals
    assert [grids.number(value, decimals) for value in values] == texts


def test_scores_that_differ_by_a_judge_s_last_digits_are_both_best() -> None:
    cells = [grids.Cell(value, None, None, "", 12, 60) for value in (0.2, 0.2 + 4e-6, 0.3)]
    marked = grids.mark_best(cells, "lower", [True] * 3, noise=1e-5)
    assert [cell.best for cell in marked if cell is not None] == [True, True, False]


def test_only_the_full_profile_of_full_size_is_as_published() -> None:
    full = {"profile": "full", "n_latents": 400_000, "n_faces": 50, "n_steps": 41, "edits_per_method": 16_400}
    run = contents_of({**random_run.tables(), "runs": random_run.runs(**full)}).run
    assert run.as_published and not run.warning
    fewer = contents_of({**random_run.tables(), "runs": random_run.runs(**{**full, "n_faces": 4})}).run
    assert "4 faces per method and attribute instead of 50" in fewer.warning
    renamed = contents_of({**random_run.tables(), "runs": random_run.runs(**{**full, "profile": "mine"})}).run
    assert "not `full`" in renamed.warning


def test_a_table_of_chosen_methods_has_their_cells_in_the_order_of_the_choice() -> None:
    grid = paper.identity_grids(contents_of(TABLES))[0]
    part = grid.of_methods(["l2l", "styleflow", "interfacegan"])
    assert part.methods == ("l2l", "interfacegan")
    assert [row.cells for row in part.rows] == [(row.cells[1], row.cells[0]) for row in grid.rows]
