"""An outputs folder that is elsewhere: a worker's folder stands for it, and files travel between the two.

On a worker that does not see the outputs folder, the code of the stages reads and writes in a folder of the worker. Its
readers ask here for the files that are not there yet, and its writers say here what they wrote.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Protocol


class Elsewhere(Protocol):
    """The way to an outputs folder, of the task that runs in this thread."""

    def fetch(self, path: Path, sha256: str) -> None:
        """Bring a file of a published stage to its path, which lies in the worker's folder. Raises StageError."""

    def fetch_manifest(self, path: Path) -> None:
        """The same for a manifest, unless the run's is there; does nothing for a stage that is not published."""

    def wrote(self, path: Path, record: Any) -> None:
        """Remember a file that was written, and its `ShardRecord`, so that both are taken to the outputs folder."""


_current: ContextVar[Elsewhere | None] = ContextVar("elsewhere", default=None)


def current() -> Elsewhere | None:
    """The way to an outputs folder elsewhere; None where the outputs folder is at hand."""
    return _current.get()


@contextmanager
def reaching(elsewhere: Elsewhere) -> Iterator[None]:
    """Let readers and writers in the block, in this thread, reach an outputs folder elsewhere."""
    token = _current.set(elsewhere)
    try:
        yield
    finally:
        _current.reset(token)
