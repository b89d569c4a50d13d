"""Properties of our processes: threads, user name, open files, and delayed signals while workers start."""

from __future__ import annotations

import getpass
import os
import resource
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker


def use_threads(threads: int) -> None:
    """Set the number of threads of torch, OpenMP and MKL in this process, before or after torch is loaded."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


def name_user() -> None:
    """Set a user name for this process and its children if the uid has none, as in many containers.

    torchvision's import needs a user name (`getpass.getuser`) for a cache of torch's compiler.
    """
    try:
        getpass.getuser()
    except (KeyError, OSError):  # KeyError before Python 3.13
        os.environ["USER"] = f"uid{os.getuid()}"


def most_open_files() -> int:
    """The limit on open files for this process, and for each of its children."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if most == resource.RLIM_INFINITY else most


@contextmanager
def signals_later() -> Iterator[None]:
    """Delay Ctrl-C and SIGTERM until the block, of a few seconds, is done; then handle them as usual.

    Processes and threads started in the block never receive Ctrl-C: this process stops them. Outside of the main
    thread, which alone receives signals, nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    # multiprocessing's resource tracker unblocks Ctrl-C in the thread that starts it, so it is started first.
    resource_tracker.ensure_running()
    handlers = {
        number: signal.signal(number, lambda number, frame: caught.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # processes and threads inherit this
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)  # pending signals are caught here
        for number, handler in handlers.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if caught:
            signal.raise_signal(caught[0])
