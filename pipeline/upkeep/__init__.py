"""Upkeep of the outputs folder: disk by kind, stages that nobody needs, the cost of runs."""
