"""Before a run: the stages to compute, their size and time, and whether this machine can compute them."""
