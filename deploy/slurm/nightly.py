"""A night on GPUs that Slurm grants: starts a Dask cluster of one worker per GPU, runs `latentbench nightly` on it.

    pip install 'latentbench[slurm]'
    python deploy/slurm/nightly.py --partition gpu --gpus 4 --memory 32GB --hours 12 -- --profile full
    python deploy/slurm/nightly.py --partition gpu --check          prints the job script, submits nothing

The script runs where `sbatch` does, on a node that the compute nodes reach, as a login node or a small job of its own.
Checkout, virtual environment and outputs lie on a file system that all of them see under the same path. Scheduler and
workers talk by TLS, with a key that lies in `--scratch`, readable by you alone, and is removed at the end. What stands
after `--` goes to `latentbench nightly`; its exit code is the script's.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dask_jobqueue import SLURMCluster
    from distributed.security import Security

FIRST_WORKER = 3600  # seconds that the first worker may wait in Slurm's queue


def credentials(folder: Path) -> Security:
    """A key and a certificate for this night, as files that workers on other machines can read. Needs `openssl`."""
    from distributed.security import Security

    key, certificate = str(folder / "key.pem"), str(folder / "cert.pem")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "7", "-subj", "/CN=latentbench"]
    subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    (folder / "key.pem").chmod(0o600)
    pairs = {
        f"tls_{role}_{part}": path
        for role in ("client", "scheduler", "worker")
        for part, path in (("key", key), ("cert", certificate))
    }
    return Security(tls_ca_file=certificate, require_encryption=True, **pairs)


def cluster(options: argparse.Namespace, security: Security) -> SLURMCluster:
    """The cluster: each job is one worker with one GPU, one thread and `GPU: 1`, as Latentbench asks for it."""
    from dask_jobqueue import SLURMCluster

    hours = f"{options.hours:02d}:00:00"
    directives = ["--gres=gpu:1", *(f"--{name}" for name in options.directive)]
    return SLURMCluster(
        queue=options.partition,
        account=options.account,
        walltime=hours,
        cores=1,
        processes=1,
        memory=options.memory,
        job_cpu=options.cpus,
        job_extra_directives=directives if options.gpus else directives[1:],
        worker_extra_args=["--resources", "GPU=1", "--no-dashboard"],
        job_script_prologue=["export OMP_NUM_THREADS=1"],
        interface=options.interface,
        log_directory=str(Path(options.scratch) / "logs"),
        local_directory="$TMPDIR",
        python=sys.executable,
        protocol="tls",
        security=security,
        scheduler_options={"dashboard": False},
    )


def night(options: argparse.Namespace, workers: SLURMCluster, security: Security) -> int:
    """Run `latentbench nightly` on the workers, and answer its exit code."""
    from distributed import Client

    workers.scale(jobs=options.gpus)
    with Client(workers, security=security) as client:
        client.wait_for_workers(1, timeout=FIRST_WORKER)
    variables = {
        "DASK_DISTRIBUTED__COMM__TLS__CA_FILE": security.tls_ca_file,
        "DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT": security.tls_client_cert,
        "DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY": security.tls_client_key,
    }
    command = [str(Path(sys.executable).parent / "latentbench"), "nightly", "--device", options.device]
    command += ["--scheduler", workers.scheduler_address, *options.rest]
    return subprocess.run(command, env=os.environ | variables, check=False).returncode


def parsed(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options of the command line; `rest` goes to `latentbench nightly`."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--partition", help="of GPU nodes; without it Slurm's default")
    parser.add_argument("--account")
    parser.add_argument("--gpus", type=int, default=1, help="workers, each with one GPU")
    parser.add_argument("--cpus", type=int, default=2, help="processors of a worker")
    parser.add_argument("--memory", default="32GB", help="of a worker")
    parser.add_argument("--hours", type=int, default=12, help="longest time of a job; workers that end are replaced")
    parser.add_argument("--interface", help="network interface that compute nodes reach, such as ib0")
    parser.add_argument("--directive", action="append", default=[], help="of sbatch, such as constraint=a100; repeat")
    parser.add_argument("--device", default="cuda", help="cuda, or cpu for a try")
    parser.add_argument("--scratch", default=str(Path.home()), help="folder that all nodes see, for key and logs")
    parser.add_argument("--check", action="store_true", help="print the job script, submit nothing")
    parser.add_argument("rest", nargs=argparse.REMAINDER, help="-- and options of latentbench nightly")
    options = parser.parse_args(arguments)
    options.rest = options.rest[1:] if options.rest[:1] == ["--"] else options.rest
    return options


def main() -> int:
    """Start the cluster, run the night, end the cluster. Workers that reach their time limit are started again."""
    options = parsed()
    folder = Path(tempfile.mkdtemp(prefix=".latentbench-", dir=options.scratch))
    try:
        security = credentials(folder)
        with cluster(options, security) as workers:
            if options.check:
                print(workers.job_script())
                return 0
            return night(options, workers, security)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
