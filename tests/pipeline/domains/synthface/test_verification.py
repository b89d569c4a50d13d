"""Verification's pure functions know their answers, and its table decides the exit code."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from typer.testing import CliRunner

from pipeline import attributes
from pipeline.domains.synthface.training.build import SETS
from pipeline.domains.synthface.verification import GROUPS, chosen_groups, figures, samples
from pipeline.domains.synthface.verification.figures import SCHEMA, Bench, Figure, as_lines, exit_code, summary, write
from pipeline.domains.synthface.verification.run import MEASURE
from pipeline.errors import ConfigError, UnknownNameError
from tasks.cli import app, synthface_verify

GOOD = Figure("bar", "good", 2.0, 10, ">=", 1.0)
BAD = Figure("bar", "bad", 2.0, 10, "<=", 1.0, note="too large")
PLAIN = Figure("other", "", 0.123456, 5)


def bench(folder: Path) -> Bench:
    def never(*arguments: object) -> dict[str, dict[str, float]]:
        raise AssertionError("not to be called")

    return Bench(folder, 1, 1, lambda *moments: 0.0, never, say=lambda text: None)


# The table


@pytest.mark.parametrize(
    ("direction", "figure", "passes"),
    [(">=", 1.0, True), (">=", 0.9, False), ("<=", 1.0, True), ("<=", 1.1, False), ("=", 1.0, True), ("=", 2.0, False)],
)
def test_a_figure_meets_its_limit_or_not(direction: figures.Direction, figure: float, passes: bool) -> None:
    assert Figure("bar", "", figure, 1, direction, 1.0).passes is passes


def test_what_is_not_a_number_fails_and_what_has_no_limit_has_no_verdict() -> None:
    assert Figure("bar", "", float("nan"), 1, "<=", 1.0).passes is False
    assert Figure("bar", "", float("nan"), 1, ">=", 1.0).passes is False
    assert PLAIN.passes is None
    with pytest.raises(ValueError, match="come together"):
        Figure("bar", "", 1.0, 1, ">=")


def test_the_exit_code_says_whether_a_bar_is_missed() -> None:
    assert exit_code([GOOD, PLAIN]) == 0
    assert exit_code([]) == 0
    assert exit_code([GOOD, BAD, PLAIN]) == 1
    assert summary([GOOD, BAD, PLAIN]) == "1 of 2 figures meet their bar, 1 have none. Missed: bar: bad"


def test_lines_align_and_leave_details_out() -> None:
    lines = as_lines([GOOD, BAD, PLAIN, Figure("hidden", "", 1.0, 1, detail=True)])
    assert len(lines) == 4
    assert lines[0].split() == ["what", "figure", "bar", "n", "passes", "note"]
    assert lines[2].split() == ["bar:", "bad", "2", "<=", "1", "10", "NO", "too", "large"]
    assert lines[3].split() == ["other", "0.1235", "5"]
    assert len({line.index(word) for line, word in zip(lines[1:3], (">= 1", "<= 1"), strict=True)}) == 1


def test_the_file_has_a_row_per_figure(tmp_path: Path) -> None:
    path = tmp_path / "new" / "verify.parquet"
    write([GOOD, BAD, PLAIN], path)
    table = pq.read_table(path)
    assert table.schema.names == SCHEMA.names
    assert table["passes"].to_pylist() == [True, False, None]
    assert table["limit"].to_pylist() == [1.0, 1.0, None]
    assert table["figure"].to_pylist() == [2.0, 2.0, 0.123456]
    assert list(path.parent.iterdir()) == [path]


def test_a_path_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="--out"):
        write([GOOD], tmp_path / "file" / "verify.parquet")


def test_a_measurement_shares_its_seconds_among_its_figures(tmp_path: Path) -> None:
    told: list[str] = []
    one = bench(tmp_path)
    rows = Bench(tmp_path, 1, 1, one.frechet_distance, one.boundaries, told.append).measure("it", lambda: [GOOD, BAD])
    assert rows[0].seconds == rows[1].seconds >= 0
    assert told[-1].endswith("1 of 2 figures miss their bar")


# Groups and the command


def test_groups_are_known_by_name() -> None:
    assert tuple(MEASURE) == GROUPS == chosen_groups([])
    assert chosen_groups(["networks", "population"]) == ("population", "networks")
    with pytest.raises(UnknownNameError, match="Did you mean 'renderer'"):
        chosen_groups(["rendrer"])


@pytest.mark.parametrize(("rows", "code"), [([GOOD, PLAIN], 0), ([GOOD, BAD], 1)])
def test_the_command_exits_by_its_bars(
    rows: list[Figure], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MEASURE, "population", lambda bench: rows)
    path = tmp_path / "verify.parquet"
    result = CliRunner().invoke(app, ["synthface", "verify", "--only", "population", "--out", str(path)])
    assert result.exit_code == code
    assert "bar: good" in result.stdout
    assert pq.read_table(path).num_rows == 2


def test_the_command_knows_the_closest_name() -> None:
    result = CliRunner().invoke(app, ["synthface", "verify", "--only", "populaton"])
    assert result.exit_code == 2
    assert "Did you mean 'population'" in result.stderr


def test_boundaries_are_those_of_interfacegan() -> None:
    w = torch.randn(600, 512, generator=torch.Generator().manual_seed(1))
    values = torch.sigmoid(2 * w[:, :35])
    values[:, 20] = 0.0
    facts = synthface_verify._boundaries(w, values, 3)
    assert set(facts) == set(attributes.NAMES)
    assert facts["smile"]["positives"] == 12
    assert facts[attributes.NAMES[20]]["trained"] is False


# Seeds


def test_no_training_and_no_card_used_these_faces() -> None:
    used = {one.seed for one in SETS.values()} | {one.seed + 1 for one in SETS.values()}
    held_out = [one.seed for one in samples.HELD_OUT.values()]
    others = [samples.FACTOR_SEED, samples.W_SEED, samples.G_SEED, samples.EDIT_SEED]
    assert len(set(held_out + others)) == len(held_out + others)
    assert not used & {*held_out, *others, samples.HELD_OUT["people"].seed + 1}
