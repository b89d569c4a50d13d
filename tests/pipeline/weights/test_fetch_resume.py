"""Downloads that are cut off, killed, doubled, or meet a full disk go on where they stopped."""

from __future__ import annotations

import io
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import BusyError, WeightsError
from pipeline.weights import transfer
from pipeline.weights.fetch import FETCHED, THERE, fetch
from pipeline.weights.partial import Partial
from pipeline.weights.records import RECORDS
from pipeline.weights.store import MISSING, Store
from pipeline.weights.table import Weight
from tests.builders.http_server import Server, Turn
from tests.builders.weight_store import CONTENT, OTHER, TABLE, settings
from tests.checks.fetching import get, ours, visible, wait_for

ROOT = Path(__file__).parents[3]
KNOWN, UNKNOWN = TABLE["known"], TABLE["unknown"]


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
    assert [asked.range for asked in server.asked] == ["", "bytes=1000-", ""], "then all of it again"
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
