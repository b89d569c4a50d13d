"""Servers that fail for a while, have another file, redirect or lie: only the right file is ever placed."""

from __future__ import annotations

import logging
import time
from dataclasses import replace

import pytest

from pipeline.errors import ConfigError, WeightsError
from pipeline.weights import transfer
from pipeline.weights.asking import check_redirect
from pipeline.weights.fetch import FETCHED, address, fetch
from pipeline.weights.records import RECORDS
from pipeline.weights.store import Store, WrongFileError
from pipeline.weights.table import Weight
from tests.builders.http_server import Server, Turn
from tests.builders.weight_store import CONTENT, OTHER, SHA256, TABLE, settings
from tests.checks.fetching import get, ours, visible

KNOWN, STARTED, UNKNOWN = TABLE["known"], TABLE["started"], TABLE["unknown"]


# Servers that fail for a while


def test_503_then_success(here: Store, server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.turns["/known.bin"] = [Turn(status=503), Turn(status=429, headers={"Retry-After": "0"})]
    with caplog.at_level(logging.WARNING):
        assert get(KNOWN, here, server).how == FETCHED
    assert "answered 503" in caplog.text and "attempt 2 of 4" in caplog.text


def test_pauses_double_and_a_server_may_ask_for_longer(
    here: Store, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(transfer.time, "sleep", pauses.append)
    asked = {"Retry-After": "7"}
    server.turns["/known.bin"] = [Turn(status=500), Turn(status=502), Turn(status=503, headers=asked), Turn(status=504)]
    get(KNOWN, here, server, retries=5, pause=1.0)
    assert [pause for pause in pauses if pause >= 1] == [1, 2, 7, 8]


def test_attempts_that_bring_much_do_not_use_up_the_retries(
    here: Store, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "PROGRESS", 200_000)
    server.turns["/known.bin"] = [Turn(drop=250_000) for _ in range(10)]
    get(KNOWN, here, server, retries=1)
    assert server.sent("/known.bin") == len(CONTENT)


def test_a_server_that_keeps_silent_is_left(here: Store, server: Server) -> None:
    server.turns["/known.bin"] = [Turn(stall=100_000)]
    started = time.monotonic()
    get(KNOWN, here, server, timeout=0.3)
    assert time.monotonic() - started < 15
    assert server.asked[1].range == "bytes=100000-"


def test_nobody_there(here: Store) -> None:
    with pytest.raises(WeightsError, match="2 times.*HTTPS_PROXY"):
        fetch(KNOWN, here, settings("http://127.0.0.1:9", retries=1))
    assert visible(here) == set()


# Servers that have another file, or none


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_no_such_file_is_not_tried_again(status: int, here: Store, server: Server) -> None:
    server.turns["/known.bin"] = [Turn(status=status)]
    with pytest.raises(WeightsError, match=f"answered {status} .*--mirror URL.*--from DIR"):
        get(KNOWN, here, server)
    assert len(server.asked) == 1 and visible(here) == set()


@pytest.mark.parametrize("weight", [KNOWN, STARTED], ids=["known", "started"])
def test_wrong_bytes_are_never_placed(weight: Weight, here: Store, server: Server) -> None:
    server.files[f"/{weight.file}"] = OTHER
    with pytest.raises(WrongFileError, match=f"sha256 [0-9a-f]{{64}}.*{SHA256[:8]}") as caught:
        get(weight, here, server)
    assert "not taken" in str(caught.value)
    assert ours(here) == set(), "nothing of it is left, not even as a beginning"
    with pytest.raises(WeightsError, match="Weights missing"):
        here.require(weight.name)


def test_another_length_is_refused_before_it_comes(here: Store, server: Server) -> None:
    server.files["/known.bin"] = CONTENT + b"more"
    with pytest.raises(WeightsError, match="3,000,004 bytes.*3,000,000"):
        get(KNOWN, here, server)
    assert here.standing(KNOWN).partial == 0 and visible(here) == set()


def test_more_than_announced_is_cut_off(here: Store, server: Server) -> None:
    """Announced by Content-Length, the rest is not read; not announced, it ends at the published size."""
    server.turns["/known.bin"] = [Turn(extra=b"x" * 1000, length=len(CONTENT))]
    assert get(KNOWN, here, server).how == FETCHED and here.require("known").read_bytes() == CONTENT
    here.path(KNOWN).unlink()
    server.turns["/known.bin"] = [Turn(extra=b"x" * 50_000_000, announce=False)]
    with pytest.raises(WeightsError, match="3,000,000 bytes"):
        get(KNOWN, here, server)
    assert server.asked[-1].sent < 20_000_000 and here.standing(KNOWN).partial == 0 and visible(here) == {RECORDS}


def test_a_length_that_nobody_states_is_refused(here: Store, server: Server) -> None:
    server.turns["/unknown.bin"] = [Turn(announce=False)]
    with pytest.raises(WeightsError, match="length"):
        get(UNKNOWN, here, server)
    assert visible(here) == set()


def test_an_absurd_length_is_refused(here: Store, server: Server) -> None:
    server.turns["/unknown.bin"] = [Turn(length=10**12)]
    with pytest.raises(WeightsError, match=r"1000\.0 GB.*2\.1 GB"):
        get(UNKNOWN, here, server)


def test_an_encoded_answer_is_refused(here: Store, server: Server) -> None:
    server.turns["/unknown.bin"] = [Turn(headers={"Content-Encoding": "gzip"})]
    with pytest.raises(WeightsError, match="encoded"):
        get(UNKNOWN, here, server)


# Redirects, mirrors, proxies


def test_a_redirect_on_the_same_host_is_followed_and_resumes(here: Store, server: Server) -> None:
    server.files["/there/known.bin"] = CONTENT
    moved = Turn(status=302, headers={"Location": "/there/known.bin"})
    server.turns = {"/known.bin": [moved, moved], "/there/known.bin": [Turn(drop=1_000_000)]}
    get(KNOWN, here, server)
    assert server.sent("/there/known.bin") == len(CONTENT) and server.asked[-1].range == "bytes=1000000-"


@pytest.mark.parametrize(
    "target", ["http://localhost:{port}/known.bin", "ftp://127.0.0.1/known.bin", "file:///etc/passwd"]
)
def test_a_redirect_to_another_host_must_be_https(target: str, here: Store, server: Server) -> None:
    target = target.format(port=server.url.rpartition(":")[2])
    server.turns["/known.bin"] = [Turn(status=301, headers={"Location": target})]
    with pytest.raises(WeightsError, match="redirects to .*https"):
        get(KNOWN, here, server)
    assert len(server.asked) == 1 and visible(here) == set()


@pytest.mark.parametrize(
    ("url", "target", "good"),
    [
        ("https://a/x", "https://b/x", True),
        ("http://a/x", "https://b/x", True),
        ("http://a/x", "http://a/y", True),
        ("http://a/x", "http://a:81/y", False),
        ("https://a/x", "http://a/x", False),
        ("https://a/x", "http://b/x", False),
        ("https://a/x", "file:///x", False),
    ],
)
def test_which_redirects_are_safe(url: str, target: str, good: bool) -> None:
    if good:
        check_redirect(url, target)
    else:
        with pytest.raises(WeightsError, match="expected https"):
            check_redirect(url, target)


def test_redirects_in_a_circle_end(here: Store, server: Server) -> None:
    server.turns["/known.bin"] = [Turn(status=302, headers={"Location": "/known.bin"}) for _ in range(50)]
    with pytest.raises(WeightsError, match="10 redirects"):
        get(KNOWN, here, server)
    assert len(server.asked) == 11


def test_a_mirror_has_the_files_under_their_names() -> None:
    assert address(KNOWN) == KNOWN.url
    assert address(KNOWN, "https://mirror.example/a/") == "https://mirror.example/a/known.bin"
    for mirror in ("mirror.example", "file:///tmp", "https://m.example/?a=b", "https://"):
        with pytest.raises(ConfigError, match="--mirror"):
            address(KNOWN, mirror)


def test_proxies_of_the_environment_are_used(here: Store, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    fetch(KNOWN, here, settings("http://mirror.invalid"))
    assert [asked.path for asked in server.asked] == ["http://mirror.invalid/known.bin"]
    monkeypatch.setenv("no_proxy", "mirror.invalid")
    with pytest.raises(WeightsError, match="1 times"):
        fetch(UNKNOWN, here, settings("http://mirror.invalid", retries=0))


def test_the_proxy_of_the_settings_is_used(here: Store, server: Server) -> None:
    fetch(KNOWN, here, replace(settings("http://mirror.invalid"), proxy=server.url))
    assert [asked.path for asked in server.asked] == ["http://mirror.invalid/known.bin"]


def test_plain_http_without_a_known_hash_is_warned_of(
    here: Store, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        get(KNOWN, here, server)
        assert "not https" not in caplog.text
        get(UNKNOWN, here, server)
    assert "not https" in caplog.text
