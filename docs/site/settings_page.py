"""The settings as tables, from luigi.cfg: its comments are written from the fields that declare the keys."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).parents[2] / "luigi.cfg"
PROFILE = "profile."
SHARED = "with `"  # how the meaning of a key begins that shares the comment of the key above


class Line(NamedTuple):
    """A key of a section, its shipped value, and what its comment says."""

    key: str
    value: str
    meaning: str


def settings() -> str:
    """All sections of luigi.cfg, the profiles next to each other in one table."""
    sections = read(FILE.read_text(encoding="utf-8"))
    profiles = {name: lines for name, lines in sections.items() if name.startswith(PROFILE)}
    parts, first = [], next(iter(profiles))
    for name, lines in sections.items():
        if name == first:
            parts.append(f"## `[profile.*]`\n\n{side_by_side(profiles)}\n")
        elif name not in profiles:
            rows = [f"| `{line.key}` | {_code(line.value)} | {_cell(line.meaning)} |" for line in lines]
            parts.append("\n".join([f"## `[{name}]`", "", "| key | shipped | meaning |", "|---|---|---|", *rows, ""]))
    return "\n".join(parts)


def side_by_side(profiles: dict[str, list[Line]]) -> str:
    """The profiles' keys as rows, the profiles as columns."""
    keys = dict.fromkeys(line.key for lines in profiles.values() for line in lines)
    own = [
        line for lines in profiles.values() for line in lines if line.meaning and not line.meaning.startswith(SHARED)
    ]
    meanings = {line.key: line.meaning for line in reversed(own)}
    names = [name.removeprefix(PROFILE) for name in profiles]
    rows = [f"| key | {' | '.join(f'`{name}`' for name in names)} | meaning |", f"|---|{'---|' * len(names)}---|"]
    for key in keys:
        values = [next((line.value for line in lines if line.key == key), "") for lines in profiles.values()]
        owner, dot, inner = key.partition(".")
        meaning = meanings.get(key) or (f"`{inner}` of `{owner}` in runs of this profile" if dot else "")
        rows.append(f"| `{key}` | {' | '.join(map(_code, values))} | {_cell(meaning)} |")
    return "\n".join(rows)


def read(text: str) -> dict[str, list[Line]]:
    """Section -> its keys, with the comment above each.

    >>> read("[a]\\n# One\\n# thing.\\nkey = 1\\nnext = 2\\n")
    {'a': [Line(key='key', value='1', meaning='One thing.'), Line(key='next', value='2', meaning='with `key`')]}
    """
    sections: dict[str, list[Line]] = {}
    lines: list[Line] = []
    comment: list[str] = []
    for line in text.splitlines():
        header = re.fullmatch(r"\[(.+)\]", line)
        key, equals, value = line.partition("=")
        if header:
            lines = sections.setdefault(header[1], [])
        elif line.startswith("#"):
            comment.append(line.removeprefix("#").strip())
            continue
        elif equals:
            meaning = " ".join(comment) or (f"{SHARED}{told}`" if (told := _last(lines)) else "")
            lines.append(Line(key.strip(), value.strip(), meaning))
        comment = []
    return sections


def _last(lines: list[Line]) -> str:
    """The last key that has a comment of its own, "" without one."""
    return next((line.key for line in reversed(lines) if line.meaning and not line.meaning.startswith(SHARED)), "")


def _code(value: str) -> str:
    return f"`{value}`" if value else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "\\<").replace("*", "\\*")
