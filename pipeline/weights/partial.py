"""An unfinished download: the bytes so far, and a note with the file's URL and version on the server."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import IO, Any

from pipeline.errors import StageError, WeightsError
from pipeline.storage.files import read_json
from pipeline.weights.records import replace_text


class Partial:
    """The bytes downloaded so far, in `path`, and a note in PATH.json: url, etag, last_modified, total."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.note_path = path.with_name(f"{path.name}.json")

    @property
    def size(self) -> int:
        """Bytes downloaded so far; 0 without a file."""
        try:
            return self.path.lstat().st_size
        except OSError:
            return 0

    def note(self) -> dict[str, Any]:
        """The note of the download's begin; empty if it cannot be read."""
        try:
            note = read_json(self.note_path)
        except (FileNotFoundError, ValueError, StageError):
            return {}
        return note if isinstance(note, dict) else {}

    def resume(self, url: str, size: int, *, known: bool) -> tuple[int, dict[str, str]]:
        """The offset at which to resume, and the headers of the request; (0, {}) to start over.

        With the same URL and a strong ETag (or Last-Modified), the request is conditional on the same version of the
        file. Otherwise the rest is requested only if the sha256 of the whole file is `known`, which later shows whether
        the parts fit.
        """
        offset, note = self.size, self.note()
        if not offset or offset > (size or note.get("total") or 0) or self.path.is_symlink():
            return 0, {}
        etag = str(note.get("etag") or "")
        mark = etag if etag and not etag.startswith("W/") else str(note.get("last_modified") or "")
        headers = {"Range": f"bytes={offset}-"}
        if note.get("url") == url and mark:
            return offset, headers | {"If-Range": mark}
        return (offset, headers) if known else (0, {})

    def begin(self, url: str, etag: str, last_modified: str, total: int) -> None:
        """Start over: first an empty file, then the note, so that a new note never belongs to old bytes."""
        self.discard()
        self.appending().close()
        note = {"url": url, "etag": etag, "last_modified": last_modified, "total": total}
        replace_text(self.note_path, json.dumps(note, indent=1) + "\n")

    def appending(self) -> IO[bytes]:
        """The file, opened for unbuffered appending, so that a kill loses no bytes. Links are not followed.

        Raises WeightsError if it cannot be opened.
        """
        try:
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise WeightsError(f"Cannot write {self.path}: {error.strerror}. Is it a folder or a link?") from error
        return os.fdopen(handle, "ab", buffering=0)

    def discard(self) -> None:
        """Delete the bytes and the note."""
        self.path.unlink(missing_ok=True)
        self.note_path.unlink(missing_ok=True)
