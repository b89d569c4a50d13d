"""Downloads from a real server that drops, stalls, lies and redirects: only the right file is ever placed."""

from __future__ import annotations

import io
import json
import logging
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.errors import BusyError, ConfigError, WeightsError
from pipeline.weights import transfer
from pipeline.weights.asking import check_redirect
from pipeline.weights.fetch import COPIED, FETCHED, TAKEN, THERE, Fetched, address, fetch
from pipeline.weights.partial import Partial
from pipeline.weights.records import RECORDS, read_records
from pipeline.weights.store import MISSING, PRESENT, UNVERIFIED, WRONG, Store, WrongFileError
from pipeline.weights.table import Weight
from tests.builders.http_server import Server, Turn, serving
from tests.builders.weight_store import CONTENT, OTHER, SHA256, TABLE, settings, store

ROOT = Path(__file__).parents[3]
KNOWN, STARTED, UNKNOWN = TABLE["known"], TABLE["started"], TABLE["unknown"]
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        server.files = {f"/{weight.file}": CONTENT for weight in TABLE.values()}
        yield server


@pytest.fixture
def here(tmp_path: Path) -> Store:
    return store(tmp_path / "weights")


def get(weight: Weight, here: Store, server: Server, **changes: float) -> Fetched:
    return fetch(weight, here, settings(server.url, **changes))


def ours(here: Store) -> set[str]:
    """Everything in the folder but locks."""
    return {path.name for path in here.folder.iterdir() if not path.name.endswith(".lock")}


def visible(here: Store) -> set[str]:
    return {name for name in ours(here) if not name.startswith(".")}


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


# A good server


@pytest.mark.parametrize("weight", TABLE.values(), ids=list(TABLE))
def test_a_file_comes_is_checked_and_recorded(weight: Weight, here: Store, server: Server) -> None:
    done = get(weight, here, server)
    assert done.how == FETCHED and done.standing.state == PRESENT and done.standing.sha256 == SHA256
    assert here.require(weight.name).read_bytes() == CONTENT
    record = read_records(here.folder)[weight.name]
    assert (record.sha256, record.size, record.source) == (SHA256, len(CONTENT), f"{server.url}/{weight.file}")
    assert ours(here) == {weight.file, RECORDS}, "no partial file, no note"
    assert get(weight, here, server).how == THERE
    assert len(server.asked) == 1, "what is there is not asked for again"


