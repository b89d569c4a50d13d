"""Assertion that a file is refused within a bound of memory, without any side effect."""

from __future__ import annotations

import sys
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from stylegan.checkpoints.limits import CheckpointError
from stylegan.checkpoints.reading import read_checkpoint

ACTS = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "exec", "compile", "import", "pickle.find_class")
MIB = 2**20

_heard: list[str] | None = None


def _listen(event: str, _: tuple[Any, ...]) -> None:
    if _heard is not None and event.startswith(ACTS):
        _heard.append(event)


sys.addaudithook(_listen)


def refuse(path: Path | bytes, *, most_mib: float = 4.0) -> str:
    """The message of the refusal. Fails if reading acts, or needs more than `most_mib` beyond twice the file."""
    global _heard
    if isinstance(path, bytes):
        data, path = path, Path("hostile.pkl")
        path.write_bytes(data)
    tracemalloc.start()
    _heard = []
    try:
        with pytest.raises(CheckpointError) as refused:
            read_checkpoint(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        heard, _heard = _heard, None
    assert heard == []
    size = path.stat().st_size if path.is_file() else 0
    assert peak < 2 * min(size, 64 * MIB) + most_mib * MIB
    message = str(refused.value)
    assert f"'{path}' is not imported: " in message and "Nothing in it was executed" in message
    return message
