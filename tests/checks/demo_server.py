"""The demo's server in a thread of the test, on a free port."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pipeline.showing.demo.editing import Editing
from pipeline.showing.demo.server import serve


@contextmanager
def serving(editing: Editing) -> Iterator[str]:
    """The address of the page while the server runs."""
    loop, addresses, ready = asyncio.new_event_loop(), list[str](), threading.Event()

    def tell(address: str) -> None:
        addresses.append(address)
        ready.set()

    task = loop.create_task(serve(editing, 0, tell))

    def run() -> None:
        asyncio.set_event_loop(loop)
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(task)
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(20)
    try:
        yield addresses[0]
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join(20)
        assert not thread.is_alive()
