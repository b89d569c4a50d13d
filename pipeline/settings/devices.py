"""Devices by their names, checked without torch, and the cores of this machine."""

from __future__ import annotations

import difflib
import os
import re

CPU, CUDA = "cpu", "cuda"
NAMES = (CPU, CUDA, "cuda:0")
ALIASES = {"gpu": CUDA, "nvidia": CUDA}  # names that people write for CUDA devices
EXPECTED = f"{CPU}, {CUDA}, or one GPU such as cuda:0"


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def is_device(text: str) -> bool:
    """Whether a text names a device: cpu, cuda, or cuda:N with N from 0 to 999."""
    return text in (CPU, CUDA) or re.fullmatch(r"cuda:(0|[1-9]\d{0,2})", text) is not None


def closest(text: str) -> str:
    """The device name closest to a wrong one, as a sentence after a blank; empty if none is close."""
    name = text.strip().lower().rstrip("0123456789:-")
    close = difflib.get_close_matches(text.lower(), NAMES, n=1, cutoff=0.6)
    meant = ALIASES.get(name) or (text.lower() if is_device(text.lower()) else "") or (close[0] if close else "")
    return f" Did you mean {meant!r}?" if meant else ""
