"""One job at a time; of each client only the newest waits."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError, Future

import pytest

from pipeline.showing.demo.latest_first import LatestFirst

SOON = 10.0


class Held:
    """A thread whose first job holds it until `release` is set."""

    def __init__(self) -> None:
        self.thread, self.release, self.done = LatestFirst(), threading.Event(), list[str]()
        begun = threading.Event()

        def hold() -> None:
            begun.set()
            self.release.wait(SOON)

        self.first = self.thread.submit("first", hold)
        assert begun.wait(SOON)

    def submit(self, client: str, name: str) -> Future[None]:
        return self.thread.submit(client, lambda: self.done.append(name))


def test_only_the_newest_waiting_job_of_a_client_is_computed() -> None:
    held = Held()
    jobs = [held.submit("me", str(number)) for number in range(100)]
    held.release.set()
    jobs[-1].result(SOON)
    assert held.done == ["99"]
    for job in jobs[:-1]:
        with pytest.raises(CancelledError):
            job.result(0)


def test_what_has_begun_is_finished() -> None:
    held = Held()
    newer = held.submit("first", "newer")
    assert not held.first.cancelled()
    held.release.set()
    newer.result(SOON)
    assert held.first.done() and not held.first.cancelled()


def test_clients_take_turns_whatever_each_of_them_asks() -> None:
    held = Held()
    held.submit("busy", "busy 0")
    other = held.submit("other", "other")
    last = [held.submit("busy", f"busy {number}") for number in (1, 2)][-1]
    held.release.set()
    other.result(SOON), last.result(SOON)
    assert held.done == ["busy 2", "other"], "a newer job keeps its client's turn"


def test_nobody_waits_and_the_job_is_left_out() -> None:
    held = Held()
    left = held.submit("gone", "left")
    left.cancel()
    last = held.submit("me", "last")
    held.release.set()
    last.result(SOON)
    assert held.done == ["last"]


def test_an_error_reaches_who_asked_and_the_thread_goes_on() -> None:
    thread = LatestFirst()

    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        thread.submit("me", fail).result(SOON)
    assert thread.submit("me", lambda: 1).result(SOON) == 1
