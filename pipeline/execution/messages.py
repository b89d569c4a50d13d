"""What workers log: it travels with the outcome of their shard, or by an event of Dask, to the process of the run."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from pipeline.storage.log_lines import DASK

TOPIC = "latentbench-messages"  # of Dask's events: what Dask itself logs in a worker
MOST = 100  # messages of a shard
OWN = "latentbench"

Message = tuple[int, str]  # level, text


class _Kept(logging.Handler):
    """Keeps the first MOST messages, and counts the others."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[Message] = []
        self.others = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message as text."""
        if len(self.messages) < MOST:
            self.messages.append((record.levelno, record.getMessage()))
        else:
            self.others += 1

    def all(self) -> tuple[Message, ...]:
        """The messages, and how many are not among them."""
        more = [(logging.WARNING, f"and {self.others:,} more messages of this shard")] if self.others else []
        return (*self.messages, *more)


class _Sent(logging.Handler):
    """Sends what Dask logs in a worker to the process of the run."""

    def __init__(self, worker: Any) -> None:
        super().__init__(logging.WARNING)
        self.worker = worker

    def emit(self, record: logging.LogRecord) -> None:
        """Send a message; a worker that is cut off cannot."""
        try:
            self.worker.log_event(TOPIC, (record.levelno, record.getMessage(), self.worker.address))
        except Exception:  # logging stops no work, whatever the connection raises
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's name
        """Nothing can be said where the connection is lost."""


@contextmanager
def collected() -> Iterator[_Kept]:
    """What this package logs, and what Python warns of, while the block computes a shard in a worker."""
    kept, logger = _Kept(), logging.getLogger(OWN)
    show, propagates, handlers = warnings.showwarning, logger.propagate, logger.handlers

    def shown(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        kept.emit(logging.LogRecord(OWN, logging.WARNING, "", 0, f"{category.__name__}: {message}", (), None))

    logger.propagate, warnings.showwarning, logger.handlers = False, shown, [kept]
    try:
        yield kept
    finally:
        logger.propagate, warnings.showwarning, logger.handlers = propagates, show, handlers


def send_messages(worker: Any) -> None:
    """Send from now on what Dask logs in this worker."""
    for name in DASK:
        logging.getLogger(name).addHandler(_Sent(worker))


def relay(messages: Iterable[Message], worker: str, shard: str = "") -> None:
    """Log what a worker logged, in the process of the run."""
    logger = logging.getLogger(OWN)
    for level, text in messages:
        logger.log(level, "%s", text, extra={"worker": worker, "shard": shard})


def hear(event: tuple[float, Any]) -> None:
    """Put what Dask logged in a worker into the log of the run; it is not printed."""
    level, text, worker = event[1]
    logging.getLogger("distributed").log(level, "%s", text, extra={"worker": str(worker)})
