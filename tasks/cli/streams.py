"""stdout and stderr as they are found: in an encoding without arrows, closed, or full. None of it undoes a run."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


class OutputError(Exception):
    """What was asked for could not be printed: stdout is full, or fails otherwise."""


class ReaderLeftError(OutputError):
    """The reader of stdout left, as `head` does; this is no failure. BrokenPipeError would end rich's printing."""


class Output(io.TextIOWrapper):
    """stdout, whose write errors have a type of their own."""

    def write(self, text: str, /) -> int:
        """Write a text. Raises OutputError."""
        with self._told():
            return super().write(text)

    def flush(self) -> None:
        """Pass on what is still held. Raises OutputError."""
        with self._told():
            super().flush()

    def give_up(self) -> None:
        """Swallow all that follows, and what is still held."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.give_up()
            if isinstance(error, BrokenPipeError):
                raise ReaderLeftError(f"Nobody reads stdout: {error.strerror}.") from error
            raise OutputError(f"Nothing more can be printed to stdout: {error.strerror or error}.") from error


def prepare() -> None:
    """Print `?` for a character that the encoding lacks; replace a closed stream by one that discards all text."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    if isinstance(sys.stdout, io.TextIOWrapper):
        encoding, lines = sys.stdout.encoding, sys.stdout.line_buffering
        sys.stdout = Output(sys.stdout.detach(), encoding=encoding, errors="replace", line_buffering=lines)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody looks at a stream."""
    return stream is not None and stream.isatty()
