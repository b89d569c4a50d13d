"""The two consoles that verbs print to."""

from __future__ import annotations

import sys

from rich.console import Console

from tasks.cli.streams import is_terminal

PIPED = 140  # columns of a table that goes to a file or another program

out = Console(width=None if is_terminal(sys.stdout) else PIPED)
err = Console(stderr=True, width=None if is_terminal(sys.stderr) else PIPED)
