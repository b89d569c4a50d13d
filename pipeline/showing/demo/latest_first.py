"""One thread for all computing, in which a newer request takes the place of one that still waits."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any


class LatestFirst:
    """Computes one job at a time. Of each client at most one job waits, the newest; an older one is cancelled.

    Clients take turns: a newer job keeps its client's turn, so a client that moves a slider all the time holds up no
    other, and is held up by none.

    >>> thread = LatestFirst()
    >>> thread.submit("me", lambda: 6 * 7).result()
    42
    """

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, tuple[Future[Any], Callable[[], Any]]] = OrderedDict()
        self._changed = threading.Condition()
        threading.Thread(target=self._work, name="generator", daemon=True).start()

    def submit(self, client: str, job: Callable[[], Any]) -> Future[Any]:
        """The future of a job's result; it is cancelled as soon as the client submits another one in time."""
        future: Future[Any] = Future()
        with self._changed:
            if client in self._waiting:
                self._waiting[client][0].cancel()
            self._waiting[client] = future, job
            self._changed.notify()
        return future

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                _, (future, job) = self._waiting.popitem(last=False)
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(job())
            except Exception as error:  # it is raised where the result is waited for
                future.set_exception(error)
