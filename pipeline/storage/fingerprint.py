"""Digests of settings and of what else can change a number."""

from __future__ import annotations

import hashlib
import json


def digest(value: object) -> str:
    """sha256 of a JSON-compatible value, independent of the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return bytes_sha256(text.encode())


def bytes_sha256(data: bytes | memoryview) -> str:
    """sha256 of bytes in memory, in hexadecimal. Of a file: `files.file_sha256`."""
    return hashlib.sha256(data).hexdigest()
