"""The comments of luigi.cfg, written from the fields that declare its keys.

    python -m pipeline.settings.comments luigi.cfg    writes them again, after a field changed

A key's comment stands in the first section of its kind, such as the first profile; everything else stays as it is.
"""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path

from pipeline.settings.downloads import Downloads
from pipeline.settings.experiment import Experiment
from pipeline.settings.keys import KEY, Key, declared
from pipeline.settings.machine import Machine
from pipeline.settings.nights import Watch
from pipeline.settings.settings import Choice, OfDomain

KINDS = (Choice, OfDomain, Experiment, Machine, Downloads, Watch)  # what declares keys
WIDTH = 120  # columns


def declared_keys(section: str) -> dict[str, Key]:
    """The keys that a kind of section ("protocol", "profile", ...) can have, by name."""
    return {name: entry.metadata[KEY] for kind in KINDS for name, entry in declared(kind, section).items()}


def with_comments(text: str) -> str:
    """A settings file with every declared key's comment above it."""
    lines: list[str] = []
    keys: dict[str, Key] = {}
    seen: set[str] = set()
    for line in text.splitlines():
        header = re.fullmatch(r"\[([^].]+)(\..*)?\]", line)
        name = line.partition("=")[0].strip()
        if header:
            keys = {} if header[1] in seen else declared_keys(header[1])
            seen.add(header[1])
        elif name in keys and not line.startswith("#"):
            while lines[-1].startswith("#"):
                lines.pop()
            lines += textwrap.wrap(
                keys[name].comment,
                WIDTH,
                initial_indent="# ",
                subsequent_indent="# ",
                break_long_words=False,
                break_on_hyphens=False,
            )
        lines.append(line)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.write_text(with_comments(file.read_text(encoding="utf-8")), encoding="utf-8")