def test_progress_tells_rate_and_bytes(here: Store, server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    get(KNOWN, here, server)
    assert "fetch known: 3 MB in " in capsys.readouterr().err


# Resume


@pytest.mark.parametrize("mark", ["etag", "modified"])
@pytest.mark.parametrize("weight", [KNOWN, UNKNOWN], ids=["known", "unknown"])
def test_a_dropped_connection_goes_on_where_it_stopped(weight: Weight, mark: str, here: Store, server: Server) -> None:
    path = f"/{weight.file}"
    server.turns[path] = [Turn(drop=1_000_000, mark=mark), Turn(drop=500_000, mark=mark), Turn(mark=mark)]
    assert get(weight, here, server).how == FETCHED
    assert [asked.range for asked in server.asked] == ["", "bytes=1000000-", "bytes=1500000-"]
    assert [asked.status for asked in server.asked] == [200, 206, 206]
    assert all(asked.if_range for asked in server.asked[1:])
    assert server.sent(path) == len(CONTENT), "no byte came twice"
    assert here.require(weight.name).read_bytes() == CONTENT


def test_what_arrived_before_giving_up_is_kept_for_the_next_call(here: Store, server: Server) -> None:
    server.turns["/known.bin"] = [Turn(drop=1000) for _ in range(4)]
    with pytest.raises(WeightsError, match=r"4 times.*4,000 bytes.*--mirror URL.*--from DIR"):
        get(KNOWN, here, server)
    assert here.standing(KNOWN).state == MISSING and here.standing(KNOWN).partial == 4000
    assert get(KNOWN, here, server).how == FETCHED
    assert server.asked[-1].range == "bytes=4000-" and server.sent("/known.bin") == len(CONTENT)


def test_without_a_mark_only_a_known_sha256_lets_parts_be_put_together(here: Store, server: Server) -> None:
    for mark in ("none", "weak"):
        for weight in (KNOWN, UNKNOWN):
            server.asked.clear()
            server.turns[f"/{weight.file}"] = [Turn(drop=1_000_000, mark=mark), Turn(mark=mark)]
            get(weight, here, server)
            assert [asked.range for asked in server.asked] == ["", "bytes=1000000-" if weight is KNOWN else ""]
            here.path(weight).unlink()
            (here.folder / RECORDS).unlink()


def test_a_file_that_changed_on_the_server_is_fetched_whole(here: Store, server: Server) -> None:
    server.turns["/unknown.bin"] = [Turn(drop=1_000_000, content=OTHER)]
    get(UNKNOWN, here, server)
    assert [asked.status for asked in server.asked] == [200, 200], "If-Range: the second answer was the whole new file"
    assert here.require("unknown").read_bytes() == CONTENT


def test_a_beginning_from_another_file_is_found_out_by_the_hash(here: Store, server: Server) -> None:
    server.turns["/known.bin"] = [Turn(drop=1000, content=OTHER, mark="none") for _ in range(4)]
    with pytest.raises(WeightsError):
        get(KNOWN, here, server, retries=0)
    assert here.standing(KNOWN).partial == 1000
    server.turns["/known.bin"] = []
    assert get(KNOWN, here, server).how == FETCHED
    assert [asked.range for asked in server.asked] == ["", "bytes=1000-", ""], "then all of it anew"
    assert here.require("known").read_bytes() == CONTENT


def test_a_server_without_ranges_starts_over(here: Store, server: Server) -> None:
    server.turns["/known.bin"] = [Turn(drop=1_000_000), Turn(ranges=False)]
    get(KNOWN, here, server)
    assert here.require("known").read_bytes() == CONTENT
    assert server.sent("/known.bin") == len(CONTENT) + 1_000_000


def test_another_range_than_the_one_asked_for_is_not_used(here: Store, server: Server) -> None:
    server.turns["/unknown.bin"] = [Turn(drop=1_000_000), Turn(wrong_range=True)]
    get(UNKNOWN, here, server)
    assert [asked.range for asked in server.asked] == ["", "bytes=1000000-", ""]
    assert here.require("unknown").read_bytes() == CONTENT


def test_a_server_whose_file_shrank_below_our_part(here: Store, server: Server) -> None:
    server.turns["/unknown.bin"] = [Turn(drop=1_000_000, mark="none"), Turn(content=CONTENT[:10], mark="none")]
    partial = Partial(here.partial(UNKNOWN))
    with pytest.raises(WeightsError):
        get(UNKNOWN, here, server, retries=0)
    partial.note_path.write_text(json.dumps(partial.note() | {"url": f"{server.url}/unknown.bin", "etag": '"x"'}))
    server.turns["/unknown.bin"] = [Turn(status=416)]
    get(UNKNOWN, here, server)
    assert here.require("unknown").read_bytes() == CONTENT and server.asked[-1].range == ""


def test_all_bytes_there_but_not_yet_placed(here: Store, server: Server) -> None:
    """As after a kill between the last byte and the rename: nothing is asked for."""
    here.folder.mkdir()
    here.partial(KNOWN).write_bytes(CONTENT)
    assert get(KNOWN, here, server).how == FETCHED
    assert server.asked == [] and here.require("known").read_bytes() == CONTENT


def test_a_link_in_the_place_of_the_partial_file_is_not_followed(here: Store, server: Server, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    here.folder.mkdir()
    here.partial(KNOWN).symlink_to(victim)
    get(KNOWN, here, server)
    assert victim.read_bytes() == b"precious" and not here.path(KNOWN).is_symlink()
    assert here.require("known").read_bytes() == CONTENT


# Kills and second processes


def start(here: Store, server: Server, name: str, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.builders.weight_store", str(here.folder), server.url, name]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True, **options)  # type: ignore


@pytest.mark.parametrize("name", ["known", "unknown"])
def test_killed_midway_it_resumes(name: str, here: Store, server: Server) -> None:
    path = f"/{name}.bin"
    server.turns[path] = [Turn(pause=0.02)]
    process = start(here, server, name)
    wait_for(lambda: here.standing(TABLE[name]).partial >= 500_000)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    kept = here.standing(TABLE[name])
    assert kept.state == MISSING and 500_000 <= kept.partial < len(CONTENT)
    server.asked.clear()
    assert get(TABLE[name], here, server).how == FETCHED, "the lock died with its process"
    assert server.asked[0].range == f"bytes={kept.partial}-"
    assert server.sent(path) == len(CONTENT) - kept.partial
    assert here.require(name).read_bytes() == CONTENT


def test_two_processes_at_once_fetch_it_once(here: Store, server: Server) -> None:
    server.turns["/unknown.bin"] = [Turn(pause=0.005)]
    both = [start(here, server, "unknown") for _ in range(2)]
    ends = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], ends
    assert sorted(out.strip() for out, _ in ends) == sorted([FETCHED, THERE])
    assert server.sent("/unknown.bin") == len(CONTENT)
    assert here.require("unknown").read_bytes() == CONTENT and ours(here) == {"unknown.bin", RECORDS}


def test_who_may_not_wait_is_told_who_is_fetching(here: Store, server: Server) -> None:
    with here.held(KNOWN, 0), pytest.raises(BusyError, match=f"known is being fetched by process {os.getpid()} on "):
        get(KNOWN, here, server, lock_wait=0.0)


# Servers that fail for a while


def test_503_then_success(here: Store, server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.turns["/known.bin"] = [Turn(status=503), Turn(status=429, headers={"Retry-After": "0"})]
    with caplog.at_level(logging.WARNING):
        assert get(KNOWN, here, server).how == FETCHED
    assert "answered 503" in caplog.text and "attempt 2 of 4" in caplog.text


def test_pauses_double_and_a_server_may_ask_for_longer(
    here: Store, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(transfer.time, "sleep", pauses.append)
    asked = {"Retry-After": "7"}
    server.turns["/known.bin"] = [Turn(status=500), Turn(status=502), Turn(status=503, headers=asked), Turn(status=504)]
    get(KNOWN, here, server, retries=5, pause=1.0)
    assert [pause for pause in pauses if pause >= 1] == [1, 2, 7, 8]


def test_attempts_that_bring_much_do_not_use_up_the_retries(
    here: Store, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "PROGRESS", 200_000)
    server.turns["/known.bin"] = [Turn(drop=250_000) for _ in range(10)]
    get(KNOWN, here, server, retries=1)
    assert server.sent("/known.bin") == len(CONTENT)


def test_a_server_that_keeps_silent_is_left(here: Store, server: Server) -> None:
    server.turns["/known.bin"] = [Turn(stall=100_000)]
    started = time.monotonic()
    get(KNOWN, here, server, timeout=0.3)
    assert time.monotonic() - started < 15
    assert server.asked[1].range == "bytes=100000-"


def test_nobody_there(here: Store) -> None:
    with pytest.raises(WeightsError, match="2 times.*HTTPS_PROXY"):
        fetch(KNOWN, here, settings("http://127.0.0.1:9", retries=1))
    assert visible(here) == set()


# Servers that have another file, or none


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_no_such_file_is_not_tried_again(status: int, here: Store, server: Server) -> None:
    server.turns["/known.bin"] = [Turn(status=status)]
    with pytest.raises(WeightsError, match=f"answered {status} .*--mirror URL.*--from DIR"):
        get(KNOWN, here, server)
    assert len(server.asked) == 1 and visible(here) == set()


@pytest.mark.parametrize("weight", [KNOWN, STARTED], ids=["known", "started"])
def test_wrong_bytes_are_never_placed(weight: Weight, here: Store, server: Server) -> None:
    server.files[f"/{weight.file}"] = OTHER
    with pytest.raises(WrongFileError, match=f"sha256 [0-9a-f]{{64}}.*{SHA256[:8]}") as caught:
        get(weight, here, server)
    assert "not taken" in str(caught.value)
    assert ours(here) == set(), "nothing of it is left, not even as a beginning"
    with pytest.raises(WeightsError, match="Weights missing"):
        here.require(weight.name)


def test_another_length_is_refused_before_it_comes(here: Store, server: Server) -> None:
    server.files["/known.bin"] = CONTENT + b"more"
    with pytest.raises(WeightsError, match="3,000,004 bytes.*3,000,000"):
        get(KNOWN, here, server)
    assert here.standing(KNOWN).partial == 0 and visible(here) == set()


def test_more_than_announced_is_cut_off(here: Store, server: Server) -> None:
    """Announced by Content-Length, the rest is not read; not announced, it ends at the published size."""
    server.turns["/known.bin"] = [Turn(extra=b"x" * 1000, length=len(CONTENT))]
    assert get(KNOWN, here, server).how == FETCHED and here.require("known").read_bytes() == CONTENT
    here.path(KNOWN).unlink()
    server.turns["/known.bin"] = [Turn(extra=b"x" * 50_000_000, announce=False)]
    with pytest.raises(WeightsError, match="3,000,000 bytes"):
        get(KNOWN, here, server)
    assert server.asked[-1].sent < 20_000_000 and here.standing(KNOWN).partial == 0 and visible(here) == {RECORDS}


def test_a_length_that_nobody_states_is_refused(here: Store, server: Server) -> None:
    server.turns["/unknown.bin"] = [Turn(announce=False)]
    with pytest.raises(WeightsError, match="length"):
        get(UNKNOWN, here, server)
    assert visible(here) == set()


def test_an_absurd_length_is_refused(here: Store, server: Server) -> None:
    server.turns["/unknown.bin"] = [Turn(length=10**12)]
    with pytest.raises(WeightsError, match=r"1000\.0 GB.*2\.1 GB"):
        get(UNKNOWN, here, server)


def test_an_encoded_answer_is_refused(here: Store, server: Server) -> None:
    server.turns["/unknown.bin"] = [Turn(headers={"Content-Encoding": "gzip"})]
    with pytest.raises(WeightsError, match="encoded"):
        get(UNKNOWN, here, server)


# Redirects, mirrors, proxies


def test_a_redirect_on_the_same_host_is_followed_and_resumes(here: Store, server: Server) -> None:
    server.files["/there/known.bin"] = CONTENT
    moved = Turn(status=302, headers={"Location": "/there/known.bin"})
    server.turns = {"/known.bin": [moved, moved], "/there/known.bin": [Turn(drop=1_000_000)]}
    get(KNOWN, here, server)
    assert server.sent("/there/known.bin") == len(CONTENT) and server.asked[-1].range == "bytes=1000000-"


@pytest.mark.parametrize(
    "target", ["http://localhost:{port}/known.bin", "ftp://127.0.0.1/known.bin", "file:///etc/passwd"]
)
def test_a_redirect_to_another_host_must_be_https(target: str, here: Store, server: Server) -> None:
    target = target.format(port=server.url.rpartition(":")[2])
    server.turns["/known.bin"] = [Turn(status=301, headers={"Location": target})]
    with pytest.raises(WeightsError, match="redirects to .*https"):
        get(KNOWN, here, server)
    assert len(server.asked) == 1 and visible(here) == set()


@pytest.mark.parametrize(
    ("url", "target", "good"),
    [
        ("https://a/x", "https://b/x", True),
        ("http://a/x", "https://b/x", True),
        ("http://a/x", "http://a/y", True),
        ("http://a/x", "http://a:81/y", False),
        ("https://a/x", "http://a/x", False),
        ("https://a/x", "http://b/x", False),
        ("https://a/x", "file:///x", False),
    ],
)
def test_which_redirects_are_safe(url: str, target: str, good: bool) -> None:
    if good:
        check_redirect(url, target)
    else:
        with pytest.raises(WeightsError, match="expected https"):
            check_redirect(url, target)


def test_redirects_in_a_circle_end(here: Store, server: Server) -> None:
    server.turns["/known.bin"] = [Turn(status=302, headers={"Location": "/known.bin"}) for _ in range(50)]
    with pytest.raises(WeightsError, match="10 redirects"):
        get(KNOWN, here, server)
    assert len(server.asked) == 11


def test_a_mirror_has_the_files_under_their_names() -> None:
    assert address(KNOWN) == KNOWN.url
    assert address(KNOWN, "https://mirror.example/a/") == "https://mirror.example/a/known.bin"
    for mirror in ("mirror.example", "file:///tmp", "https://m.example/?a=b", "https://"):
        with pytest.raises(ConfigError, match="--mirror"):
            address(KNOWN, mirror)


def test_proxies_of_the_environment_are_used(here: Store, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    fetch(KNOWN, here, settings("http://mirror.invalid"))
    assert [asked.path for asked in server.asked] == ["http://mirror.invalid/known.bin"]
    monkeypatch.setenv("no_proxy", "mirror.invalid")
    with pytest.raises(WeightsError, match="1 times"):
        fetch(UNKNOWN, here, settings("http://mirror.invalid", retries=0))


def test_the_proxy_of_the_settings_is_used(here: Store, server: Server) -> None:
    fetch(KNOWN, here, replace(settings("http://mirror.invalid"), proxy=server.url))
    assert [asked.path for asked in server.asked] == ["http://mirror.invalid/known.bin"]


def test_plain_http_without_a_known_hash_is_warned_of(
    here: Store, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        get(KNOWN, here, server)
        assert "not https" not in caplog.text
        get(UNKNOWN, here, server)
    assert "not https" in caplog.text


# A full disk


def test_room_is_looked_for_first(here: Store, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usage = transfer.shutil.disk_usage(tmp_path)._replace(free=len(CONTENT) + transfer.RESERVE - 1)
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(WeightsError, match=r"Disk full: known needs 3,000,000 more bytes .*LATENTBENCH_WEIGHTS"):
        get(KNOWN, here, server)
    (tmp_path / "known.bin").write_bytes(CONTENT)
    with pytest.raises(WeightsError, match="Disk full: known needs 3,000,000 more bytes"):
        fetch(KNOWN, here, settings(), source=tmp_path)
    assert visible(here) == set()


def test_a_disk_that_fills_up_midway_keeps_what_came(here: Store, server: Server) -> None:
    limit = (1_000_000, resource.RLIM_INFINITY)
    process = start(here, server, "known", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
    problem = process.communicate(timeout=60)[1]
    assert process.returncode == 1 and "Disk full: " in problem and "1,000,000 of 3,000,000 bytes" in problem
    assert here.standing(KNOWN).state == MISSING and here.standing(KNOWN).partial == 1_000_000
    server.asked.clear()
    get(KNOWN, here, server)
    assert server.asked[0].range == "bytes=1000000-" and here.require("known").read_bytes() == CONTENT


def test_a_disk_that_takes_chunks_in_parts(here: Store, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a nearly full one does: no byte may be lost between two writes."""

    class Hesitant(io.FileIO):
        def write(self, data: object) -> int:
            return super().write(bytes(data)[:50_000])  # type: ignore

    monkeypatch.setattr(Partial, "appending", lambda self: Hesitant(self.path, "ab"))
    get(UNKNOWN, here, server)
    assert here.require("unknown").read_bytes() == CONTENT


# Hashes that are not published


def test_the_first_file_is_enforced_from_then_on(here: Store, server: Server) -> None:
    get(UNKNOWN, here, server)
    here.path(UNKNOWN).unlink()
    server.files["/unknown.bin"] = OTHER
    with pytest.raises(WrongFileError) as caught:
        get(UNKNOWN, here, server)
    message = str(caught.value)
    assert SHA256 in message and "was recorded on" in message and f"{here.folder / RECORDS}" in message
    found = message.partition("has sha256 ")[2][:64]
    assert found != SHA256 and here.standing(UNKNOWN).state == MISSING
    # What the error says to do:
    records = json.loads((here.folder / RECORDS).read_text())
    del records["unknown"]
    (here.folder / RECORDS).write_text(json.dumps(records))
    assert get(UNKNOWN, here, server).standing.sha256 == found
    assert here.require("unknown").read_bytes() == OTHER


def test_a_file_that_changed_in_its_place_is_set_aside(
    here: Store, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    for weight in (KNOWN, UNKNOWN):
        get(weight, here, server)
        here.path(weight).write_bytes(OTHER)
        assert here.standing(weight).state == UNVERIFIED
        with pytest.raises(WeightsError, match=f"Wrong weights: {weight.name}"):
            here.require(weight.name)
        with caplog.at_level(logging.WARNING):
            assert get(weight, here, server).how == FETCHED
        assert f"{weight.file}.wrong" in caplog.text
        assert here.require(weight.name).read_bytes() == CONTENT
        assert (here.folder / f"{weight.file}.wrong").read_bytes() == OTHER


def test_a_lock_file_that_cannot_be_read_stops_everything(here: Store, server: Server) -> None:
    get(UNKNOWN, here, server)
    (here.folder / RECORDS).write_text("{")
    for attempt in (lambda: here.require("unknown"), lambda: get(UNKNOWN, here, server)):
        with pytest.raises(WeightsError, match=RECORDS):
            attempt()


# From a folder


def test_from_a_folder_without_a_network(here: Store, tmp_path: Path) -> None:
    for weight in (KNOWN, UNKNOWN):
        (tmp_path / weight.file).write_bytes(CONTENT)
        assert fetch(weight, here, settings("http://127.0.0.1:9"), source=tmp_path).how == COPIED
        assert here.require(weight.name).read_bytes() == CONTENT
        assert (tmp_path / weight.file).exists(), "copied, not moved"
    assert ours(here) == {"known.bin", "unknown.bin", RECORDS}
    (tmp_path / "started.bin").write_bytes(OTHER)
    with pytest.raises(WrongFileError, match="starts with"):
        fetch(STARTED, here, settings(), source=tmp_path)
    (tmp_path / "started.bin").unlink()
    with pytest.raises(WeightsError, match=f"expected started.bin in {tmp_path}"):
        fetch(STARTED, here, settings(), source=tmp_path)
    assert ours(here) == {"known.bin", "unknown.bin", RECORDS}


def test_from_the_weights_folder_itself_what_was_put_there_is_taken(
    here: Store, caplog: pytest.LogCaptureFixture
) -> None:
    here.folder.mkdir()
    for weight in (KNOWN, UNKNOWN):
        here.path(weight).write_bytes(CONTENT)
    assert here.standing(KNOWN).state == here.standing(UNKNOWN).state == UNVERIFIED
    assert here.require("known"), "its hash is published"
    with pytest.raises(WeightsError, match=f"{SHA256}.*weights fetch unknown"):
        here.require("unknown")
    with caplog.at_level(logging.WARNING):
        assert fetch(UNKNOWN, here, settings("http://127.0.0.1:9")).how == TAKEN
    assert SHA256 in caplog.text and here.require("unknown")
    here.path(UNKNOWN).write_bytes(OTHER)
    assert here.verify(UNKNOWN).state == WRONG
