"""What workers log reaches the process of the run."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import pytest

from pipeline.execution import messages
from pipeline.execution.messages import collected, hear, relay, send_messages

OURS = logging.getLogger("latentbench")


def test_what_is_logged_and_warned_of_in_a_shard_is_kept_and_not_printed(capfd: pytest.CaptureFixture[str]) -> None:
    with collected() as kept, warnings.catch_warnings():
        warnings.simplefilter("always")
        OURS.warning("%d of 5", 3)
        OURS.info("quiet")
        warnings.warn("old", UserWarning, stacklevel=1)
    assert kept.all() == ((logging.WARNING, "3 of 5"), (logging.WARNING, "UserWarning: old"))
    assert capfd.readouterr() == ("", "")
    OURS.warning("after the shard")
    assert len(kept.all()) == 2


def test_a_shard_that_logs_without_end_is_counted() -> None:
    with collected() as kept:
        for number in range(messages.MOST + 7):
            OURS.warning("%d", number)
    assert len(kept.all()) == messages.MOST + 1 and "7 more" in kept.all()[-1][1]


def test_messages_are_logged_with_worker_and_shard(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "latentbench"):
        relay(((logging.ERROR, "100 % wrong"),), "tls://127.0.0.1:1", "a.parquet")
    (record,) = caplog.records
    facts: Any = record
    assert (facts.levelno, facts.getMessage()) == (logging.ERROR, "100 % wrong")
    assert (facts.worker, facts.shard) == ("tls://127.0.0.1:1", "a.parquet")


def test_what_dask_logs_in_a_worker_is_sent_and_heard() -> None:
    sent: list[Any] = []

    class Worker:
        address = "tls://127.0.0.1:1"

        def log_event(self, topic: str, message: Any) -> None:
            sent.append((0.0, message))

    dask = logging.getLogger("distributed")
    before = {name: list(logging.getLogger(name).handlers) for name in messages.DASK}
    try:
        send_messages(Worker())
        logging.getLogger("distributed.worker").error("lost %s", "contact")
    finally:
        for name, handlers in before.items():
            logging.getLogger(name).handlers = handlers
    assert sent == [(0.0, (logging.ERROR, "lost contact", "tls://127.0.0.1:1"))]
    heard: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = heard.append  # type: ignore[assignment, method-assign]
    dask.addHandler(handler)
    try:
        hear(sent[0])
    finally:
        dask.removeHandler(handler)
    assert heard[0].getMessage() == "lost contact" and heard[0].__dict__["worker"] == "tls://127.0.0.1:1"
