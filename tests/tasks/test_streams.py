"""What cannot be printed, because of an encoding or of stdout itself, is told, and undoes no run."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from tasks.cli import computing, streams

ROOT = Path(__file__).parents[2]


def refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make stdout one that takes nothing: its descriptor is open for reading alone."""
    (tmp_path / "out").touch()
    raw = os.fdopen(os.open(tmp_path / "out", os.O_RDONLY), "wb", buffering=0)
    output = streams.Output(io.BufferedWriter(raw), encoding="utf-8")  # type: ignore[arg-type]
    monkeypatch.setattr(sys, "stdout", output)


def test_a_stdout_that_fails_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(tmp_path, monkeypatch)
    with pytest.raises(streams.OutputError, match="Nothing more can be printed"):
        print("scores", flush=True)
    print("what follows is swallowed", flush=True)


def test_a_complete_run_stays_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse(tmp_path, monkeypatch)
    with computing.whatever_is_printed():
        print("scores")
    assert "What was computed is kept" in capsys.readouterr().err


def test_a_reader_that_left_is_no_error_of_a_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read, write = os.pipe()
    os.close(read)
    output = streams.Output(io.BufferedWriter(os.fdopen(write, "wb", buffering=0)))  # type: ignore[arg-type]
    monkeypatch.setattr(sys, "stdout", output)
    with computing.whatever_is_printed():
        Console().print("scores")  # rich ends the program at a broken pipe
        sys.stdout.flush()
    assert capsys.readouterr().err == ""


def test_what_an_encoding_lacks_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    for encoding in ("ascii", "latin-1"):
        raw = io.BytesIO()
        monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
        streams.prepare()
        print("lower is better ↓")
        sys.stdout.flush()
        assert raw.getvalue() == b"lower is better ?\n"


def test_closed_streams_are_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    assert not streams.is_terminal(sys.stdout)
    streams.prepare()
    print("nobody reads this")
    print("nor this", file=sys.stderr)
    for stream in (sys.stdout, sys.stderr):
        stream.close()


def test_the_module_runs_as_a_program_whose_stdout_may_be_closed() -> None:
    program = [sys.executable, "-m", "tasks.cli", "-V"]
    closed = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *program], cwd=ROOT, capture_output=True, check=False)
    assert (closed.returncode, closed.stdout, closed.stderr) == (0, b"", b"")
