"""A server of files and a store for them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.weights.store import Store
from tests.builders.http_server import Server, serving
from tests.builders.weight_store import CONTENT, TABLE, store

PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        server.files = {f"/{weight.file}": CONTENT for weight in TABLE.values()}
        yield server


@pytest.fixture
def here(tmp_path: Path) -> Store:
    return store(tmp_path / "weights")
