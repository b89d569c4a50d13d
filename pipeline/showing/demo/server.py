"""The demo's server, on loopback alone.

Tornado, because it is installed already, by Dask and Luigi: it adds no byte. Any program of this machine can talk to a
port of loopback, and so can a page of another site that the user has open. So a request must name loopback as its host
(a site whose name is rebound to 127.0.0.1 does not), an edit must come from a page of this server, and no other site
may embed an answer.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, HTTPError, RequestHandler

from pipeline.errors import ConfigError, LatentbenchError
from pipeline.showing.demo.editing import Editing, EditOrder
from pipeline.showing.demo.latest_first import LatestFirst

log = logging.getLogger("latentbench")

HERE = Path(__file__).resolve().parent
LOOPBACK = "127.0.0.1"
HOSTS = (LOOPBACK, "localhost")
FILES = {"": "text/html", "demo.css": "text/css", "demo.js": "text/javascript"}  # of this folder; "" is page.html
LARGEST_BODY = 64 * 1024  # bytes
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class LoopbackHandler(RequestHandler):
    """Refuses requests for other hosts, and answers errors in words."""

    def set_default_headers(self) -> None:
        """What a browser may do with any answer."""
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def prepare(self) -> None:
        """Refuse a request that does not name loopback, or comes from the page of another site."""
        host = self.request.host
        if urlsplit(f"//{host}").hostname not in HOSTS:
            raise HTTPError(403, reason="The host is not loopback")
        origin = self.request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != host:
            raise HTTPError(403, reason="The request comes from another site")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """The reason, as JSON."""
        self.finish({"error": self._reason})


class FileHandler(LoopbackHandler):
    """The page, its style and its script."""

    def get(self, name: str) -> None:
        """One of FILES."""
        self.set_header("Content-Type", f"{FILES[name]}; charset=utf-8")
        self.finish((HERE / (name or "page.html")).read_bytes())


class FactsHandler(LoopbackHandler):
    """The run, its methods and ranges."""

    def initialize(self, editing: Editing) -> None:
        """`editing`: the run's methods at work."""
        self.editing = editing

    def get(self) -> None:
        """JSON of `Editing.facts`."""
        self.finish(self.editing.facts)


class EditHandler(LoopbackHandler):
    """Edits, computed in the one thread."""

    def initialize(self, editing: Editing, thread: LatestFirst) -> None:
        """`editing`: the run's methods at work; `thread`: where they work."""
        self.editing, self.thread = editing, thread

    async def post(self) -> None:
        """JSON of `Editing.edit`; 204 without content where a newer request of the same page took this one's place."""
        if self.request.headers.get("Content-Type", "").partition(";")[0] != "application/json":
            raise HTTPError(415, reason="Expected application/json")
        try:
            body = json.loads(self.request.body)
            order = EditOrder.from_json(body)
        except (ValueError, RecursionError, ConfigError) as error:
            self._refuse(400, str(error))
            return
        self.waiting = self.thread.submit(str(body.get("page", "")), lambda: self.editing.edit(order))
        try:
            self.finish(await asyncio.wrap_future(self.waiting))
        except asyncio.CancelledError:
            self.set_status(204)
            self.finish()
        except LatentbenchError as error:
            self._refuse(400, str(error))
        except Exception as error:
            log.exception("The demo could not edit a face")
            self._refuse(500, f"{type(error).__name__}: {error}. The terminal says more.")

    def on_connection_close(self) -> None:
        """Nobody waits for the edit any more."""
        if hasattr(self, "waiting"):
            self.waiting.cancel()

    def _refuse(self, status: int, reason: str) -> None:
        self.set_status(status)
        self.finish({"error": reason})


def application(editing: Editing) -> Application:
    """All that the server answers."""
    thread = LatestFirst()
    names = "|".join(name.replace(".", r"\.") for name in FILES)
    return Application(
        [
            (rf"/({names})", FileHandler),
            (r"/facts", FactsHandler, {"editing": editing}),
            (r"/edit", EditHandler, {"editing": editing, "thread": thread}),
        ],
        default_handler_class=MissingHandler,
        log_function=lambda handler: None,
    )


class MissingHandler(LoopbackHandler):
    """What is not there."""

    def prepare(self) -> None:
        """404, or as every request for another host."""
        super().prepare()
        raise HTTPError(404, reason="There is nothing at this address")


async def serve(editing: Editing, port: int, ready: Callable[[str], None]) -> None:
    """Serve until the task is cancelled. `ready` gets the page's address. Raises ConfigError for a port in use.

    port: 0 for any that is free.
    """
    try:
        sockets = bind_sockets(port, LOOPBACK)
    except OSError as error:
        raise ConfigError(f"--port {port}: {error.strerror}. Name another port, or 0 for any that is free.") from error
    server = HTTPServer(application(editing), max_body_size=LARGEST_BODY)
    server.add_sockets(sockets)
    ready(f"http://{LOOPBACK}:{sockets[0].getsockname()[1]}/")
    try:
        await asyncio.Event().wait()
    finally:
        server.stop()
        await server.close_all_connections()
