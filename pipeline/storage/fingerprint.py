"""Digests of settings and of what else can change a number."""

from __future__ import annotations

import hashlib
import json


def digest(value: object) -> str:
    """sha256 of a JSON-compatible value, independent of the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()
