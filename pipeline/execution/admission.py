"""What a worker of an existing cluster must have as the run has it: code, packages and weights.

Before it gets work, each worker is asked; a worker that joins later is asked before its first shard. Otherwise numbers
of other code or other networks would be published under the fingerprint of this run.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import ClusterError
from pipeline.execution.origin import sees
from pipeline.storage.provenance import code_commit, code_digest, package_versions

if TYPE_CHECKING:
    from distributed import Client

# Names in the exceptions of a worker that cannot load our code; Dask can wrap one exception in another.
UNLOADABLE = ("ModuleNotFoundError", "ImportError", "AttributeError")
SCHEDULING = ("dask", "distributed", "luigi")  # packages that change no number


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


@dataclass(frozen=True)
class Demand:
    """What the workers must have as the process has that runs the chain: code, and versions by package."""

    code: Code
    packages: tuple[tuple[str, str], ...]

    @classmethod
    def own(cls) -> Demand:
        """The code and the packages of this process."""
        return cls(own_code(), tuple(comparable(package_versions()).items()))


def comparable(versions: Mapping[str, str]) -> dict[str, str]:
    """The versions that can change a number: of Python 3.11, of torch 2.11.0, whatever device it was built for."""
    chosen = {name: version.partition("+")[0] for name, version in versions.items() if name not in SCHEDULING}
    return chosen | {"python": ".".join(versions["python"].split(".")[:2])}


def unlike(demand: Demand) -> str:
    """How this process differs from what is demanded, as text; empty if it does not. Runs on the worker."""
    if own_code().digest != demand.code.digest:
        return (
            f"it has other code ({own_code()}) than this run ({demand.code}). Install the same code on both and "
            "restart the worker."
        )
    asked, present = dict(demand.packages), comparable(package_versions())
    names = sorted(name for name in asked.keys() | present.keys() if asked.get(name) != present.get(name))
    if not names:
        return ""
    shown = ", ".join(f"{name} {present.get(name, 'missing')} (this run: {asked.get(name, 'none')})" for name in names)
    return f"it has other packages than this run: {shown}. Install the same versions on both and restart the worker."


@dataclass(frozen=True)
class WorkerAnswer:
    """What a worker says: its host, what hinders it (empty if nothing does), and whether it sees the outputs folder."""

    host: str
    fault: str
    sees: bool


def check_workers(
    client: Client, addresses: list[str], probe: Path | None = None, lacking: Callable[[], str] | None = None
) -> list[str]:
    """Raise ClusterError, with the workers' addresses, unless all have our code and packages.

    `lacking()` says on the worker what else it lacks for the work, such as weights. Returns the addresses of the
    workers that do not see `probe`, a file in the outputs folder.
    """
    try:
        answers = client.run(answer, Demand.own(), probe, lacking, workers=addresses, on_error="return")
    except OSError as error:
        raise connection_lost() from error
    faults = [f"{address}: {fault}" for address, found in answers.items() if (fault := _fault(found))]
    if faults:
        raise ClusterError(
            f"{len(faults)} of {len(answers)} Dask workers cannot do this work, so nothing was computed. "
            + " ".join(faults)
        )
    return [address for address, found in answers.items() if not found.sees]


def connection_lost() -> ClusterError:
    """The error of a scheduler that is gone."""
    return ClusterError(
        "The connection to the Dask scheduler was lost. Finished shards are kept; run again when it is back."
    )


def answer(demand: Demand, probe: Path | None = None, lacking: Callable[[], str] | None = None) -> WorkerAnswer:
    """This worker's answer; Dask calls it there."""
    fault = unfit(demand, lacking)
    return WorkerAnswer(socket.gethostname(), fault, probe is None or fault != "" or sees(probe))


def unfit(demand: Demand, lacking: Callable[[], str] | None = None) -> str:
    """What this process lacks for the work, as text; empty if nothing."""
    return unlike(demand) or (lacking() if lacking is not None else "")


def _fault(found: Any) -> str:
    """What hinders a worker, from its answer or its exception; empty if nothing does."""
    if isinstance(found, WorkerAnswer):
        return f"on {found.host} {found.fault}" if found.fault else ""
    if any(kind in repr(found) for kind in UNLOADABLE):
        return (
            f"it cannot load our code ({found!r}). Install this version of Latentbench on the worker's machine and "
            "restart the worker."
        )
    return f"it does not answer ({type(found).__name__}: {found})."
