"""An existing Dask cluster: its address, the way to it, and whether its workers can do our work.

A worker computes what its own code says, whatever ours says: so each one tells the digest of its code before it gets
work, and whether it sees the outputs folder.
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
ANSWER_SECONDS = 10.0  # for what listens to answer as a scheduler does
# How a worker's answer names what it could not load; Dask may put one exception into another.
UNLOADABLE = ("ModuleNotFoundError", "ImportError", "AttributeError")
SIGHT_SECONDS = 2.0  # a network disk may show a new file so late


@dataclass(frozen=True)
class Code:
    """Which code a process runs: `provenance.code_digest` and the commit that it was taken from."""

    digest: str
    commit: str

    def __str__(self) -> str:
        return f"{self.digest[:12]}, commit {self.commit[:12]}" + ("+changes" if "+" in self.commit else "")


def own_code() -> Code:
    """This process's code."""
    return Code(code_digest(), code_commit())


def join(machine: Machine, outputs: Path) -> Client:
    """A client of the cluster at machine.scheduler, every worker of which can do our work.

    Raises ClusterError if nobody answers there, if no worker is there (with the resource that the work needs), or if a
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
    """Disconnect, whatever state the connection is in."""
    try:
        client.close(timeout=5)
    except Exception as error:
        log.debug("While leaving %s: %s", client, error)


def find_workers(client: Client, device: str) -> list[str]:
    """Addresses of the workers that can take our tasks; waits for the resource that a GPU task asks for.

    A task that asks for a resource nobody has would wait for ever. Raises ClusterError.
    """
    if not device.startswith("cuda"):
        return list(client.nthreads())
    deadline = time.monotonic() + JOIN_SECONDS
    while True:
        infos = client.scheduler_info()["workers"]  # now and then empty by chance
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
    """Raise ClusterError, naming the workers, unless each has our very code and sees the outputs folder."""
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
    """What a worker has: its code, and whether it sees a file. Runs on the worker."""
    deadline = time.monotonic() + SIGHT_SECONDS
    while not Path(path).exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    return {"code": own_code(), "host": socket.gethostname(), "sees": Path(path).exists()}


def other_code(worker: Code, run: Code) -> str:
    """How a worker's code differs from the run's, in words; empty if it is the same."""
    if worker.digest == run.digest:
        return ""
    return f"it has other code ({worker}) than this run ({run}). Install the same on both and start the worker again."


def _fault(answer: Any, outputs: Path) -> str:
    """What keeps a worker from our work, by its answer to `look` or by what it raised; empty for nothing."""
    if isinstance(answer, BaseException) and any(kind in repr(answer) for kind in UNLOADABLE):
        return (
            f"it cannot load our code ({answer!r}). Install this version of Latentbench where "
            "the worker runs and start the worker again."
        )
    if isinstance(answer, BaseException):
        return f"it does not answer ({type(answer).__name__}: {answer})."
    other = other_code(answer["code"], own_code())
    if other:
        return other
    if not answer["sees"]:
        return (
            f"on {answer['host']} it does not see {outputs}. Do all workers see the same `outputs` folder, under the "
            "same path?"
        )
    return ""


def _connect(address: str) -> Client:
    """A client that is connected within ANSWER_SECONDS.

    In a thread of its own, which is left alone where it hangs: Dask waits without end for what listens and says
    nothing, and a client that is cut off in the middle of its making takes minutes to go.
    """
    from distributed import Client
    from distributed.comm.addressing import get_address_host
    from distributed.security import Security

    try:
        get_address_host(address)
    except ValueError as error:
        raise _nobody(address, f"Dask does not speak that here ({error})") from error
    if address.startswith(("tls://", "wss://")) and Security().get_connection_args("client").get("ssl_context") is None:
        raise _nobody(address, "no key of TLS is set in DASK_DISTRIBUTED__COMM__TLS__... (docs/scale.md, Workers)")

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
        raise _nobody(address, f"what listens there says nothing for {1.5 * ANSWER_SECONDS:.0f} s") from None
    except BaseException:
        given_up.set()
        raise
    if isinstance(answer, Exception):
        raise _nobody(address, f"what listens there does not answer as a Dask scheduler does ({answer})") from answer
    return answer


def _nobody(address: str, reason: str) -> ClusterError:
    return ClusterError(
        f"[machine] scheduler: expected the address of a Dask scheduler with workers, such as tcp://host:8786, found "
        f"{address!r}: {reason}."
    )


def reach(address: str) -> None:
    """Raise ClusterError if nobody listens there. Waits no longer than REACH_SECONDS, and stops at Ctrl-C."""
    place = scheduler_place(address)
    if place is None:  # in this very process
        return
    deadline = time.monotonic() + REACH_SECONDS
    while True:
        try:
            socket.create_connection(place, timeout=REACH_SECONDS).close()
            return
        except socket.gaierror as error:
            raise _nobody(address, f"no such host ({error.strerror})") from error
        except OSError as error:
            if time.monotonic() > deadline:
                raise _nobody(address, f"nobody listens there ({error.strerror or error})") from error
        time.sleep(0.2)
