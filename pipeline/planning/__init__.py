"""Before a run: what would be computed, how large it is, and whether this machine can."""
