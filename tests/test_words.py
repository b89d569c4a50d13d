"""One word, one meaning: no name of the code has a word that the glossary of CONTRIBUTING.md forbids."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("stylegan", "pipeline", "tasks", "latentbench")
GLOSSARY = (ROOT / "CONTRIBUTING.md").read_text().split("## Glossary")[1].split("\n## ")[0]
MOST_LINES = 40


def forbidden() -> set[str]:
    """The words in the glossary's column "not"."""
    rows = [line.split("|") for line in GLOSSARY.splitlines() if line.startswith("| ")]
    return {word for row in rows[1:] for word in re.findall(r"`(\w+)`", row[3])}


def names(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, name) of each function, class, argument and assigned variable."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id


def words(name: str) -> set[str]:
    """The words of a name in snake_case, CamelCase or CAPITALS, in small letters."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


def modules(*packages: str) -> list[Path]:
    found = [path for package in packages for path in sorted((ROOT / package).rglob("*.py"))]
    assert len(found) > 3
    return found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lots_of", {"lots", "of"}),
        ("JUDGED_LOT", {"judged", "lot"}),
        ("CurveRequest", {"curve", "request"}),
        ("ws", {"ws"}),
    ],
)
def test_words_of_a_name(name: str, expected: set[str]) -> None:
    assert words(name) == expected


def test_the_glossary_is_short_and_forbids_something() -> None:
    assert len(GLOSSARY.strip().splitlines()) <= MOST_LINES
    assert {"lot", "preset", "crossing"} <= forbidden()


@pytest.mark.parametrize("package", PACKAGES)
def test_no_name_has_a_forbidden_word(package: str) -> None:
    unwanted = forbidden()
    faults = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in modules(package)
        for line, name in names(ast.parse(path.read_text()))
        if words(name) & unwanted
    ]
    assert not faults, f"words that the glossary of CONTRIBUTING.md replaces: {faults}"


def test_no_two_classes_share_a_name() -> None:
    """stylegan stands alone: its Name and Checkpoint are those of other people's files."""
    trees = [ast.parse(path.read_text()) for path in modules("pipeline", "tasks", "latentbench")]
    count = Counter(node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    assert not [name for name, times in count.items() if times > 1]
