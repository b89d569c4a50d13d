"""Several GPUs: which of them each worker process sees. Needs none: only environments are looked at."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.domains import base as domains
from pipeline.errors import ConfigError
from pipeline.execution import cluster, gpus
from pipeline.execution import shards as compute
from pipeline.execution.shards import run_shards
from pipeline.methods import registry
from pipeline.settings.settings import Settings, load_settings
from tests.builders.counting_stage import settings
from tests.builders.experiments import machine

ROOT = Path(__file__).parents[3]


@pytest.fixture
def three_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that has three, of which CUDA_VISIBLE_DEVICES says nothing."""
    monkeypatch.setattr(gpus, "device_count", lambda: 3)
    monkeypatch.delenv(gpus.VISIBLE, raising=False)


@pytest.fixture
def cluster_ends() -> Iterator[None]:
    yield
    compute.close()


def load(**overrides: str) -> Settings:
    return load_settings(
        known_methods=registry.names(),
        known_domains=domains.names(),
        path=ROOT / "luigi.cfg",
        overrides={f"machine.{key}": value for key, value in overrides.items()},
    )


@pytest.mark.parametrize(
    ("text", "devices"),
    [
        ("", ()),
        ("1", ("cuda:0",)),
        ("2", ("cuda:0", "cuda:1")),
        ("cuda:2, cuda:0", ("cuda:2", "cuda:0")),
    ],
)
def test_devices_are_a_number_or_names(text: str, devices: tuple[str, ...]) -> None:
    assert load(device="cuda", devices=text).machine.devices == devices


@pytest.mark.parametrize(
    "text", ["0", "-1", "65", "cpu", "cuda", "cuda:a", "cuda:1,cuda:1", "cuda:01", "cuda:0 cuda:1"]
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"\[machine\] devices: expected a number from 1 to 64, or different GPUs"):
        load(device="cuda", devices=text)


@pytest.mark.parametrize(
    "others",
    [{"device": "cpu"}, {"device": "cuda", "executor": "inline"}, {"device": "cuda", "scheduler": "tcp://a:1"}],
)
def test_settings_that_contradict_it_are_refused(others: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="needs device = cuda, executor = dask and no scheduler"):
        load(devices="2", **others)


@pytest.mark.parametrize("name", ["gpu", "tpu", "cuda:-1", "mps", "CPU", "cuda:0,cuda:1"])
def test_a_device_of_another_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"\[machine\] device: expected cpu, cuda, or .*, found '{name}'"):
        load(device=name)


@pytest.mark.parametrize(
    "address",
    ["nonsense", "127.0.0.1", "http://a:1", "file:///etc/passwd", "tcp://a:0", "tcp://a:99999", "tcp://a b:1"],
)
def test_what_is_no_address_of_a_scheduler_is_refused(address: str) -> None:
    with pytest.raises(
        ConfigError, match=r"\[machine\] scheduler: expected the address of a Dask scheduler, tcp://HOST"
    ):
        load(scheduler=address)


@pytest.mark.parametrize("address", ["", "127.0.0.1:8786", "tcp://a.b:1", "tls://[::1]:8786", "ucx://a:2/"])
def test_addresses_of_schedulers(address: str) -> None:
    assert load(scheduler=address).machine.scheduler == address


def test_a_gpu_that_is_not_there_is_missing(three_gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "version", lambda package: "2.11.0")
    assert [gpus.missing(name) for name in ("cpu", "cuda", "cuda:2")] == ["", "", ""]
    assert "found 'cuda:3': CUDA devices are here: cuda:0 to cuda:2." in gpus.missing("cuda:3")
    monkeypatch.setattr(gpus, "version", lambda package: "2.11.0+cpu")
    assert "the installed torch 2.11.0+cpu knows no CUDA" in gpus.missing("cuda")


