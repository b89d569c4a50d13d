"""Joining an existing Dask cluster: the connection, and the workers that can take our tasks."""

from __future__ import annotations

import logging
import queue
import socket
import threading
import time
from typing import TYPE_CHECKING

from pipeline.errors import ClusterError
from pipeline.execution.admission import check_workers
from pipeline.settings.machine import Machine, scheduler_place

if TYPE_CHECKING:
    from distributed import Client

log = logging.getLogger("latentbench")

JOIN_SECONDS = 60.0  # to wait for the first worker
RESOURCE_SECONDS = 5.0  # to wait, when there are workers, for one with the resource that the work needs
REACH_SECONDS = 10.0  # to wait for a scheduler that does not listen yet
ANSWER_SECONDS = 10.0  # to wait for a scheduler's answer


def join(machine: Machine) -> Client:
    """Connect to the cluster at machine.scheduler after checking its workers.

    Raises ClusterError if no scheduler answers, if there is no worker (with the resource that the work needs), or if a
    worker has other code or packages than ours.
    """
    reach(machine.scheduler)
    client = _connect(machine.scheduler)
    try:
        client.wait_for_workers(1, timeout=JOIN_SECONDS)
        check_workers(client, list(find_workers(client, machine.device)))
    except BaseException as error:
        leave(client)
        if isinstance(error, OSError):
            raise _nobody(machine.scheduler, f"no worker came within {JOIN_SECONDS:.0f} s") from error
        raise
    return client


def leave(client: Client) -> None:
    """Disconnect; errors are only logged."""
    try:
        client.close(timeout=5)
    except Exception as error:
        log.debug("While leaving %s: %s", client, error)


def find_workers(client: Client, device: str) -> dict[str, int]:
    """Threads by address of the workers that can take our tasks; for a GPU, waits RESOURCE_SECONDS for its resource.

    Without this check, a task with a missing resource would wait for ever. Raises ClusterError.
    """
    deadline = time.monotonic() + RESOURCE_SECONDS
    while True:
        able = able_workers(client, device)
        if able or not device.startswith("cuda"):
            return able
        if time.monotonic() > deadline:
            raise ClusterError(
                f"[machine] device is {device!r}, but none of the {len(client.nthreads())} workers of the Dask cluster "
                'has the resource GPU: start GPU workers with `dask worker --nthreads 1 --resources "GPU=1"`.'
            )
        time.sleep(0.2)


def able_workers(client: Client, device: str) -> dict[str, int]:
    """Threads by address of the connected workers; on a GPU, of those with the resource GPU."""
    if not device.startswith("cuda"):
        return dict(client.nthreads(callback_timeout=ANSWER_SECONDS))
    if client.scheduler is None:
        return {}
    # Asked of the scheduler itself: what `scheduler_info` returns is sometimes a summary without workers.
    infos = client.sync(client.scheduler.identity, n_workers=-1, callback_timeout=ANSWER_SECONDS)["workers"]
    return {at: info["nthreads"] for at, info in infos.items() if info.get("resources", {}).get("GPU", 0) >= 1}


def _connect(address: str) -> Client:
    """A client that has connected within about ANSWER_SECONDS. Raises ClusterError.

    It connects in a separate thread, which is abandoned if it hangs: Dask waits without limit for a server that does
    not answer, and an interrupted client needs minutes to close.
    """
    from distributed import Client
    from distributed.comm.addressing import get_address_host
    from distributed.security import Security

    try:
        get_address_host(address)
    except ValueError as error:
        raise _nobody(address, f"Dask does not support this address here ({error})") from error
    if address.startswith(("tls://", "wss://")) and Security().get_connection_args("client").get("ssl_context") is None:
        raise _nobody(address, "no key of TLS is set in DASK_DISTRIBUTED__COMM__TLS__... (docs/howto/cluster.md)")

    answers: queue.SimpleQueue[Client | Exception] = queue.SimpleQueue()
    given_up = threading.Event()

    def connect() -> None:
        try:
            client = Client(address, timeout=ANSWER_SECONDS, set_as_default=False)
        except Exception as error:
            answers.put(error)
            return
        answers.put(client)
        if given_up.is_set():
            leave(client)

    threading.Thread(target=connect, daemon=True, name="connecting to Dask").start()
    try:
        answer = answers.get(timeout=1.5 * ANSWER_SECONDS)
    except queue.Empty:
        given_up.set()
        raise _nobody(address, f"the server there sends nothing for {1.5 * ANSWER_SECONDS:.0f} s") from None
    except BaseException:
        given_up.set()
        raise
    if isinstance(answer, Exception):
        raise _nobody(address, f"the server there does not answer as a Dask scheduler ({answer})") from answer
    return answer


def _nobody(address: str, reason: str) -> ClusterError:
    return ClusterError(
        f"[machine] scheduler: expected the address of a Dask scheduler with workers, such as tcp://host:8786, found "
        f"{address!r}: {reason}."
    )


def reach(address: str) -> None:
    """Raise ClusterError if nothing listens at the address. Waits at most REACH_SECONDS, and stops at Ctrl-C."""
    endpoint = scheduler_place(address)
    if endpoint is None:  # a scheduler in this process
        return
    deadline = time.monotonic() + REACH_SECONDS
    while True:
        try:
            socket.create_connection(endpoint, timeout=REACH_SECONDS).close()
            return
        except socket.gaierror as error:
            raise _nobody(address, f"no such host ({error.strerror})") from error
        except OSError as error:
            if time.monotonic() > deadline:
                raise _nobody(address, f"nothing listens there ({error.strerror or error})") from error
        time.sleep(0.2)
