"""The tables of docs/explanation/photoface-labels.md, as rows of Markdown.

python -m pipeline.scorer_training.generated.page CARD_A.json CARD_B.json
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.attributes import NAMES
from pipeline.scorer_training.generated import agreement, eye

CHOSEN_FROM = 10_000  # the first k of the draw in which rare values are enriched
MEASURES = ("r2", "auc", "correlation")
Card = Mapping[str, Any]


def shares(table: pa.Table) -> Iterator[str]:
    """Per cent of each letter but 0, in the consecutive faces and in the enriched draw, of A and of B."""
    rows = [row for row in table.to_pylist() if row["labelling"] == 1]
    parts = [
        [row for row in rows if row["role"] == role and (row["k"] >= CHOSEN_FROM) == enriched]
        for enriched in (False, True)
        for role in ("a", "b")
    ]
    for column in eye.COLUMNS:
        for letter in eye.MEANINGS[column]:
            if letter != "0":
                cells = [100 * sum(row[column] == letter for row in part) / max(len(part), 1) for part in parts]
                yield f"| {column} {letter} | {' | '.join(f'{cell:.1f}' for cell in cells)} |"


def agreements(table: pa.Table) -> Iterator[str]:
    """Faces, share with the same letter and kappa of each question."""
    for row in agreement.agreements(table):
        yield f"| {row.column} | {row.n} | {row.same:.3f} | {_number(row.kappa, 2)} |"


def figures(cards: Mapping[str, Card]) -> Iterator[str]:
    """Held-out figures of the attributes that both know; `cards` are of a and b."""
    tables = {role: card["measured"]["validation"] for role, card in cards.items()}
    for name in NAMES:
        if any(name in card["left_out"] for card in cards.values()):
            continue
        first = tables["a"][name]
        cells = [_number(tables[role][name].get(measure), 3) for role in ("a", "b") for measure in MEASURES]
        yield f"| {name} | {first['labels']} | {first['n']} | {first.get('n_positive', '-')} | {' | '.join(cells)} |"


def left_out(cards: Mapping[str, Card]) -> Iterator[str]:
    """Attributes that A or B does not know, with the reason of each."""
    for name in NAMES:
        if any(name in card["left_out"] for card in cards.values()):
            reasons = [cards[role]["left_out"].get(name, "known") for role in ("a", "b")]
            yield f"| {name} | {' | '.join(reasons)} |"


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def main(card_a: str, card_b: str) -> None:
    """Print all tables."""
    cards = {role: json.loads(Path(path).read_text()) for role, path in (("a", card_a), ("b", card_b))}
    table = eye.read()
    for rows in (shares(table), agreements(table), figures(cards), left_out(cards)):
        print("\n".join(rows), end="\n\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
