"""A night in words."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.nights.gate import gate
from pipeline.nights.notes import Note
from pipeline.nights.summary import markdown, paragraph, verdict
from pipeline.settings.nights import Watch
from tests.builders.published_nights import publish, values_of


def told(outputs: Path, shift: float, n_faces: int = 16) -> tuple[str, str, str]:
    """Verdict, paragraph and Markdown of a night after a first one."""
    before = publish(outputs, 0, {"l2l": values_of(1, n_faces)})
    night = publish(outputs, 1, {"l2l": values_of(1, n_faces) + shift}, versions={"l2l": 2 if shift else 1})
    result = gate(night, [before], [], Watch())
    note = Note(night.date, night.folder.name)
    return verdict(result), paragraph(night, note, result), markdown(night, note, result)


def test_a_quiet_night_is_one_sentence_or_two(tmp_path: Path) -> None:
    short, text, _ = told(tmp_path, 0.0)
    assert short == "quiet"
    assert text == (
        "Night 2026-11-02 of synthface, profile smoke: quiet. All 4 scores are equal to 2026-11-01's, to the bit."
    )


def test_a_regression_is_named_with_its_cause(tmp_path: Path) -> None:
    short, text, table = told(tmp_path, 0.05)
    assert short == "4 regressions" and "\n" not in text
    assert "Measured since 2026-11-01: l2l; 4 scores and 0 trends tested, 4 scores moved." in text
    assert "l2l, regression of 4 scores since 2026-11-01, the clearest identity_distance by recognizer_b " in text
    assert text.endswith("likely cause: method version 1 -> 2.")
    assert table.startswith("# Night 2026-11-02: 4 regressions\n") and table.count("| 16 faces |") == 4


def test_too_few_faces_are_said(tmp_path: Path) -> None:
    _, text, _ = told(tmp_path, 0.05, n_faces=4)
    assert "So few faces can give no p below 0.125" in text


def test_the_first_night_says_that_it_is(tmp_path: Path) -> None:
    night = publish(tmp_path, 0, {"l2l": values_of(1)})
    result = gate(night, [], [], Watch())
    assert "first night of its series" in paragraph(night, Note(night.date, ""), result)


def test_names_from_outside_are_text_in_markdown(tmp_path: Path) -> None:
    name, commit = "<img src=x>|`a`\n# b [c](http://x)", "`<script>"
    before = publish(tmp_path, 0, {name: values_of(1)}, commit=commit)
    night = publish(tmp_path, 1, {name: values_of(1) + 0.05}, commit=commit)
    text = markdown(night, Note(night.date, night.folder.name), gate(night, [before], [], Watch()))
    assert "img src" in text and "script" in text
    assert re.search(r"(?<!\\)(<|`|\[)", text) is None and "\n# b" not in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {10}
