"""The page of all nights: what is drawn, what is listed, and that names cannot become markup."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pipeline.nights.conclusion import conclude
from pipeline.nights.history import Night
from pipeline.nights.notes import Note
from tests.builders import random_run
from tests.builders.published_nights import publish, values_of


def page_of(outputs: Path, nights: list[Night]) -> str:
    """The page after these nights were concluded one by one."""
    for night in nights:
        note = Note(night.date, night.folder.name)
        conclude(random_run.settings(outputs), f"{night.date}-synthface-smoke-00000000", note)
    return (outputs / "nightly" / "synthface-smoke.html").read_text()


def drawn(page: str) -> list[dict[str, object]]:
    """The rows of the chart's table."""
    (text,) = re.findall(r'id="chart-data">(.*?)</script>', page)
    columns = json.loads(text)["tables"]["nights"]
    for name, column in columns.items():
        if isinstance(column, dict):  # texts, each once, and the place of every row's
            columns[name] = [column["texts"][place] for place in column["of"]]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def test_a_point_stands_where_something_was_measured_and_at_the_end(tmp_path: Path) -> None:
    values = [values_of(1)] * 3 + [values_of(1) + 0.05] * 3
    nights = [publish(tmp_path, day, {"l2l": each}) for day, each in enumerate(values)]
    page = page_of(tmp_path, nights)
    rows = [row for row in drawn(page) if str(row["score"]).startswith("lpips")]
    assert [row["night"] for row in rows] == ["2026-11-01", "2026-11-04", "2026-11-06"]
    assert [row["flagged"] for row in rows] == [False, True, False]
    assert rows[1]["value"] == pytest.approx(values_of(1)[1].mean() + 0.05, abs=1e-5)
    assert "l2l: regression since 2026-11-03" in page and page.count('<tr class="alarm">') == 1


def test_every_night_leads_to_its_report(tmp_path: Path) -> None:
    nights = [publish(tmp_path, day, {"l2l": values_of(1)}) for day in range(2)]
    page = page_of(tmp_path, nights)
    links = re.findall(r'<th scope="row"><a href="([^"]+)">(\S+)</a>', page)
    assert [date for _, date in links] == ["2026-11-02", "2026-11-01"]
    for href, _ in links:
        assert (tmp_path / "nightly" / href).resolve().parent.is_dir()


def test_nights_of_another_protocol_are_counted_not_drawn(tmp_path: Path) -> None:
    other = publish(tmp_path, 0, {"l2l": values_of(3)}, settings={"protocol": {"seed": 8}, "methods": {"l2l": {}}})
    night = publish(tmp_path, 1, {"l2l": values_of(1)})
    page = page_of(tmp_path, [other, night])
    assert {row["night"] for row in drawn(page)} == {"2026-11-02"}
    assert "1 earlier night of another protocol is not shown" in page


def test_names_from_outside_are_text(tmp_path: Path) -> None:
    night = publish(tmp_path, 0, {"<b>mine</b>": values_of(1)}, commit="<script>alert(1)</script>")
    page = page_of(tmp_path, [night])
    assert "<b>mine" not in page and "<script>alert" not in page
