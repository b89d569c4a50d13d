"""The log of a run: a JSON object per line, kept in the run's folder and published with its report.

    {"time": "2026-11-28T01:00:03.120Z", "level": "WARNING", "stage": "edits", "method": "l2l",
     "shard": "edits-age-000000-000004.parquet", "worker": "tls://127.0.0.1:40123", "message": "..."}

It has the stages as they begin and end, and every warning and error of this package, Luigi and Dask. What is not known
of a message is an empty text. A run that continues goes on with its log. Old lines make room for new ones.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.errors import LatentbenchError
from pipeline.settings.settings import Settings
from pipeline.storage.log_lines import HEARD, LOG, Lines, files, note, now
from pipeline.storage.runs import run_stage

log = logging.getLogger("latentbench")

PUBLISHED = "published as "  # begins the last message of a run's log


@contextmanager
def recording(settings: Settings) -> Iterator[None]:
    """Write what this process logs meanwhile into the log of these settings' run. A block inside it writes there too.

    Where the log cannot be written, a warning says so and the run goes on.
    """
    folder = run_stage(settings).folder(settings.outputs)
    path = folder / LOG
    if path in files:
        yield
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lines = Lines(path)
    except OSError as error:
        log.warning("%s cannot be written: %s. This run has no log.", path, error.strerror)
        yield
        return
    files[path] = lines
    loggers = [logging.getLogger(name) for name in HEARD]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(lines)
        if logger.getEffectiveLevel() > logging.WARNING:
            logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        del files[path]
        for logger, level in zip(loggers, levels, strict=True):
            logger.removeHandler(lines)
            logger.setLevel(level)
        lines.close()


@contextmanager
def computing(settings: Settings, stage: str, method: str = "") -> Iterator[None]:
    """As `recording`, with notes that the stage begins and ends, or why it failed; other messages name it too."""
    before = dict(now)
    with recording(settings):
        now.update(stage=stage, method=method)
        note("begins")
        try:
            yield
            note("ends")
        except LatentbenchError as error:
            note(f"failed: {error}", logging.ERROR)
            raise
        except BaseException as error:
            note(f"failed: {''.join(traceback.format_exception(error))}", logging.ERROR)
            raise
        finally:
            now.clear()
            now.update(before)


def read_log(settings: Settings) -> str:
    """The lines of a run since it was last published, the part that was set aside for its size first.

    Empty, with a warning, where they cannot be read.
    """
    path = run_stage(settings).folder(settings.outputs) / LOG
    lines: list[str] = []
    for part in (path.with_name(f"{LOG}.1"), path):
        try:
            lines += part.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        except FileNotFoundError:
            continue
        except OSError as error:
            log.warning("%s cannot be read: %s. It is not published.", part, error.strerror)
            return ""
    last = max((place for place, line in enumerate(lines) if f'"message": "{PUBLISHED}' in line), default=-1)
    return "".join(lines[last + 1 :])
