"""The command that checks what only a GPU can show: its table, its budgets, and its parts on a CPU."""

from __future__ import annotations

import dataclasses
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import gpu, gpu_checks
from benchmarks.gpu import CHECKS, FAILED, LEFT_OUT, PASSED, Check, Row
from benchmarks.gpu_checks import CheckError, Sizes
from pipeline.domains import base, microbatches
from pipeline.methods.interface import FitData
from stylegan.generator import Generator
from tests.worlds import px16

ONE = Check("one", "what it shows", 1)


def child(code: str, budget: float = 30.0) -> Row:
    return gpu.in_time(ONE, [sys.executable, "-c", code], budget)


def test_every_check_has_a_function_and_all_together_take_8_minutes_at_most() -> None:
    assert [check.name for check in CHECKS] == list(gpu_checks.RUN)
    assert sum(check.seconds for check in CHECKS) <= gpu.MOST_SECONDS


def test_figures_are_read_from_the_marked_line() -> None:
    row = child("print('a warning'); print('found: [\"images 1e-06\", \"3 images/s\"]'); print('bye')")
    assert (row.result, row.found) == (PASSED, "images 1e-06; 3 images/s")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import sys; print('found: [\"fine\"]'); sys.exit('differs by 1')", "exit status 1: differs by 1"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "exit status -11"),
        ("pass", "exit status 0: nothing was printed"),
    ],
)
def test_a_check_that_fails_crashes_or_says_nothing_is_a_failed_row(code: str, words: str) -> None:
    row = child(code)
    assert row.result == FAILED
    assert words in row.found


def test_after_its_budget_a_check_is_ended_with_the_processes_it_started() -> None:
    """A process that it left would keep the pipe open, and we would wait for its minute."""
    asleep = "import time; time.sleep(60)"
    code = f"import subprocess, sys; print('on my way', flush=True); subprocess.run([sys.executable, '-c', {asleep!r}])"
    started = time.monotonic()
    row = child(code, budget=0.8)
    assert row.result == FAILED
    assert "not done after" in row.found and "on my way" in row.found
    assert time.monotonic() - started < 20


def test_a_failure_does_not_stop_the_others_and_is_the_exit_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run_check(check: Check, device: str) -> Row:
        result = FAILED if check.name == "half" else PASSED
        return Row(check, result, f"on {device} | ok", 2.0)

    monkeypatch.setattr(gpu, "run_check", run_check)
    assert gpu.main(["--device", "cpu"]) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert lines[0] == "| check | result | found | seconds |"
    assert [line.split(" | ")[1] for line in lines[2:]] == [PASSED, FAILED] + [PASSED] * (len(CHECKS) - 2)
    assert all("on cpu \\| ok" in line for line in lines[2:])
    assert gpu.main(["--device", "cpu", "--only", "memory"]) == 0


def test_nvidias_code_is_left_out_where_no_checkout_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(gpu.REFERENCE_VARIABLE, raising=False)
    (check,) = (check for check in CHECKS if check.name == "nvidia")
    row = gpu.run_check(check, "cuda")
    assert row.result == LEFT_OUT
    assert gpu.REFERENCE_VARIABLE in row.found


def test_the_table_names_card_driver_and_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA H100 80GB HBM3, 81559 MiB, 570.86'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    heading = gpu.heading("cuda")
    assert "NVIDIA H100 80GB HBM3, 81559 MiB, driver 570.86" in heading
    assert f"torch {torch.__version__.partition('+')[0]}" in heading
    program.write_text("#!/bin/sh\necho 'no devices were found'; exit 6\n")
    assert "no devices were found" in gpu.heading("cuda")


def test_errors_are_of_the_largest_value_and_held_to_a_limit() -> None:
    expected = torch.tensor([1.0, -4.0])
    assert gpu_checks.error_of(torch.tensor([1.0, -3.0]), expected) == pytest.approx(0.25)
    assert gpu_checks.held("images", 0.25, 0.3) == "images 2.5e-01"
    with pytest.raises(CheckError):
        gpu_checks.held("images", 0.25, 0.2)
    with pytest.raises(CheckError):
        gpu_checks.error_of(torch.tensor([1.0, torch.nan]), expected)


def small_generator(sizes: Sizes, resolution: int) -> Generator:
    return (
        Generator(resolution=resolution, channel_base=64, channel_max=8, mapping_layers=1).eval().requires_grad_(False)
    )


def test_micro_batches_are_halved_and_a_device_that_fits_them_all_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_checks, "random_generator", small_generator)
    monkeypatch.setattr(microbatches, "_sizes", {})
    assert gpu_checks.memory(Sizes("cpu", halved=8))[0] == "micro-batches of 64 to 32 to 16 to 8 images"
    monkeypatch.setattr(microbatches, "_sizes", {(8, "cpu"): 4})
    with pytest.raises(CheckError):
        gpu_checks.memory(Sizes("cpu", halved=8))


@dataclasses.dataclass
class Counted:
    """A method whose training reports some of its steps."""

    done: tuple[int, ...]
    name: str = "counted"
    steps: int = 6

    def fit(self, data: FitData) -> None:
        for step in self.done:
            time.sleep(0.01)
            data.progress(step, self.steps, "loss 1")


def test_steps_per_second_are_of_a_whole_training() -> None:
    empty: Any = None
    data = FitData(torch.zeros(1, 512), torch.zeros(1, 35), empty, empty, empty, 0, torch.device("cpu"))
    found = gpu_checks.steps_of(Counted((1, 3, 6)), data, lambda method, own: method.fit(own))
    assert found.startswith("counted ") and 20 < float(found.split()[1]) < 5 / 0.02
    with pytest.raises(CheckError):
        gpu_checks.steps_of(Counted((1, 3)), data, lambda method, own: method.fit(own))


def test_full_precision_knows_no_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(base.MODULES, "px16-tf32", px16.__name__)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    base.load("px16-tf32", "cpu")
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
