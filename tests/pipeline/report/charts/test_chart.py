"""What a page contains of its charts: every table once, specifications by Vega-Lite's own schema, no address."""

from __future__ import annotations

import json
from dataclasses import replace

import altair as alt
import pandas as pd
import pytest

from pipeline.report.charts.chart import Chart, columns, data_names, in_page, specification
from pipeline.report.charts.library import library

TABLE = pd.DataFrame({"method": ["l2l", "sefa"], "value": [0.123456789, float("nan")], "n": [1, 2]})


def chart(key: str = "one", name: str = "scores", table: pd.DataFrame = TABLE) -> Chart:
    drawing = alt.Chart(alt.NamedData(name=name)).mark_point().encode(x="value:Q", y="method:N")
    return Chart(key, "Scores", "How to read it.", "Points.", specification(drawing, "Points."), {name: table})


def test_a_specification_has_no_address_and_no_style_of_its_own() -> None:
    spec = chart().spec
    assert spec["description"] == "Points." and "http" not in json.dumps(spec) and "config" not in spec


def test_what_vega_lite_does_not_know_is_refused() -> None:
    drawing = alt.Chart(alt.NamedData(name="scores")).mark_point().encode(x="value:Q")
    drawing.encoding.x["shorthand"] = 5
    with pytest.raises(alt.utils.schemapi.SchemaValidationError):
        specification(drawing, "Points.")


def test_two_charts_of_one_table_bring_it_once() -> None:
    page = in_page([chart("one"), chart("two", table=TABLE.copy())])
    assert list(page["charts"]) == ["one", "two"] and list(page["tables"]) == ["scores"]
    method = {"texts": ["l2l", "sefa"], "of": [0, 1]}
    assert page["tables"]["scores"] == {"method": method, "value": [0.123457, None], "n": [1, 2]}
    json.dumps(page, allow_nan=False)


def test_names_stand_for_one_thing() -> None:
    with pytest.raises(ValueError, match="different tables of the name scores"):
        in_page([chart("one"), chart("two", table=TABLE.iloc[:1])])
    with pytest.raises(ValueError, match="have one key"):
        in_page([chart("one"), chart("one", name="others")])
    with pytest.raises(ValueError, match="reads scores"):
        in_page([replace(chart(), tables={})])


def test_data_are_named_wherever_they_stand_in_a_specification() -> None:
    spec = {"layer": [{"data": {"name": "a"}}, {"mark": "rule", "hconcat": [{"data": {"name": "b"}}]}]}
    assert data_names(spec) == {"a", "b"}


def test_numbers_keep_six_digits() -> None:
    assert columns(pd.DataFrame({"x": [1234567.0, 1.0e-9 / 3]})) == {"x": [1234570.0, 3.33333e-10]}


def test_the_library_is_one_text_that_a_page_can_contain() -> None:
    assert "vegaEmbed" in library() and 500_000 < len(library()) < 1_200_000
    assert "</script" not in library() and "<!--" not in library()
    assert "BSD 3-Clause" in library()[:600]
