"""One process at a time: the second learns who holds the lock, waits as long as it may, and damages nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pipeline.errors import BusyError, StageError
from pipeline.storage.locks import LOCK, held, holder_of, is_locked, locked, try_locks


def take(path: Path, wait: float = 0.0) -> None:
    with locked(path, "The table is being written", wait=wait, remedy="Try again."):
        pass


def test_the_second_is_told_who_was_first_what_it_does_and_where(tmp_path: Path) -> None:
    path = tmp_path / "new" / LOCK
    with locked(path, "The table is being written", wait=0.0, remedy="Try again."):
        assert is_locked(path) and holder_of(path).startswith(f"process {os.getpid()} on ")
        with pytest.raises(BusyError) as caught:
            take(path)
    told = str(caught.value)
    assert told.startswith(f"The table is being written by process {os.getpid()} on ")
    assert told.endswith(f"Try again. The lock is {path}.")
    assert not is_locked(path) and holder_of(path) == "" and path.is_file()
    take(path)


def test_the_second_waits_until_the_first_is_done(tmp_path: Path) -> None:
    path, released = tmp_path / LOCK, threading.Event()

    def hold() -> None:
        with locked(path, "It is being held", wait=0.0, remedy=""):
            started.set()
            time.sleep(0.15)
            released.set()

    started = threading.Event()
    thread = threading.Thread(target=hold)
    thread.start()
    started.wait(5)
    take(path, wait=30.0)
    assert released.is_set()
    thread.join()


def test_a_killed_holder_leaves_the_lock_free(tmp_path: Path) -> None:
    code = "import sys, os; from pathlib import Path; from pipeline.storage.locks import locked\n"
    code += "with locked(Path(sys.argv[1]), 'x', wait=0.0, remedy=''): os.kill(os.getpid(), 9)"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / LOCK)], check=False)
    assert done.returncode == -9
    take(tmp_path / LOCK)


def test_a_lock_whose_folder_was_removed_meanwhile_is_taken_in_the_new_folder(tmp_path: Path) -> None:
    folder = tmp_path / "stage"
    with locked(folder / LOCK, "x", wait=0.0, remedy=""):
        shutil.rmtree(folder)
        take(folder / LOCK)
        assert (folder / LOCK).is_file()


def test_what_is_in_the_way_of_a_stage_s_lock_is_a_stage_error_and_of_the_block_is_not(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StageError, match="Cannot write"), held(tmp_path / "file", "latents train", wait=0.0):
        pass
    with pytest.raises(NotADirectoryError), held(tmp_path / "folder", "latents train", wait=0.0):
        raise NotADirectoryError("of the block")


def test_trying_leaves_nothing_behind(tmp_path: Path) -> None:
    try_locks(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(OSError):
        try_locks(tmp_path / "nowhere")
