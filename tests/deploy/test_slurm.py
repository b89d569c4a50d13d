"""The job that the Slurm script submits."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy" / "slurm" / "nightly.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("slurm_nightly", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_job_is_one_worker_with_one_gpu_and_tls(script: ModuleType, tmp_path: Path) -> None:
    arguments = ["--partition", "gpu", "--gpus", "2", "--hours", "9", "--directive", "constraint=a100"]
    options = script.parsed([*arguments, "--scratch", str(tmp_path), "--", "--profile", "full"])
    assert options.rest == ["--profile", "full"]
    security = script.credentials(tmp_path)
    assert (tmp_path / "key.pem").stat().st_mode & 0o077 == 0
    with script.cluster(options, security) as workers:
        job = workers.job_script()
    for line in ("#SBATCH -p gpu", "#SBATCH -t 09:00:00", "#SBATCH --gres=gpu:1", "#SBATCH --constraint=a100"):
        assert line in job.splitlines()
    assert "--nthreads 1" in job and "--resources GPU=1" in job and "dask_worker tls://" in job
    assert f"--tls-key {tmp_path}/key.pem" in job
