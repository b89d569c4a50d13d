"""Joining an existing Dask cluster: the connection, and checks that its workers can do our work.

A worker runs its installed code, which may differ from ours. Before it gets work, each worker must report the same
digest of its code as ours, and must see the outputs folder.
"""

from __future__ import annotations

import logging
import queue
import socket
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import ClusterError
from pipeline.settings.machine import Machine, scheduler_place
from pipeline.storage.provenance import code_commit, code_digest

if TYPE_CHECKING:
    from distributed import Client

log = logging.getLogger("latentbench")

JOIN_SECONDS = 60.0  # to wait for workers, and for the resource that the work needs
REACH_SECONDS = 10.0  # to wait for a scheduler that does not listen yet
ANSWER_SECONDS = 10.0  # to wait for a scheduler's answer
# Names in the exceptions of a worker that cannot load our code; Dask can wrap one exception in another.
UNLOADABLE = ("ModuleNotFoundError", "ImportError", "AttributeError")
SIGHT_SECONDS = 2.0  # delay after which a network disk shows a new file


@dataclass(frozen=True)
class Code:
    """The code of a process: its digest (`provenance.code_digest`) and its commit."""

    digest: str
    commit: str

    def __str__(self) -> str:
        return f"{self.digest[:12]}, commit {self.commit[:12]}" + ("+changes" if "+" in self.commit else "")


def own_code() -> Code:
    """The code of this process."""
    return Code(code_digest(), code_commit())


def join(machine: Machine, outputs: Path) -> Client:
    """Connect to the cluster at machine.scheduler after checking its workers.

    Raises ClusterError if no scheduler answers, if there is no worker (with the resource that the work needs), or if a
    worker has other code than ours or does not see the outputs folder.
    """
    reach(machine.scheduler)
    client = _connect(machine.scheduler)
    try:
        client.wait_for_workers(1, timeout=JOIN_SECONDS)
        check_workers(client, find_workers(client, machine.device), outputs)
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


def find_workers(client: Client, device: str) -> list[str]:
    """Addresses of the workers that can take our tasks; for a GPU, waits up to JOIN_SECONDS for the resource GPU.

    Without this check, a task with a missing resource would wait for ever. Raises ClusterError.
    """
    if not device.startswith("cuda"):
        return list(client.nthreads())
    deadline = time.monotonic() + JOIN_SECONDS
    while True:
        infos = client.scheduler_info()["workers"]  # sometimes empty although there are workers
        able = [address for address, info in infos.items() if info.get("resources", {}).get("GPU", 0) >= 1]
        if able:
            return able
        if time.monotonic() > deadline:
            raise ClusterError(
                f"[machine] device is {device!r}, but no worker of the Dask cluster has the resource GPU: start GPU "
                'workers with `dask worker --nthreads 1 --resources "GPU=1"`.'
            )
        time.sleep(0.2)


def check_workers(client: Client, addresses: list[str], outputs: Path) -> None:
    """Raise ClusterError, with the workers' addresses, unless all have our code and see the outputs folder."""
    outputs.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=outputs, prefix=".seen-by-workers-") as seen:
        answers = client.run(look, seen.name, workers=addresses, on_error="return")
    faults = [f"{address}: {fault}" for address, answer in answers.items() if (fault := _fault(answer, outputs))]
    if faults:
        raise ClusterError(
            f"{len(faults)} of {len(answers)} Dask workers cannot do this work, so nothing was computed. "
            + " ".join(faults)
        )


def look(path: str) -> dict[str, Any]:
    """The worker's code and host, and whether it sees a file. Runs on the worker."""
    deadline = time.monotonic() + SIGHT_SECONDS
    while not Path(path).exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    return {"code": own_code(), "host": socket.gethostname(), "sees": Path(path).exists()}


def other_code(worker: Code, run: Code) -> str:
    """The difference between a worker's code and the run's, as text; empty if the code is the same."""
    if worker.digest == run.digest:
        return ""
    return f"it has other code ({worker}) than this run ({run}). Install the same code on both and restart the worker."


def _fault(answer: Any, outputs: Path) -> str:
    """The reason why a worker cannot do our work, from its answer to `look` or its exception; empty if it can."""
    if isinstance(answer, BaseException) and any(kind in repr(answer) for kind in UNLOADABLE):
        return (
            f"it cannot load our code ({answer!r}). Install this version of Latentbench on the worker's machine and "
            "restart the worker."
        )
    if isinstance(answer, BaseException):
        return f"it does not answer ({type(answer).__name__}: {answer})."
    other = other_code(answer["code"], own_code())
    if other:
        return other
    if not answer["sees"]:
        return (
            f"on {answer['host']} it does not see {outputs}. All workers need the same `outputs` folder, under the "
            "same path."
        )
    return ""


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
