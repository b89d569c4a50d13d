"""Messages, sent to a real server on the loopback: when, how often, and what happens when nobody takes them."""

from __future__ import annotations

import json
import threading
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from pipeline.nights import notices
from pipeline.nights.notices import Notice, inform
from pipeline.settings.nights import ALWAYS, NEVER, Watch

NOTICE = Notice("synthface-smoke", "2026-11-28: 2 regressions", "l2l became worse.", True, {"night": "2026-11-28"})
HOUR = 3600.0


@contextmanager
def webhook(*statuses: int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that answers with these statuses, then with 200: its address, and what it was sent."""
    taken: list[dict[str, Any]] = []
    left = list(statuses)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # noqa: N802
            taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            status = left.pop(0) if left else 200
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/hook", taken
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "PAUSE", 0.0)


def test_a_webhook_gets_text_and_facts(tmp_path: Path) -> None:
    with webhook() as (address, taken):
        assert inform(tmp_path, Watch(webhook=address), NOTICE)
    assert taken == [{"text": "2026-11-28: 2 regressions\n\nl2l became worse.", "night": "2026-11-28"}]


@pytest.mark.parametrize(("asked", "expected"), [(NEVER, 0), ("findings", 1), (ALWAYS, 2)])
def test_what_is_sent_is_what_was_asked_for(tmp_path: Path, asked: str, expected: int) -> None:
    with webhook() as (address, taken):
        watch = Watch(webhook=address, inform=asked, pause_hours=0)
        for notice in (NOTICE, replace(NOTICE, alarming=False)):
            inform(tmp_path, watch, notice)
    assert len(taken) == expected


def test_messages_are_throttled_and_what_was_held_back_is_told(tmp_path: Path) -> None:
    clock = [1e9]
    with webhook() as (address, taken):
        watch = Watch(webhook=address, pause_hours=6)

        def told(subject: str, about: str = "synthface-smoke") -> bool:
            return inform(tmp_path, watch, replace(NOTICE, subject=subject, about=about), now=lambda: clock[0])

        assert told("first")
        clock[0] += HOUR
        assert not told("second") and not told("third")
        assert told("of another series", about="ffhq-full")
        clock[0] += 6 * HOUR
        assert told("fourth")
        clock[0] += 7 * HOUR
        assert told("fifth")
    texts = [message["text"] for message in taken]
    assert len(texts) == 4 and "- second\n- third\n" in texts[2] and "Held back" not in texts[3]


def test_a_clock_that_went_back_holds_no_message_up(tmp_path: Path) -> None:
    with webhook() as (address, taken):
        for moment in (1e9, 1e9 - 100 * HOUR):
            assert inform(tmp_path, Watch(webhook=address), NOTICE, now=lambda moment=moment: moment)  # type: ignore[misc]
    assert len(taken) == 2


@pytest.mark.parametrize(
    ("statuses", "asked", "taken"),
    [((500, 503), 3, True), ((500,) * 9, 3, False), ((404,), 1, False), ((302,), 1, False)],
)
def test_a_webhook_that_fails_is_tried_again(
    tmp_path: Path, statuses: tuple[int, ...], asked: int, taken: bool
) -> None:
    with webhook(*statuses) as (address, messages):
        assert inform(tmp_path, Watch(webhook=address), NOTICE) is taken
    assert len(messages) == asked


def test_what_could_not_be_delivered_is_told_next_time(tmp_path: Path) -> None:
    assert not inform(tmp_path, Watch(webhook="http://127.0.0.1:9/nobody"), NOTICE)
    with webhook() as (address, taken):
        assert inform(tmp_path, Watch(webhook=address), replace(NOTICE, subject="next"))
    assert "- 2026-11-28: 2 regressions" in taken[0]["text"]


def test_a_damaged_memory_of_messages_loses_none(tmp_path: Path) -> None:
    (tmp_path / "nightly").mkdir()
    (tmp_path / "nightly" / notices.SENT).write_text('{"synthface-smoke": 3}')
    with webhook() as (address, taken):
        assert inform(tmp_path, Watch(webhook=address), NOTICE)
    assert len(taken) == 1


def test_mail_counts_as_a_message(tmp_path: Path) -> None:
    mails: list[tuple[str, str]] = []

    def mail(subject: str, text: str) -> bool:
        mails.append((subject, text))
        return True

    for _ in range(2):
        inform(tmp_path, Watch(), NOTICE, mail=mail)
    assert mails == [("2026-11-28: 2 regressions", "l2l became worse.")]


def test_a_name_from_outside_adds_no_header_and_calls_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    mails: list[str] = []
    bodies: list[dict[str, Any]] = []

    def refuse(request: Any, timeout: float) -> None:
        bodies.append(json.loads(request.data))
        raise urllib.error.URLError("refused")

    monkeypatch.setattr(notices, "PAUSE", 0.0)
    monkeypatch.setattr(notices._OPENER, "open", refuse)
    hostile = notices.Notice("a", "x\r\nBcc: me@example.org", "<!channel> & all", True, {})
    watch = Watch(webhook="https://chat.example/hooks/secret-token")
    with caplog.at_level("WARNING", "latentbench"):
        assert notices.inform(tmp_path, watch, hostile, lambda subject, text: not mails.append(subject))
    assert mails == ["x Bcc: me@example.org"]
    assert bodies and all(body["text"].endswith("&lt;!channel> &amp; all") for body in bodies)
    assert caplog.records and "secret-token" not in caplog.text
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files and not any("secret-token" in path.read_text() for path in files)
