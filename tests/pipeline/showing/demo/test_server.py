"""The server answers pages of its own, on loopback; it never queues edits."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from http.client import HTTPConnection
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from pipeline.errors import ConfigError, StageError
from pipeline.showing.demo import server
from pipeline.showing.demo.editing import EditOrder
from pipeline.showing.demo.latest_first import LatestFirst
from tests.checks.demo_server import serving

BODY = {"method": "l2l", "seed": 1, "strengths": {}, "page": "1-1"}


class Editing:
    """Says what it was asked for; holds each edit until `free` is set."""

    def __init__(self) -> None:
        self.facts = {"run": "here"}
        self.seeds: list[int] = []
        self.begun, self.free = threading.Event(), threading.Event()
        self.free.set()
        self.fault: Exception | None = None

    def edit(self, order: EditOrder) -> dict[str, Any]:
        self.begun.set()
        assert self.free.wait(20)
        self.seeds.append(order.seed)
        if self.fault:
            raise self.fault
        return {"seed": order.seed}


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """A server, and a semaphore that every edit which reached its thread releases."""
    editing, arrived = Editing(), threading.Semaphore(0)

    class Counting(LatestFirst):
        def submit(self, client: str, job: Callable[[], Any]) -> Future[Any]:
            future = super().submit(client, job)
            arrived.release()
            return future

    monkeypatch.setattr(server, "LatestFirst", Counting)
    with serving(editing) as address:  # type: ignore[arg-type]
        yield SimpleNamespace(address=address, editing=editing, arrived=arrived)
        editing.free.set()


def post(site: SimpleNamespace, body: Any = BODY, **headers: str) -> requests.Response:
    headers = {"Content-Type": "application/json"} | {name.replace("_", "-"): text for name, text in headers.items()}
    data = body if isinstance(body, str) else json.dumps(body)
    return requests.post(f"{site.address}edit", data=data, headers=headers, timeout=20)


def test_files_facts_and_edits(site: SimpleNamespace) -> None:
    for name, kind in server.FILES.items():
        answer = requests.get(site.address + name, timeout=20)
        assert answer.status_code == 200 and answer.headers["Content-Type"] == f"{kind}; charset=utf-8"
    assert requests.get(f"{site.address}facts", timeout=20).json() == {"run": "here"}
    assert post(site).json() == {"seed": 1}


@pytest.mark.parametrize("path", ["", "demo.js", "facts", "nothing", "edit"])
def test_only_this_site_may_use_an_answer(site: SimpleNamespace, path: str) -> None:
    headers = requests.get(site.address + path, timeout=20).headers
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "Access-Control-Allow-Origin" not in headers


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "10.0.0.1", ""])
def test_another_host_is_refused(site: SimpleNamespace, host: str) -> None:
    """A name that somebody rebound to 127.0.0.1 comes with its own Host header."""
    for path in ("", "facts", "nothing"):
        assert requests.get(site.address + path, headers={"Host": host}, timeout=20).status_code == 403
    assert post(site, Host=host).status_code == 403
    assert site.editing.seeds == []


def test_loopback_by_name_and_through_a_tunnel(site: SimpleNamespace) -> None:
    for host in ("localhost", "localhost:9999", "127.0.0.1:8000"):
        assert requests.get(f"{site.address}facts", headers={"Host": host}, timeout=20).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:1", "null"])
def test_a_page_of_another_site_cannot_edit(site: SimpleNamespace, origin: str) -> None:
    assert post(site, Origin=origin).status_code == 403
    assert post(site, Origin=site.address.rstrip("/")).status_code == 200
    assert site.editing.seeds == [1]


def test_a_form_of_another_site_cannot_edit(site: SimpleNamespace) -> None:
    """Browsers send text/plain without asking first; they do ask before application/json."""
    assert post(site, Content_Type="text/plain").status_code == 415
    assert site.editing.seeds == []


@pytest.mark.parametrize("body", ["", "nonsense", "[" * 5000, "[]", {"seed": 1}, BODY | {"seed": -1}])
def test_wrong_orders_are_refused_in_words(site: SimpleNamespace, body: Any) -> None:
    refused = post(site, body)
    assert refused.status_code == 400 and refused.json()["error"]
    assert site.editing.seeds == []


def test_what_a_user_can_mend_is_said_and_the_server_goes_on(site: SimpleNamespace) -> None:
    site.editing.fault = StageError("train l2l is gone")
    assert (post(site).status_code, post(site).json()) == (400, {"error": "train l2l is gone"})
    site.editing.fault = None
    assert post(site).status_code == 200


def test_a_fault_of_ours_goes_to_the_log(site: SimpleNamespace, caplog: pytest.LogCaptureFixture) -> None:
    site.editing.fault = ZeroDivisionError("oh")
    answer = post(site)
    assert answer.status_code == 500 and "ZeroDivisionError" in answer.json()["error"]
    assert [record.exc_info is not None for record in caplog.records] == [True]


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(site: SimpleNamespace) -> None:
    connection = HTTPConnection(urlsplit(site.address).netloc, timeout=20)
    connection.putrequest("POST", "/edit")
    connection.putheader("Content-Length", str(server.LARGEST_BODY + 1))
    connection.endheaders()
    assert connection.getresponse().status in (400, 413)
    connection.close()
    assert site.editing.seeds == []


def test_stale_moves_are_not_computed(site: SimpleNamespace) -> None:
    """While one edit is computed, of those that follow only the newest waits; the others answer 204 at once."""
    site.editing.free.clear()
    answers: dict[int, requests.Response] = {}

    def move(seed: int) -> threading.Thread:
        thread = threading.Thread(target=lambda: answers.update({seed: post(site, BODY | {"seed": seed})}))
        thread.start()
        assert site.arrived.acquire(timeout=20)  # else a later one may overtake it
        return thread

    threads = [move(0)]
    assert site.editing.begun.wait(20)
    for seed in range(1, 6):
        threads.append(move(seed))
        if seed > 1:
            threads[seed - 1].join(20)  # the one before is answered as soon as this one waits
            assert answers[seed - 1].status_code == 204 and not answers[seed - 1].content
    site.editing.free.set()
    for thread in threads:
        thread.join(20)
    assert site.editing.seeds == [0, 5]
    assert answers[0].json() == {"seed": 0} and answers[5].json() == {"seed": 5}


def test_only_loopback_listens(site: SimpleNamespace) -> None:
    parts = urlsplit(site.address)
    assert parts.hostname == "127.0.0.1"
    with socket.socket() as other:
        other.settimeout(5)
        assert other.connect_ex(("127.0.0.2", int(parts.port or 0))) != 0  # loopback too, yet not the bound address


def test_a_port_in_use_is_said(site: SimpleNamespace) -> None:
    import asyncio

    with pytest.raises(ConfigError, match="--port"):
        asyncio.run(server.serve(site.editing, int(urlsplit(site.address).port or 0), print))


def test_every_file_of_the_page_is_served() -> None:
    names = {path.name for path in Path(server.HERE).iterdir() if path.suffix in (".html", ".css", ".js")}
    assert names == {name or "page.html" for name in server.FILES}
