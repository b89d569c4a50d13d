"""Threads, a user's name, and signals that wait."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.processes import name_user, signals_later, use_threads

ROOT = Path(__file__).parents[2]


def test_a_uid_without_a_name_gets_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", nobody)
    name_user()
    assert os.environ["USER"] == f"uid{os.getuid()}"
    monkeypatch.setenv("USER", "anna")
    name_user()
    assert os.environ["USER"] == "anna"


def test_threads_are_set_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.setenv(name, "7")
    use_threads(1)
    assert os.environ["OMP_NUM_THREADS"] == os.environ["OPENBLAS_NUM_THREADS"] == "1"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_until_the_block_is_done(number: signal.Signals) -> None:
    seen = []
    before = signal.signal(number, lambda *_: seen.append("handled"))
    try:
        with signals_later():
            os.kill(os.getpid(), number)
            seen.append("went on")
        assert seen == ["went on", "handled"]
        os.kill(os.getpid(), number)
        assert seen == ["went on", "handled", "handled"], "and is handled as ever afterwards"
    finally:
        signal.signal(number, before)


def test_what_starts_meanwhile_never_sees_ctrl_c() -> None:
    code = """
import os, signal, subprocess, sys
from pipeline.processes import signals_later
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    with signals_later():
        os.kill(os.getpid(), signal.SIGINT)
        ignored = "import signal; print(signal.getsignal(signal.SIGINT) == signal.SIG_IGN)"
        subprocess.run([sys.executable, "-c", ignored])
        print("went on", flush=True)
except KeyboardInterrupt:
    print("and ended")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["True", "went on", "and ended"]
