"""Comments, docstrings and messages are plain English, in every package that was rewritten so far."""

from __future__ import annotations

import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Phrase -> why it is forbidden, or the word to use.
FORBIDDEN = {
    "that of|those of": "repeat the noun",
    "those that": "name the things",
    "what it": "name the thing",
    "shall": "must, or the plain present",
    "anew": "again",
    "borne": "tolerated",
    "told": "reported, printed or given",
    "heeded": "applied",
    "whoever": "name the person or the program",
    "hangs on": "depends on",
}
# Add a package, or a module of pipeline/, once its words are plain; never take one away.
CLEAN = (
    "latentbench",
    "stylegan",
    "pipeline/attributes.py",
    "pipeline/domains",
    "pipeline/errors.py",
    "pipeline/execution",
    "pipeline/images.py",
    "pipeline/inversion",
    "pipeline/methods",
    "pipeline/metrics",
    "pipeline/networks",
    "pipeline/optimisation",
    "pipeline/pictures.py",
    "pipeline/planning",
    "pipeline/progress.py",
    "pipeline/report",
    "pipeline/scorer_training",
    "pipeline/settings",
    "pipeline/showing",
    "pipeline/statistics",
    "pipeline/storage",
    "pipeline/weights",
    "tasks",
)


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Line and text of each comment, and of each string with a space in it."""
    with tokenize.open(path) as file:
        for token in tokenize.generate_tokens(file.readline):
            name = tokenize.tok_name[token.type]
            if name == "COMMENT" or (name in ("STRING", "FSTRING_MIDDLE") and " " in token.string):
                yield token.start[0], " ".join(token.string.split())


def riddles(path: Path) -> list[str]:
    """The forbidden phrases in a file, with line and remedy."""
    return [
        f"{path}:{line}: {found[0]!r}: {remedy}"
        for line, text in prose(path)
        for phrase, remedy in FORBIDDEN.items()
        for found in re.finditer(rf"\b(?:{phrase})\b", text, re.IGNORECASE)
    ]


@pytest.mark.parametrize("package", CLEAN)
def test_words_are_plain(package: str) -> None:
    root = ROOT / package
    files = [root] if root.suffix else sorted(root.rglob("*.py"))
    assert files and any(text for file in files for _, text in prose(file))
    assert [riddle for file in files for riddle in riddles(file)] == []


def test_comments_docstrings_and_messages_are_read_but_no_keys(tmp_path: Path) -> None:
    file = tmp_path / "module.py"
    file.write_text('"""What it\nis."""\n# drawn anew\nraise ValueError(f"that of {x} others")\nkey = "told"\n')
    assert [riddle.partition(": ")[2] for riddle in riddles(file)] == [
        "'What it': name the thing",
        "'anew': again",
        "'that of': repeat the noun",
    ]