def test_torch_has_the_last_word_where_nvidia_has_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "device_count", lambda: 0)
    monkeypatch.setattr(gpus, "_counted_by_torch", lambda: 1)
    assert gpus.missing("cuda") == ""
    assert "torch sees no CUDA device" in gpus.missing("cuda:1")
    monkeypatch.setattr(gpus, "_counted_by_torch", lambda: 0)
    assert gpus.device_missing(machine(device="cuda")).startswith("[machine] device: expected a device of this machine")
    assert gpus.device_missing(machine(device="cuda", scheduler="tcp://a:1")) == "", "its workers have the device"
    with pytest.raises(ConfigError, match="torch sees no CUDA"):
        gpus.check_device("cuda")
    with pytest.raises(ConfigError, match=r"device: expected cpu, cuda.* Did you mean 'cuda'\?"):
        gpus.check_device("gpu")


def test_devices_change_no_number() -> None:
    assert load(device="cuda", devices="2").as_json() == load().as_json()


def test_each_device_gets_one_process_that_sees_it_alone(three_gpus: None) -> None:
    specs = cluster.device_specs(machine(device="cuda", devices=("cuda:2", "cuda:0")))
    assert list(specs) == ["cuda:2", "cuda:0"]
    options = [spec["options"] for spec in specs.values()]
    assert [option["env"] for option in options] == [{"CUDA_VISIBLE_DEVICES": "2"}, {"CUDA_VISIBLE_DEVICES": "0"}]
    assert all(option["resources"] == {"GPU": 1} and option["nthreads"] == 1 for option in options)


@pytest.mark.parametrize(
    ("visible", "found"),
    [("2,1", ("2", "1")), ("GPU-8a2f, 0", ("GPU-8a2f", "0")), ("", ()), ("-1", ()), ("1,-1,0", ("1",))],
)
def test_devices_are_counted_among_those_that_are_visible(
    three_gpus: None, monkeypatch: pytest.MonkeyPatch, visible: str, found: tuple[str, ...]
) -> None:
    monkeypatch.setenv(gpus.VISIBLE, visible)
    assert gpus.visible_devices() == found
    if found:
        assert gpus.assigned(["cuda:0"]) == found[:1]
    with pytest.raises(ConfigError, match="hides others"):
        gpus.assigned(["cuda:2"])


@pytest.mark.skipif(gpus.device_count() > 0, reason="this machine has a GPU")
def test_devices_that_are_not_there_are_an_error_before_anything_starts(tmp_path: Path) -> None:
    run = settings(tmp_path, executor="dask", device="cuda", devices=("cuda:0", "cuda:1"))
    with pytest.raises(ConfigError, match=r"expected 2 CUDA devices \(cuda:0, cuda:1\), found 0\."):
        run_shards(environment, [(run, 0), (run, 1)], settings=run, label="gpus")
    assert not list(tmp_path.iterdir())


def test_too_few_devices_are_counted(three_gpus: None) -> None:
    with pytest.raises(ConfigError, match=r"expected 4 CUDA devices .*, found 3 \(cuda:0 to cuda:2\)"):
        gpus.assigned([f"cuda:{index}" for index in range(4)])


def environment(settings: Settings, shard: int, progress: compute.Progress) -> tuple[int, str | None]:
    """Process and visible GPUs; takes long enough for both workers to get one."""
    import time

    time.sleep(0.5)
    return os.getpid(), os.environ.get(gpus.VISIBLE)


def test_real_workers_have_their_own_device_in_their_environment(
    three_gpus: None, cluster_ends: None, tmp_path: Path
) -> None:
    run = settings(tmp_path, executor="dask", device="cuda", devices=("cuda:2", "cuda:1"))
    found = run_shards(environment, [(run, place) for place in range(4)], settings=run, label="gpus")
    assert {visible for _, visible in found} == {"2", "1"}
    assert len(set(found)) == 2, "one process a device, and each keeps to it"
    assert os.getpid() not in {process for process, _ in found}
    assert gpus.VISIBLE not in os.environ
