"""What our processes need: threads, a user's name, open files; and a start that no signal cuts."""

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
    """Let torch, OpenMP and MKL of this process use so many threads, whether torch is loaded yet or not."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


def name_user() -> None:
    """Give this process, and those that it starts, a user's name where its uid has none, as in many containers.

    torchvision's import asks for one (`getpass.getuser`), to name a cache of torch's compiler.
    """
    try:
        getpass.getuser()
    except (KeyError, OSError):  # KeyError before Python 3.13
        os.environ["USER"] = f"uid{os.getuid()}"


def most_open_files() -> int:
    """Files that this process, and each that it starts, may have open at once."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if most == resource.RLIM_INFINITY else most


@contextmanager
def signals_later() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM wait until the block is done, which takes seconds, and then do what they do.

    Processes and threads that are started in the block never see Ctrl-C: it is for this process, which stops them.
    In another thread than the main one, which gets no signals, nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    # multiprocessing's own helper, which lets Ctrl-C through again in the thread that starts it: so before the block.
    resource_tracker.ensure_running()
    handlers = {
        number: signal.signal(number, lambda number, frame: caught.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # which processes and threads inherit
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)  # what waited is caught here
        for number, handler in handlers.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if caught:
            signal.raise_signal(caught[0])
