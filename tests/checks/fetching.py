"""Fetching from a server of the tests, and what lies in the folder of weights afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable

from pipeline.weights.fetch import Fetched, fetch
from pipeline.weights.store import Store
from pipeline.weights.table import Weight
from tests.builders.http_server import Server
from tests.builders.weight_store import settings


def get(weight: Weight, here: Store, server: Server, **changes: float) -> Fetched:
    return fetch(weight, here, settings(server.url, **changes))


def ours(here: Store) -> set[str]:
    """Everything in the folder but locks."""
    return {path.name for path in here.folder.iterdir() if not path.name.endswith(".lock")}


def visible(here: Store) -> set[str]:
    return {name for name in ours(here) if not name.startswith(".")}


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
