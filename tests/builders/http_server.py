"""A real HTTP server on the loopback that misbehaves as it is told, and remembers what it was asked."""

from __future__ import annotations

import hashlib
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

STEP = 2**14  # bytes sent at once


@dataclass(frozen=True)
class Turn:
    """How one request is answered; the plain Turn() is a good server."""

    status: int = 0  # answered with no file, such as 404
    headers: dict[str, str] = field(default_factory=dict)
    drop: int = -1  # bytes of the body after which the connection is cut
    stall: int = -1  # bytes of the body after which nothing comes any more
    pause: float = 0.0  # seconds between two steps
    announce: bool = True  # Content-Length
    length: int = -1  # what is announced in place of the truth
    extra: bytes = b""  # bytes sent after the file
    ranges: bool = True  # whether Range is understood
    wrong_range: bool = False  # answers another range than the one that was asked for
    mark: str = "etag"  # etag, weak, modified or none
    content: bytes | None = None  # in place of the file


@dataclass
class Asked:
    """One request: what was asked for, and how much of a body was sent."""

    path: str
    range: str = ""
    if_range: str = ""
    sent: int = 0
    status: int = 0


class Server:
    """`files` by path ("/name"); `turns` by path are used up one by one, after which the server is good."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.turns: dict[str, list[Turn]] = {}
        self.asked: list[Asked] = []
        self.url = ""
        self.closing = threading.Event()

    def sent(self, path: str) -> int:
        """Bytes of bodies that were sent for a path."""
        return sum(asked.sent for asked in self.asked if asked.path == path)


def etag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:16]}"'


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: object) -> None:
            pass

        def do_GET(self) -> None:  # noqa: N802
            path = urlsplit(self.path).path  # as a proxy, we are asked for whole URLs
            turns = server.turns.get(path, [])
            turn = turns.pop(0) if turns else Turn()
            asked = Asked(self.path if "://" in self.path else path)
            asked.range, asked.if_range = self.headers.get("Range", ""), self.headers.get("If-Range", "")
            server.asked.append(asked)
            content = turn.content if turn.content is not None else server.files.get(path)
            asked.status = turn.status or (404 if content is None else 200)
            if asked.status != 200 or content is None:
                self.answer(asked.status, turn.headers | {"Content-Length": "0"})
                return
            modified = formatdate(1_500_000_000 + len(content), usegmt=True)
            marks = {"etag": {"ETag": etag(content)}, "weak": {"ETag": f"W/{etag(content)}"}, "none": {}}
            headers = (marks | {"modified": {"Last-Modified": modified}})[turn.mark] | turn.headers
            first = 0
            found = re.fullmatch(r"bytes=(\d+)-", asked.range)
            if turn.ranges and found and asked.if_range in ("", etag(content), modified):
                first, asked.status = int(found[1]), 206
                if first >= len(content):
                    asked.status = 416
                    self.answer(416, {"Content-Range": f"bytes */{len(content)}", "Content-Length": "0"})
                    return
                first -= turn.wrong_range
                headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
            body = content[first:] + turn.extra
            if turn.announce:
                headers["Content-Length"] = str(len(body) if turn.length < 0 else turn.length)
            else:
                headers["Connection"] = "close"
            self.answer(asked.status, headers)
            self.send(body, turn, asked)

        def answer(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def send(self, body: bytes, turn: Turn, asked: Asked) -> None:
            stop = next((count for count in (turn.drop, turn.stall) if count >= 0), len(body))
            with suppress(OSError):
                while asked.sent < stop:
                    part = body[asked.sent : min(stop, asked.sent + STEP)]
                    self.wfile.write(part)
                    asked.sent += len(part)
                    time.sleep(turn.pause)
                if turn.stall >= 0:
                    server.closing.wait(20)
                if stop < len(body) or not turn.announce or turn.length >= 0:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)

    return Handler


@contextmanager
def serving() -> Iterator[Server]:
    """A server that runs while the block does."""
    server = Server()
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(server))
    http.daemon_threads = True
    server.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        http.shutdown()
        http.server_close()
        thread.join()
