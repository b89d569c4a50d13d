"""Every kind of file below the outputs folder, damaged and cut short, one at a time; then the same command."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.faults.ground import Ground, different, published
from benchmarks.faults.outcome import Case, Fault, Verdict, verdict

INLINE = ("--executor", "inline")
SAYS_NOTHING = ("lock", "rates.json")  # kinds whose content is only advice, or empty


def faults() -> list[Fault]:
    """The faults of this file."""
    return [
        Fault("damaged", "a byte changed in one file of every kind; the run names the file and recovers", _damaged),
        Fault("cut", "one file of every kind cut to half; the run names the file and recovers", _cut),
    ]


def kinds(outputs: Path) -> dict[str, Path]:
    """Kind of file -> one of them: of each stage its results, of all stages one record, manifest and lock."""
    found: dict[str, Path] = {}
    for path in sorted(path for path in outputs.rglob("*") if path.is_file() and not path.is_symlink()):
        found.setdefault(kind(path.relative_to(outputs)), path)
    return {name: path for name, path in found.items() if path.stat().st_size > 1}


def kind(path: Path) -> str:
    """The kind of a file below the outputs folder, such as stages/edits/edits-age."""
    top, name = path.parts[0], path.name
    if top != "stages":
        return name if top == name else f"{top}/{name}"
    if name == ".lock":
        return "stages/lock"
    if name == "manifest.json":
        return "stages/manifest"
    if name.endswith((".parquet.json", ".safetensors.json", "json.json")):
        return "stages/record"
    short = re.sub(r"(-\d+)+\.parquet$", "", name)
    return f"stages/{path.parts[1]}/{short.removesuffix('.parquet')}"


def change_a_byte(path: Path) -> None:
    """The byte in the middle, all bits of it."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def cut_to_half(path: Path) -> None:
    """The first half of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


def _damaged(ground: Ground) -> Iterator[Case]:
    yield from _cases(ground, change_a_byte)


def _cut(ground: Ground) -> Iterator[Case]:
    yield from _cases(ground, cut_to_half)


def _cases(ground: Ground, spoil: Callable[[Path], None]) -> Iterator[Case]:
    for name, path in kinds(ground.undisturbed).items():
        yield Case(name, partial(_spoiled, name=name, path=path.relative_to(ground.undisturbed), spoil=spoil))


def _spoiled(ground: Ground, *, name: str, path: Path, spoil: Callable[[Path], None]) -> Verdict:
    """Spoil a file of a copy and run: it must be named, and the run must end with the same tables.

    A published run is never rewritten: the run must refuse with the file's name, and succeed once its folder is away.
    """
    outputs = ground.copy("damage")
    before = published(outputs)
    spoil(outputs / path)
    ended = ground.run(outputs, *INLINE)
    if name.startswith("reports/"):
        faults = ended.faults([2, 20, 30], path.name)
        shutil.move(outputs / path.parent, ground.folder / "tries" / "damage" / "aside")
        faults += ground.resumed(outputs, *INLINE)
    else:
        speaks = not name.endswith(SAYS_NOTHING) and "builds_on" not in name and not name.endswith("record")
        faults = ended.faults([0], *([path.name] if speaks else [])) or different(outputs, ground.undisturbed)
    after = published(outputs)
    return verdict(faults, sum(after.get(stage) != began for stage, began in before.items()))
