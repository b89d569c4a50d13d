"""Garbage is taken out of its place by one rename, next to runs that go on, and removed then.

A removal that is killed leaves whole stages, and in outputs/.removing the ones taken away, which the next one removes.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

from pipeline.errors import BusyError, StageError
from pipeline.storage.locks import held
from pipeline.storage.runs import builds_on, registering
from pipeline.upkeep.garbage import REMOVING, Garbage


def remove(garbage: Sequence[Garbage], outputs: Path) -> tuple[list[Garbage], list[Garbage]]:
    """Remove these files and folders; answers what was removed, and what was spared since a process uses it.

    No run can begin while they are taken away, and none that goes on loses a stage. Raises BusyError if another process
    is removing, StageError if something cannot be removed.
    """
    gone: list[Garbage] = []
    spared: list[Garbage] = []
    aside = outputs / REMOVING
    try:
        with registering(outputs):
            aside.mkdir(exist_ok=True)
            used = builds_on(outputs)
            for entry in garbage:
                (gone if _taken(entry, aside, used) else spared).append(entry)
        for path in aside.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
        aside.rmdir()
    except OSError as error:
        raise StageError(
            f"Cannot remove {error.filename}: {error.strerror}. Ask its owner for the right to; what was taken away "
            f"already lies in {aside}, and the next `latentbench gc` removes it."
        ) from error
    return gone, spared


def _taken(entry: Garbage, aside: Path, used: frozenset[Path] | None) -> bool:
    """Move an entry below `aside`, unless a process builds it or builds on it."""
    if entry.path.parent == aside:
        return True
    with ExitStack() as locks:
        if entry.stage:
            if used is None or entry.path in used:
                return False
            try:
                locks.enter_context(held(entry.path, entry.title, wait=0.0))
            except BusyError:
                return False
        with suppress(FileNotFoundError):
            os.replace(entry.path, aside / f"{entry.path.name}-{uuid.uuid4().hex}")
    return True
