from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.attributes import INDEX
from pipeline.errors import LabelsError
from pipeline.scorer_training.generated import agreement, eye

HEADER = "role,k,glasses,beard,moustache,sideburns,baldness,headwear,hair,eye_makeup,lip_makeup,forehead,eye,mouth\n"
FIRST = "A,7,r,1,0,0,x,1,x,0,0,1,0,0\nA,3,0,2,2,1,0,0,k,0,1,0,0,0\nB,3,s,0,0,0,2,0,g,0,0,0,1,0\n"
SECOND = "A,3,0,1,2,1,0,0,n,0,1,0,0,0\n"


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "first.csv", tmp_path / "twice.csv"]
    paths[0].write_text(HEADER + FIRST)
    paths[1].write_text(HEADER + SECOND)
    return paths


def test_letters_become_values_and_what_is_hidden_is_unknown(files: list[Path]) -> None:
    table = eye.table_of(files)
    ks, values = eye.of_role(table, "a")
    assert ks.tolist() == [3, 7] and table.num_rows == 4
    by_name = {name: values[:, INDEX[name]].tolist() for name in eye.SEEN}
    assert by_name["beard"] == [1, 0.5] and by_name["glasses"] == [0, 1] and by_name["reading_glasses"] == [0, 1]
    assert by_name["sunglasses"] == [0, 0] and by_name["mouth_occluded"] == [0, 0]
    assert by_name["forehead_occluded"] == [0, 1] and by_name["hair_black"][0] == 1 and by_name["hair_grey"][0] == 0
    assert np.isnan([by_name["baldness"][1], by_name["hair_black"][1]]).all(), "under a hat nothing is known"
    assert np.isnan(values[:, INDEX["age"]]).all()
    assert eye.of_role(table, "b")[1][0, INDEX["sunglasses"]] == 1
    assert eye.of_role(table, "a", labelling=2)[1][0, INDEX["beard"]] == 0.5


@pytest.mark.parametrize(
    "line", ["C,1,0,0,0,0,0,0,n,0,0,0,0,0", "A,x,0,0,0,0,0,0,n,0,0,0,0,0", "A,1,0,3,0,0,0,0,n,0,0,0,0,0"]
)
def test_a_line_that_cannot_be_read_is_named(line: str, tmp_path: Path) -> None:
    (tmp_path / "wrong.csv").write_text(HEADER + FIRST + line + "\n")
    with pytest.raises(LabelsError, match="wrong.csv, line 5"):
        eye.table_of([tmp_path / "wrong.csv"])


def test_agreement_is_of_faces_that_both_labelled(files: list[Path]) -> None:
    found = {row.column: row for row in agreement.agreements(eye.table_of(files))}
    assert {row.n for row in found.values()} == {1}
    assert found["glasses"].same == 1 and found["glasses"].kappa is None, "chance alone would agree"
    assert found["beard"].same == 0 and found["beard"].kappa == 0


def test_two_grades_apart_are_worse_than_one() -> None:
    near = [("0", "0"), ("1", "1"), ("2", "2"), ("0", "1")]
    far = [*near[:3], ("0", "2")]
    assert agreement.kappa(near, graded=False) == pytest.approx(agreement.kappa(far, graded=False) or 0, abs=0.05)
    assert (agreement.kappa(near, graded=True) or 0) > (agreement.kappa(far, graded=True) or 0) + 0.2
    assert agreement.kappa([], graded=True) is None


def test_the_table_of_the_package() -> None:
    """Read as it is installed: each face once for each labelling, and enough of both roles."""
    table = eye.read()
    rows = [(row["role"], row["k"], row["labelling"]) for row in table.to_pylist()]
    assert len(set(rows)) == len(rows) and {role for role, _, _ in rows} == {"a", "b"}
    for role in ("a", "b"):
        ks, values = eye.of_role(table, role)
        assert len(ks) >= 400
        for name in ("glasses", "beard", "baldness"):
            column = values[:, INDEX[name]]
            assert 10 < np.nansum(column > 0.25) < len(column) / 2
    assert sum(row.n for row in agreement.agreements(table)) > 3000
