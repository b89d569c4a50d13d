"""The scorers in the package: what their cards say, and that docs/explanation/photoface-labels.md says the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.attributes import EVALUATED, NAMES
from pipeline.domains.photoface import files
from pipeline.networks.cards import read_card
from pipeline.scorer_training.generated import eye, page
from pipeline.storage.files import file_sha256
from pipeline.weights.table import read_table

PAGE = Path(__file__).parents[4] / "docs/explanation/photoface-labels.md"
MOST_BYTES = 10_000_000


@pytest.fixture(scope="module")
def cards() -> dict[str, dict[str, Any]]:
    return {role: read_card(files.FOLDER / f"scorer_{role}.safetensors") for role in ("a", "b")}


def test_the_heads_are_the_cards_and_small(cards: dict[str, dict[str, Any]]) -> None:
    total = 0
    for role, card in cards.items():
        path = files.FOLDER / f"scorer_{role}.safetensors"
        assert file_sha256(path) == card["sha256"]
        assert card["trunk"]["sha256"] == read_table()[files.TRUNKS[f"scorer_{role}"]].sha256
        assert card["arguments"]["trunk"] == card["trunk"]["name"] == files.TRUNKS[f"scorer_{role}"]
        total += path.stat().st_size
    assert total <= MOST_BYTES


def test_all_evaluated_attributes_are_known_by_figures_above_the_floors(cards: dict[str, dict[str, Any]]) -> None:
    assert set(cards) == {"a", "b"}
    for card in cards.values():
        assert set(EVALUATED.values()) <= set(card["attributes"])
        assert set(card["attributes"]) | set(card["left_out"]) == set(NAMES) and all(card["left_out"].values())
        for name in card["attributes"]:
            row = card["measured"]["validation"][name]
            assert row["auc"] >= card["floors"]["auc"] if "auc" in row else row["r2"] >= card["floors"]["r2"]


def test_a_and_b_share_no_face_and_the_table_is_the_packages(cards: dict[str, dict[str, Any]]) -> None:
    a, b = (card["source"] for card in cards.values())
    assert a["ids"][1] < b["ids"][0] and a["pictures_sha256"] != b["pictures_sha256"]
    for role, source in (("a", a), ("b", b)):
        assert source["files"] == {eye.TABLE.name: file_sha256(eye.TABLE)}
        assert source["looked_at"] == len(eye.of_role(eye.read(), role)[0])
        assert source["training"] + source["validation"] == source["faces"]


def test_the_page_shows_the_figures_of_the_cards(cards: dict[str, dict[str, Any]]) -> None:
    lines = set(PAGE.read_text().splitlines())
    table = eye.read()
    rows = [*page.shares(table), *page.agreements(table), *page.figures(cards), *page.left_out(cards)]
    assert len(rows) > 60 and [row for row in rows if row not in lines] == []


def test_rows_of_a_small_table() -> None:
    table = eye.read()
    mask = np.array([row["role"] == "a" and row["k"] < 2 for row in table.to_pylist()])
    row = next(page.agreements(table.filter(mask)))
    assert row == "| glasses | 2 | 1.000 | - |"
    made = {"attributes": ["age"], "measured": {"validation": {"age": {"labels": "networks", "n": 9, "r2": 0.5}}}}
    cards = {role: made | {"left_out": {name: "rare" for name in NAMES if name != "age"}} for role in ("a", "b")}
    assert list(page.figures(cards)) == ["| age | networks | 9 | - | 0.500 | - | - | 0.500 | - | - |"]
    assert next(page.left_out(cards)) == "| smile | rare | rare |"
