"""A real SMTP server on the loopback, which keeps what it is sent."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import Message

ANSWERS = {b"HELO": b"250 here", b"EHLO": b"250 here", b"MAIL": b"250 ok", b"RCPT": b"250 ok", b"RSET": b"250 ok"}


class _Handler(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.wfile.write(b"220 loopback\r\n")
        while line := self.rfile.readline():
            verb = line[:4].upper()
            if verb == b"DATA":
                self.wfile.write(b"354 go on\r\n")
                lines = []
                while (part := self.rfile.readline()) not in (b".\r\n", b""):
                    lines.append(part)
                self.server.taken.append(message_from_bytes(b"".join(lines)))  # type: ignore[attr-defined]
            if verb == b"QUIT":
                return
            self.wfile.write(ANSWERS.get(verb, b"250 ok") + b"\r\n")


@contextmanager
def serving() -> Iterator[tuple[int, list[Message]]]:
    """A server that runs while the block does: its port, and the messages that it took."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Handler) as server:
        server.daemon_threads = True
        server.taken = taken = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server.server_address[1], taken
        server.shutdown()
        thread.join()
