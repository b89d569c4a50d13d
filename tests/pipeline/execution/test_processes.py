"""Threads, a user's name, and signals that wait."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading

import pytest

from pipeline.execution.processes import name_user, signals_later, use_threads


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


def blocks_ctrl_c() -> None:
    assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_what_starts_meanwhile_never_sees_ctrl_c() -> None:
    """As Dask starts its workers: by multiprocessing, from a thread."""
    process = multiprocessing.get_context("spawn").Process(target=blocks_ctrl_c)
    with signals_later():
        thread = threading.Thread(target=process.start)
        thread.start()
        thread.join()
    process.join()
    assert process.exitcode == 0
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
