"""The console script `latentbench`: Ctrl-C while the command line is imported ends it without a traceback."""

from __future__ import annotations

import signal
import sys


def main() -> None:
    """Import the command line and call it."""
    try:
        from tasks.cli import main as call

        call()
    except KeyboardInterrupt:
        print("\nInterrupted before anything began.", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)


if __name__ == "__main__":
    main()
