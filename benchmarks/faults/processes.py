"""The command line in processes of its own, and every process that a command has left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
MARK = "LATENTBENCH_FAULT"  # environment variable by which all processes of a command are known
LATENTBENCH = (sys.executable, "-m", "tasks.console")  # as the console script
ENDS_WITHIN = 10.0  # seconds after its command in which a process must have ended
MOST_SECONDS = 3600.0  # a command that takes longer hangs


@dataclass(frozen=True)
class Ended:
    """A command that has ended: exit code (minus the signal that killed it), both outputs, the processes it left."""

    code: int
    out: str
    err: str
    seconds: float
    orphans: tuple[str, ...] = ()
    hung: bool = False

    def faults(self, codes: Sequence[int], *words: str) -> list[str]:
        """What is not right: another exit code, a traceback, a word that stderr lacks, a process that is left."""
        said = []
        if self.hung:
            said.append(f"did not end within {self.seconds:.0f} s")
        elif self.code not in codes:
            said.append(f"exit code {self.code}, expected {' or '.join(map(str, codes))}: {reason(self.err)}")
        if "Traceback (most recent call last)" in self.err:
            said.append(f"a traceback: {reason(self.err)}")
        said += [f"stderr does not say {word!r}: {reason(self.err)}" for word in words if word not in flat(self.err)]
        said += [f"process left: {orphan}" for orphan in self.orphans]
        return said


class Command:
    """A command that runs, in a session of its own, with the files of its outputs in `folder`."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.mark = uuid.uuid4().hex
        folder.mkdir(parents=True, exist_ok=True)
        self._out, self._err = (folder / f"{self.mark}.{name}" for name in ("out", "err"))
        self.started = time.monotonic()
        environ = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", MARK: self.mark, **(env or {})}
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                command, stdout=out, stderr=err, stdin=subprocess.DEVNULL, env=environ, start_new_session=True,
                preexec_fn=_from_a_terminal,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        """The process that was started, and the group of its children."""
        return self.process.pid

    @property
    def err(self) -> str:
        """What it has printed to stderr so far."""
        return self._err.read_text(errors="replace")

    def runs(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None

    def wait(self, seconds: float) -> bool:
        """Let it run for so long, or until it ends; answers whether it still runs."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.0, seconds))
        return self.runs()

    def wait_for(self, condition: Callable[[], object], seconds: float = MOST_SECONDS) -> bool:
        """Let it run until the condition holds; answers whether it does, and the command still runs."""
        deadline = time.monotonic() + seconds
        while self.runs() and time.monotonic() < deadline:
            if condition():
                return True
            time.sleep(0.05)
        return False

    def workers(self) -> list[int]:
        """Its worker processes."""
        return [pid for pid, line in marked(self.mark).items() if "spawn_main" in line and pid != self.pid]

    def maps(self) -> str:
        """The files that its first process has open or mapped."""
        with suppress(OSError):
            return Path(f"/proc/{self.pid}/maps").read_text()
        return ""

    def send(self, number: int, *, group: bool = False) -> None:
        """Send a signal to the process, or as a terminal does to its whole group."""
        with suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(self.pid, number)

    def end(self, seconds: float = MOST_SECONDS) -> Ended:
        """Wait for its end; what hangs is killed, and what is left after ENDS_WITHIN seconds too, but noted."""
        hung = self.wait(seconds)
        if hung:
            self.send(signal.SIGKILL)
            self.process.wait()
        taken = time.monotonic() - self.started
        deadline = time.monotonic() + ENDS_WITHIN
        while (left := marked(self.mark)) and time.monotonic() < deadline:
            time.sleep(0.1)
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        out, err = (path.read_text(errors="replace") for path in (self._out, self._err))
        for path in (self._out, self._err):
            path.unlink()
        orphans = () if hung else tuple(line[:80] for line in left.values())
        return Ended(self.process.returncode, out, err, taken, orphans, hung)


def _from_a_terminal() -> None:
    """A shell lets what it begins with `&` ignore Ctrl-C, and children inherit that."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def marked(mark: str) -> dict[int, str]:
    """Pid -> command line of every living process whose environment has the mark."""
    wanted = f"{MARK}={mark}".encode()
    processes = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, IndexError):
            if wanted not in (folder / "environ").read_bytes():
                continue
            if (folder / "stat").read_text().rpartition(")")[2].split()[0] in "ZX":
                continue
            processes[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return processes


def kill(pid: int) -> None:
    """kill -9."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def flat(text: str) -> str:
    """A text without its line breaks: messages are wrapped."""
    return " ".join(text.split())


def reason(text: str) -> str:
    """Why a command failed, as it says: the first line that names a failure, else the last that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    named = [line for line in lines if line.startswith(("failed ", "latentbench:"))]
    return [*named, *lines[-1:], "(nothing printed)"][0][:200]
