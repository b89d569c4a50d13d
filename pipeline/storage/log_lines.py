"""Messages as lines of JSON in a file that stays small; `run_log` says which file.

>>> print(line_of(logging.makeLogRecord({"levelname": "WARNING", "msg": "3 of 5", "created": 0.0})))
{"time": "1970-01-01T00:00:00.000Z", "level": "WARNING", "stage": "", "method": "", "shard": "", "worker": "", ...}
"""

from __future__ import annotations

import json
import logging
import traceback
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

LOG = "log.jsonl"
MOST = 2**20  # bytes of the file; one of the same size before it is kept
LONGEST = 8_000  # characters of a message
FIELDS = ("stage", "method", "shard", "worker")
DASK = ("distributed", "distributed.client", "tornado.application")
HEARD = ("latentbench", "luigi-interface", *DASK)  # loggers that hand nothing on to others

now: dict[str, str] = {}  # the stage and method that this process computes
files: dict[Path, Lines] = {}  # that this process writes


class Lines(RotatingFileHandler):
    """Writes warnings, errors and notes as lines of JSON. A disk that refuses stops no run."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=MOST, backupCount=1, encoding="utf-8")
        self.setLevel(logging.WARNING)

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line of JSON."""
        return line_of(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's name
        """Nothing: what cannot be written is said where it is printed."""


def line_of(record: logging.LogRecord) -> str:
    """A log record as a line of JSON, its message cut at LONGEST characters."""
    message = record.getMessage()
    if record.exc_info and record.exc_info[1]:
        message += "\n" + "".join(traceback.format_exception(record.exc_info[1]))
    if len(message) > LONGEST:
        message = f"{message[:LONGEST]}... ({len(message) - LONGEST:,} more characters)"
    moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    known = {name: str(getattr(record, name, "") or now.get(name, "")) for name in FIELDS}
    return json.dumps({"time": moment, "level": record.levelname, **known, "message": message}, ensure_ascii=False)


def note(message: str, level: int = logging.INFO, **known: str) -> None:
    """Write a message into the log of the run that this process records; it is printed nowhere. known: of FIELDS."""
    record = logging.LogRecord("latentbench", level, "", 0, message, (), None)
    record.__dict__.update(known)
    for lines in files.values():
        lines.emit(record)
